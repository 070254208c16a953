"""The skip-thought encoder against onnxruntime's GRU, its words against nltk's, bad files."""

import functools
import json
import os
import pickle
import random
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
from logged import logged
from nltk.tokenize import TreebankWordTokenizer
from nltk.tokenize.punkt import PunktSentenceTokenizer
from onnx import TensorProto, helper
from skip_thought_toy import WORDS, make
from toy import tiny_config

from stackgan.errors import InputError
from stackgan.text.encoder import open_text_encoder
from stackgan.text.skip_thought import describe_skip_thought
from stackgan.text.words import sentences, words_of

DIM = 8 + 5 + 5


def describe(files, folder, dim=DIM):
    os.makedirs(str(folder), exist_ok=True)
    with logged() as lines:
        describe_skip_thought(files, os.path.relpath(files, str(folder)), str(folder), dim)
    return lines


def opened(folder):
    return open_text_encoder(str(folder), tiny_config().platform)


@pytest.fixture
def files(tmp_path):
    return make(tmp_path / 'files')


def gru_of_onnx(x, weights, prefix, backwards=False):
    """Last state of onnxruntime's GRU, whose gates come as update, reset, candidate."""
    size = len(weights[prefix + '_bx'])

    def blocks(gates, candidate):
        reset, update = gates[..., :size], gates[..., size:]
        return np.concatenate([update.T, reset.T, candidate.T])[np.newaxis]
    w = blocks(weights[prefix + '_W'], weights[prefix + '_Wx'])
    r = blocks(weights[prefix + '_U'], weights[prefix + '_Ux'])
    b = blocks(weights[prefix + '_b'], weights[prefix + '_bx'])
    b = np.concatenate([b, np.zeros_like(b)], 1)
    node = helper.make_node('GRU', ['x', 'w', 'r', 'b'], ['', 'y'], hidden_size=size,
                            linear_before_reset=1,
                            direction='reverse' if backwards else 'forward')
    feed = {'x': x, 'w': w, 'r': r, 'b': b}
    graph = helper.make_graph([node], 'gru', [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
        for name, value in feed.items()],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, x.shape[1], size])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 14)], ir_version=7)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=['CPUExecutionProvider'])
    return session.run(None, feed)[0][0]


def expected(files, words):
    """Embedding of one caption, by onnxruntime."""
    last = {word: row for row, word in enumerate(WORDS)}
    rows = [last.get(word, WORDS.index('UNK')) for word in words]
    u, b = [np.load(f'{files}/{name}.npy')[rows][:, np.newaxis]
            for name in ('utable', 'btable')]
    uni, bi = [np.load(f'{files}/{name}_skip.npz') for name in ('uni', 'bi')]
    first = gru_of_onnx(u, uni, 'encoder')[0]
    second = np.concatenate([gru_of_onnx(b, bi, 'encoder')[0],
                             gru_of_onnx(b, bi, 'encoder_r', backwards=True)[0]])
    return np.concatenate([each / np.sqrt(np.sum(each ** 2)) for each in (first, second)])


def test_embeddings_equal_those_of_another_library(files, tmp_path):
    describe(files, tmp_path / 'encoder')
    captions = {'a red bird.': ['a', 'red', 'bird', '.'], 'purple': ['UNK'],
                'a small, red bird': ['a', 'small', ',', 'red', 'bird'],
                'Red. with it': ['UNK', '.', 'with', 'UNK'],
                'a bird ' * 25: ['a', 'bird'] * 25}
    with opened(tmp_path / 'encoder') as encoder:
        found = encoder.embed(list(captions))
    for row, words in zip(found, captions.values()):
        assert np.abs(row - expected(files, words)).max() < 1e-5
        assert abs(np.linalg.norm(row[:8]) - 1) < 1e-5 and abs(np.linalg.norm(row[8:]) - 1) < 1e-5


def test_an_embedding_does_not_depend_on_the_others(files, tmp_path):
    describe(files, tmp_path / 'encoder')
    captions = [' '.join(WORDS[2 + (i * k) % 9] for k in range(1, 2 + i % 7)) for i in range(300)]
    with opened(tmp_path / 'encoder') as encoder:
        together = encoder.embed(captions)
        for i in (0, 7, 299):
            assert np.array_equal(encoder.embed([captions[i]])[0], together[i])
        assert encoder.embed([]).shape == (0, DIM)
        assert encoder.faults(['a red bird', 'a purple bird']) == [
            '1 of 6 words of the captions are not in the dictionary and read as UNK, e.g. purple']
        assert encoder.faults(['a red bird']) == []
        with pytest.raises(InputError, match="the caption ' ' has no word"):
            encoder.embed(['a', ' '])


def test_the_files_may_move_with_their_encoder(files, tmp_path):
    describe(files, tmp_path / 'encoder')
    with opened(tmp_path / 'encoder') as encoder:
        before = encoder.embed(['a red bird'])
    os.makedirs(str(tmp_path / 'elsewhere'))
    for name in ('files', 'encoder'):
        os.rename(str(tmp_path / name), str(tmp_path / 'elsewhere' / name))
    with opened(tmp_path / 'elsewhere' / 'encoder') as encoder:
        assert np.array_equal(encoder.embed(['a red bird']), before)


def test_changed_files_are_not_used(files, tmp_path):
    describe(files, tmp_path / 'encoder')
    for name in ('utable.npy', 'bi_skip.npz', 'dictionary.txt'):
        path = os.path.join(files, name)
        with open(path, 'rb') as stream:
            data = stream.read()
        with open(path, 'wb') as stream:
            stream.write(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(InputError, match='the files have changed since'):
            opened(tmp_path / 'encoder')
        with open(path, 'wb') as stream:
            stream.write(data)
    os.unlink(os.path.join(files, 'btable.npy'))
    with pytest.raises(InputError, match='btable.npy: cannot be read .*text.weights'):
        opened(tmp_path / 'encoder')


def test_archives_that_python_2_wrote(files, tmp_path):
    """Their headers hold long integers, and their options are a pickle of protocol 0."""
    table = np.load(files + '/utable.npy')
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%dL, %dL), }" % table.shape
    header = header.ljust(128 - 11) + '\n'
    with open(files + '/utable.npy', 'wb') as stream:
        stream.write(b'\x93NUMPY\x01\x00' + np.uint16(len(header)).tobytes()
                     + header.encode('latin1') + table.tobytes())
    with open(files + '/uni_skip.npz.pkl', 'wb') as stream:
        stream.write(b"(dp0\nS'dim'\np1\nI8\nsS'encoder'\np2\nS'gru'\np3\ns.")
    assert len(describe(files, tmp_path / 'encoder')) == 1
    with opened(tmp_path / 'encoder') as encoder:
        found = encoder.embed(['a red bird'])[0]
    np.save(files + '/utable.npy', table)
    assert np.abs(found - expected(files, ['a', 'red', 'bird'])).max() < 1e-5


# Files that do not fit.

def resave(files, name, **changes):
    path = os.path.join(files, name)
    arrays = dict(np.load(path), **changes)
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def an_open_text(path):
    """A header that Python 3 cannot take apart."""
    with open(path, 'wb') as stream:
        stream.write(b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4  \n")


def a_long_header(path):
    """Of a form that may claim 4 GiB for it."""
    with zipfile.ZipFile(path, 'w') as archive:
        for name in ('encoder_W', 'encoder_U'):
            archive.writestr(name + '.npy', b'\x93NUMPY\x02\x00\xff\xff\xff\xff')


@pytest.mark.parametrize('damage, text', [
    (lambda f: os.unlink(f + '/utable.npy'), 'utable.npy missing; the skip-thought encoder is'),
    (lambda f: open(f + '/dictionary.txt', 'a').write('more\n'),
     'utable.npy: 12 rows for the 13 words of dictionary.txt'),
    (lambda f: open(f + '/dictionary.txt', 'w').write('a\n'), 'the word UNK'),
    (lambda f: open(f + '/dictionary.txt', 'wb').write(b'\xff\xfe\n'), 'not a list of words'),
    (lambda f: np.save(f + '/utable.npy', np.array([{}], object)), 'utable.npy: not a readable'),
    (lambda f: an_open_text(f + '/utable.npy'), 'utable.npy: not a readable array'),
    (lambda f: np.save(f + '/btable.npy', np.zeros((6, 12), np.float32).T), 'expected rows of'),
    (lambda f: open(f + '/bi_skip.npz', 'w').write('no'), 'bi_skip.npz: not a readable .npz'),
    (lambda f: resave(f, 'uni_skip.npz', encoder_U=None), 'the array encoder_U is missing'),
    (lambda f: resave(f, 'uni_skip.npz', encoder_U=np.array([{}], object)),
     'the array encoder_U cannot be read (it is of type object, only numbers are read)'),
    (lambda f: a_long_header(f + '/uni_skip.npz'), 'form 2.0 of .npy, only 1.0 is read'),
    (lambda f: resave(f, 'bi_skip.npz', encoder_r_Ux=np.zeros((5, 4), np.float32)),
     'encoder_r_Ux has the shape (5, 4), expected (5, 5)'),
    (lambda f: resave(f, 'bi_skip.npz', encoder_b=np.full(10, np.nan, np.float32)),
     'the array encoder_b holds non-finite values (NaN or infinite)'),
    (lambda f: pickle.dump({'dim': 9}, open(f + '/uni_skip.npz.pkl', 'wb'), 2),
     'dim is 9, but the arrays beside it have 8'),
    (lambda f: pickle.dump({'dim': np.arange(2)}, open(f + '/uni_skip.npz.pkl', 'wb'), 2),
     'dim is a ndarray, but the arrays beside it have 8'),
    (lambda f: pickle.dump({'dim': functools.reduce(lambda v, _: (v,) * 50, range(9), 1)},
                           open(f + '/uni_skip.npz.pkl', 'wb'), 2),       # endless when shown
     'dim is a tuple, but the arrays beside it have 8')])
def test_files_that_do_not_fit(damage, text, files, tmp_path):
    damage(files)
    with pytest.raises(InputError) as error:
        describe(files, tmp_path / 'encoder')
    assert text in str(error.value) and '\n' not in str(error.value)
    assert not (tmp_path / 'encoder' / 'options.json').exists()


def test_options_that_are_code_are_not_run(files, tmp_path):
    with open(files + '/uni_skip.npz.pkl', 'wb') as stream:
        stream.write(b"cos\nmkdir\n(S'%s'\ntR." % str(tmp_path / 'made').encode())
    lines = describe(files, tmp_path / 'encoder')
    assert 'refused' in lines[0] and 'read off the arrays' in lines[0]
    assert not (tmp_path / 'made').exists()


def test_another_size_names_the_setting(files, tmp_path):
    with pytest.raises(InputError, match='--set model.embedding_dim=18$'):
        describe(files, tmp_path / 'encoder', dim=4800)
    assert len(describe(files, tmp_path / 'encoder')) == 1
    assert json.load(open(str(tmp_path / 'encoder' / 'options.json')))['kind'] == 'skip-thought'


# Words.

def test_words_are_those_of_nltk():
    pieces = list('abctnsd') + ["'", "''", '"', '``', ',', ':', '.', '...', '?', '!', '(', ')', '[',
                                '<', '-', '--', ';', '$', '%', '3', "n't", "'ll", "'s", 'cannot',
                                'gonna', 'wanna', "'tis", "'twas", 'gimme', "d'ye", "more'n",
                                ' ', ' ', ' ', 'bird']
    chosen, theirs = random.Random(0), TreebankWordTokenizer()
    seen = 0
    for _ in range(10000):
        text = ' '.join(''.join(chosen.choice(pieces)
                                for _ in range(chosen.randint(1, 14))).split())
        if len(sentences(text)) == 1:
            assert words_of(text) == theirs.tokenize(text), text
            seen += 1
    assert seen > 5000


def test_sentences_are_those_of_punkt_without_abbreviations():
    pieces = ['bird', 'red', 'This', 'it', 'has', 'a', '5', '3.5', '(small)', '"quoted"', "it's"]
    ends = ['', '', '', '.', '.', '?', '!', ',', ';']
    chosen, theirs = random.Random(1), PunktSentenceTokenizer()
    for _ in range(4000):
        text = ' '.join(chosen.choice(pieces) + chosen.choice(ends)
                        for _ in range(chosen.randint(1, 9)))
        assert sentences(text) == theirs.tokenize(text), text


@pytest.mark.parametrize('text, expected_words', [
    ('This bird is red. it has wings', 'This bird is red . it has wings'),
    ('approx. 5 inches long (small).', 'approx. 5 inches long ( small ) .'),
    ('  a bird\u00a0with   wings ', 'a bird with wings'), ('', ''), (' \t', '')])
def test_words_of_captions(text, expected_words):
    assert words_of(text) == expected_words.split()
