"""Published char-CNN-RNN encoders: .t7 files of their structure, read back; files that are not."""

import json
import os
import struct
import sys

import numpy as np
import pytest
from char_cnn_rnn_oracle import Oracle
from logged import logged
from torch7_toy import Network, Storage, Tensor, Torch, Writer, save
from toy import tiny_config

from stackgan.errors import InputError, MissingRequirement
from stackgan.text import torch7
from stackgan.text.alphabet import encode_captions
from stackgan.text.encoder import TextEncoder, open_text_encoder
from stackgan.text.npz import Archive
from stackgan.text.published import convert_published, read_published

CAPTIONS = ['a red-and-white bird, with a thick bill', 'a small bird ' * 20, 'b']


def in_our_layout(weights):
    """Torch's arrays by loops: a convolution's row is position after position."""
    found = {}
    for name, value in weights.items():
        if name.endswith('/bias'):
            found[name + 'es'] = value
        elif name.startswith('conv'):
            inputs = value.shape[1] // 4
            kernel = np.zeros((1, 4, inputs, len(value)))
            for position in range(4):
                for channel in range(inputs):
                    kernel[0, position, channel] = value[:, position * inputs + channel]
            found[name + 's'] = kernel
        else:
            found[name + 's'] = value.T
    return found


def convert(path, folder, dim=7):
    os.makedirs(str(folder))
    with logged() as lines:
        convert_published(str(path), str(folder), dim)
    return lines


@pytest.mark.parametrize('cell, bare, form', [
    ('published-gru', False, {}), ('published-rnn', False, {}),
    ('published-gru', False, {'old': True}), ('published-gru', True, {'seed': 2}),
    ('published-rnn', False, {'kind': 'Cuda', 'seed': 3})])
def test_embeddings_equal_the_published_equations(cell, bare, form, tmp_path):
    network = Network(cell, **form)
    path = save(tmp_path / 'lm.t7', network.net if bare else network.checkpoint())
    lines = convert(path, tmp_path / 'encoder')
    assert 'nothing is trained' in lines[0] and cell in lines[0]
    with open_text_encoder(str(tmp_path / 'encoder'), tiny_config().platform) as encoder:
        assert isinstance(encoder, TextEncoder)
        found = encoder.embed(CAPTIONS)
    expected = Oracle(encode_captions(CAPTIONS), in_our_layout(network.weights)).embed(cell)
    assert np.abs(found - expected).max() < 1e-4 and np.abs(expected).max() > 0.1
    options = json.load(open(str(tmp_path / 'encoder' / 'options.json')))
    assert (options['kind'], options['cell'], options['filters']) == (
        'char-CNN-RNN', cell, [6, 5, 4])
    assert options['source']['file'] == 'lm.t7'


def test_the_order_of_modules_is_that_of_published_files():
    """0-based positions that a public reader of the published files uses."""
    positions = {'published-gru': [1, 4, 5, 8, 9, 10, 14], 'published-rnn': [1, 4, 5]}
    for cell, expected in positions.items():
        modules = Network(cell).recurrent.fields['modules']
        assert [i for i, each in enumerate(modules)
                if each.kind == 'nn.Sequential'][:len(expected)] == expected
    assert len(Network('published-gru').recurrent.fields['modules']) == 344


@pytest.mark.parametrize('cell, width, size', [
    ('published-rnn', 256, 1814144), ('published-gru', 512, 4045184)])
def test_full_size(cell, width, size, tmp_path):
    path = save(tmp_path / 'full.t7', Network(cell, (384, 512, width), 1024).checkpoint())
    found, weights = read_published(path)
    assert found == cell and sum(value.size for value in weights.values()) == size


def test_a_changed_archive_is_not_used(tmp_path):
    convert(save(tmp_path / 'a.t7', Network('published-rnn').checkpoint()), tmp_path / 'encoder')
    with open(str(tmp_path / 'encoder' / 'weights.npz'), 'r+b') as stream:
        stream.seek(300)
        stream.write(b'!')
    with pytest.raises(InputError, match='weights.npz: has changed since it was converted'):
        TextEncoder(str(tmp_path / 'encoder'), tiny_config().platform)


# Networks that are no published encoder.

def differ_in_a_copy(network):
    """A step with weights of its own, as a lost share() leaves them."""
    linear = network.recurrent.fields['modules'][24].fields['modules'][0]
    tensor = linear.fields['weight']
    linear.fields['weight'] = Tensor(Storage(np.ones(16, np.float32)), 0, tensor.sizes)


def narrow_i2h(network):
    sequential = network.net.fields['modules'][1].fields['modules']
    sequential[6].fields['weight'] = Tensor(Storage(np.ones(400, np.float32)), 0, [4, 24])


def other_pooling(network):
    network.net.fields['modules'][1].fields['modules'][2].fields['dW'] = 2


def table_for_a_width(network):
    table = {'a': 1}
    for _ in range(60):
        table = {'a': table, 'b': table}            # 2 ** 60 values when it is shown
    network.net.fields['modules'][1].fields['modules'][2].fields['kW'] = table


def tensor_for_a_width(network):
    tensor = Tensor(Storage(np.ones(4, np.float32)), 0, [4])
    network.net.fields['modules'][1].fields['modules'][0].fields['kW'] = tensor


def not_a_number(network):
    network.views[0][0].storage.values[5] = np.nan


@pytest.mark.parametrize('change, text', [
    (differ_in_a_copy, 'linear layers 2 and 8 of the recurrent part should share the weights of '
                       'i2h_update but differ'),
    (narrow_i2h, 'conv3 has a width of 6, expected 5'),
    (other_pooling, 'a pooling over 3 positions, 2 apart'),
    (table_for_a_width, 'dict'), (tensor_for_a_width, 'a convolution over ndarray positions'),
    (not_a_number, 'conv1 holds non-finite values (NaN or infinite)')])
def test_networks_that_do_not_fit(change, text, tmp_path):
    network = Network('published-gru')
    change(network)
    with pytest.raises(InputError) as error:
        read_published(save(tmp_path / 'a.t7', network.checkpoint()))
    assert text in str(error.value) and '\n' not in str(error.value)


def test_other_contents_and_sizes(tmp_path):
    with pytest.raises(InputError, match='gives its last state and not the mean'):
        read_published(save(tmp_path / 'a.t7', Network('published-gru', averages=False).net))
    with pytest.raises(InputError, match='it holds fea_txt, raw_txt and no network'):
        read_published(save(tmp_path / 'a.t7', {'raw_txt': ['a bird'], 'fea_txt': []}))
    with pytest.raises(InputError, match='it is a nn.Sequential of nn.Linear'):
        read_published(save(tmp_path / 'a.t7', Torch('nn.Sequential',
                                                     modules=[Torch('nn.Linear')])))
    with pytest.raises(InputError, match='--set model.embedding_dim=7$'):
        convert(save(tmp_path / 'a.t7', Network('published-rnn').net), tmp_path / 'out', dim=9)


# Hostile and damaged files.

def tensor(sizes, strides, offset=0, count=8, kind='Float'):
    return Tensor(Storage(np.zeros(count, np.float32), kind), offset, sizes, strides)


@pytest.mark.parametrize('value, text', [
    (tensor([4, 4], [4, 1]), 'a tensor of size [4, 4], strides [4, 1] and offset 0 in a storage'),
    (tensor([2], [1], offset=7), 'offset 7 in a storage of 8'),
    (tensor([2], [1], offset=-3), 'offset -3'),
    (tensor([2], [-1], offset=4), 'with strides [-1]'),
    (tensor([-2], [1]), 'a tensor of size [-2]'),
    (tensor([1 << 40, 1 << 20], [0, 0]), 'in a storage of 8 values'),
    (tensor([1 << 20], [0]), 'in a storage of 8 values'),
    (tensor([2, 2], [1 << 62, 1 << 62]), 'in a storage of 8 values'),
    (tensor([1] * 9, [1] * 9), 'a tensor of 9 dimensions'),
    (Tensor(Storage(np.zeros(8, np.float32), 'Double'), 0, [4]), 'bytes where the file has')])
def test_tensors_outside_of_their_storage(value, text, tmp_path):
    with pytest.raises(InputError) as error:
        torch7.load_torch7(save(tmp_path / 'a.t7', value))
    assert text in str(error.value)


def head(*numbers):
    return struct.pack('<%di' % len(numbers), *numbers)


def storage_of(count):
    return head(4, 1, 3) + b'V 1' + head(18) + b'torch.FloatStorage' + struct.pack('<q', count)


@pytest.mark.parametrize('data, text', [
    (b'', 'not a whole binary .t7 file'),
    (b'hello world, this is text', 'not a whole binary .t7 file'),
    (head(2, 1 << 30) + b'abc', 'a text of 1073741824 bytes where the file has 3 left'),
    (head(2, -1) + b'abc', 'a text of -1 bytes'),
    (storage_of(1 << 60), 'a storage of 4611686018427387904 bytes where the file has 0 left'),
    (storage_of(-1), 'a storage of -4 bytes'),
    (head(3, 1, 1 << 30), 'not a whole binary .t7 file'),
    (b''.join(head(3, i, 1, 5, 1) for i in range(5000)), 'more than 3000 values within each other'),
    (head(3, 1, 1 << 30) + head(0, 0) * 600000, 'more than 1000000 values'),
    (head(99), 'unknown object type')])
def test_damaged_files(data, text, tmp_path):
    path = tmp_path / 'a.t7'
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        torch7.load_torch7(str(path))
    assert text in str(error.value) and '\n' not in str(error.value)


def test_every_cut_and_many_flips_end_in_one_error(tmp_path):
    data = Writer().write({'net': Torch('nn.Linear', weight=tensor([2, 3], [3, 1]), bias=None),
                           'names': ['a', 'b'], 'rate': 0.5, 'flag': True}).bytes()
    path, random = tmp_path / 'a.t7', np.random.RandomState(0)
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError):
            torch7.load_torch7(str(path))
    for _ in range(600):
        damaged = bytearray(data)
        damaged[random.randint(len(data))] = random.randint(256)
        path.write_bytes(bytes(damaged))
        try:
            torch7.load_torch7(str(path))
        except InputError as error:
            assert '\n' not in str(error)


def test_names_of_classes_are_never_imported(tmp_path):
    import sys
    (tmp_path / 'trap_of_a_t7.py').write_text('raise SystemExit("imported")')
    sys.path.insert(0, str(tmp_path))
    try:
        value = torch7.load_torch7(save(tmp_path / 'a.t7', Torch('trap_of_a_t7.run', cmd='ls')))
    finally:
        sys.path.remove(str(tmp_path))
    assert torch7.type_of(value) == 'trap_of_a_t7.run' and 'trap_of_a_t7' not in sys.modules
    assert torch7.field(value, 'cmd') == b'ls'


def test_names_in_messages_are_short_and_printable(tmp_path):
    path = save(tmp_path / 'a.t7', Torch('nn.Identity\x1b[31m\n' + 'x' * 500, modules=[]))
    with pytest.raises(InputError) as error:
        read_published(path)
    assert r'nn.Identity\x1b[31m\nxxx' in str(error.value) and str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / 'a.t7'))
    os.mkfifo(str(tmp_path / 'a.npz'))
    with pytest.raises(InputError, match='a.t7: cannot be read .not a regular file'):
        torch7.load_torch7(str(tmp_path / 'a.t7'))
    with pytest.raises(InputError, match='a.npz: not a readable .npz archive'):
        Archive(str(tmp_path / 'a.npz'))


def test_too_large_a_file(tmp_path, monkeypatch):
    path = save(tmp_path / 'a.t7', 'text')
    monkeypatch.setattr(torch7, 'MAX_BYTES', 5)
    with pytest.raises(InputError, match='it has 12 bytes, at most 5 are read'):
        torch7.load_torch7(path)


def test_without_torchfile(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchfile', None)
    with pytest.raises(MissingRequirement, match='install the extra `published` of'):
        torch7.load_torch7(save(tmp_path / 'a.t7', 1))
