"""ONNX files of others: whatever they hold, they are run only if they do what ours do."""

import os
import resource

import numpy as np
import onnx
import pytest
from export_toy import make_stage, make_text_encoder
from onnx import TensorProto, helper, numpy_helper
from toy import tiny_config

from stackgan.errors import InputError
from stackgan.export import onnx_check
from stackgan.export.exporting import export
from stackgan.export.model_file import ModelSampler, open_model
from stackgan.export.onnx_check import read_onnx
from stackgan.export.onnx_file import OnnxTextEncoder
from stackgan.export.text_encoder import export_text_encoder
from stackgan.sampling.sample_request import SampleRequest

PLATFORM = tiny_config().platform
OUTPUT = 'stage1/generator/images'
SECRET = b'root:x:0:0:this must never be seen in pixels:/root:/bin/sh\n' * 1000


@pytest.fixture(scope='module')
def ours(tmp_path_factory):
    """(folder of an export of Stage-I, its model as an onnx.ModelProto)."""
    folder = tmp_path_factory.mktemp('ours')
    config = tiny_config('export.batch_sizes=[2]')
    export(make_stage(folder / 'stage1', 1, config.model), str(folder), config.export,
           config.platform)
    return folder, onnx.load(str(folder / 'stackgan-stage1-b2.onnx'))


def generator(*nodes, **more):
    """A model with the inputs and the output of Stage-I, and these nodes between."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width])
              for name, width in (('embedding', 16), ('z', 6), ('noise1', 8))]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, 64, 64, 3])
    graph = helper.make_graph(list(nodes), 'g', inputs, [output], more.pop('constants', []))
    model = helper.make_model(graph, opset_imports=more.pop(
        'opsets', [helper.make_opsetid('', 13)]), **more)
    model.ir_version = 7
    return model


def images(name='images'):
    return numpy_helper.from_array(np.zeros([1, 64, 64, 3], np.float32), name)


def identity(name='images'):
    return helper.make_node('Identity', [name], [OUTPUT])


def refused(tmp_path, model, words, name='hostile.onnx'):
    """Is refused with these words in one line of the file, by both that open such files."""
    path = tmp_path / name
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    for opened in (open_model, OnnxTextEncoder):
        with pytest.raises(InputError) as error:
            opened(str(path), PLATFORM)
        assert str(error.value).startswith(str(path) + ': '), error.value
        assert words in str(error.value) and '\n' not in str(error.value), error.value


def test_what_the_hostile_ones_begin_with_is_taken(tmp_path):
    path = tmp_path / 'good.onnx'
    path.write_bytes(generator(identity(), constants=[images()]).SerializeToString())
    with ModelSampler(str(path), PLATFORM) as model:
        generated = model.generate([SampleRequest('a', np.zeros(16, np.float32), 0, {})], 1)
    assert generated[64].shape == (1, 64, 64, 3)


@pytest.mark.parametrize('location', ['absolute', '../outside', 'link'])
@pytest.mark.parametrize('place', ['initializer', 'Constant', 'sparse', 'function', 'in a branch'])
def test_data_outside_of_the_file_is_refused(tmp_path, location, place):
    (tmp_path / 'outside').write_bytes(SECRET)
    folder = tmp_path / 'folder'
    folder.mkdir()
    (folder / 'link').symlink_to(tmp_path / 'outside')
    tensor = TensorProto(name='images', data_type=TensorProto.FLOAT, dims=[1, 64, 64, 3],
                         data_location=TensorProto.EXTERNAL)
    where = str(tmp_path / 'outside') if location == 'absolute' else location
    for key, value in (('location', where), ('length', '49152')):
        tensor.external_data.add(key=key, value=value)
    constant = helper.make_node('Constant', [], ['images'], value=tensor)
    if place == 'initializer':
        model = generator(identity(), constants=[tensor])
    elif place == 'Constant':
        model = generator(constant, identity())
    elif place == 'sparse':
        model = generator(identity())
        model.graph.sparse_initializer.add(dims=[1, 64, 64, 3]).values.CopyFrom(tensor)
    elif place == 'function':
        model = generator(helper.make_node('F', [], ['images']), identity())
        model.functions.add(name='F', output=['images']).node.append(constant)
    else:
        branch = helper.make_graph([constant], 'b', [], [helper.make_tensor_value_info(
            'images', TensorProto.FLOAT, [1, 64, 64, 3])])
        model = generator(helper.make_node('If', ['z'], [OUTPUT], then_branch=branch,
                                           else_branch=branch))
    words = {'initializer': 'it holds external data', 'Constant': 'a tensor as an attribute',
             'sparse': 'a sparse tensor', 'function': 'it holds functions',
             'in a branch': 'a graph within an operation'}[place]
    refused(folder, model, words)


def loop():
    """Counts for ever."""
    body = helper.make_graph([helper.make_node('Identity', ['go'], ['on'])], 'body', [
        helper.make_tensor_value_info('i', TensorProto.INT64, []),
        helper.make_tensor_value_info('go', TensorProto.BOOL, [])],
        [helper.make_tensor_value_info('on', TensorProto.BOOL, [])])
    return generator(helper.make_node('Loop', ['', 'images'], [OUTPUT], body=body),
                     constants=[images()])


def whole(name, *numbers):
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


@pytest.mark.parametrize('model, words', [
    (loop, 'it holds a graph within an operation, as Loop'),
    (lambda: generator(helper.make_node('SequenceEmpty', [], ['s']), identity(),
                       constants=[images()]), "operation 'SequenceEmpty': is not among"),
    (lambda: generator(helper.make_node('ConstantOfShape', ['n'], [OUTPUT]),
                       constants=[whole('n', 2000000000)]), "operation 'ConstantOfShape': is not"),
    (lambda: generator(helper.make_node('Tile', ['images', 'n'], ['many']), identity(),
                       constants=[images(), whole('n', 1, 1000, 1000, 1)]),
     "operation 'Tile': a tensor of 1 x 64000 x 64000 x 3 numbers, more than 1073741824"),
    (lambda: generator(helper.make_node('Tile', ['images', 'z'], ['many']), identity(),
                       constants=[images()]),
     "takes its shape from 'z', which is not a short constant"),
    (lambda: generator(helper.make_node('Add', ['row', 'column'], ['many']), identity(),
                       constants=[images(), numpy_helper.from_array(np.zeros([50000, 1]), 'row')]),
     "an empty constant or one of an unexpected type: 'row'"),
    (lambda: generator(helper.make_node('Add', ['row', 'column'], ['many']), identity(), constants=[
        images(), numpy_helper.from_array(np.zeros([50000, 1], np.float32), 'row'),
        numpy_helper.from_array(np.zeros([1, 50000], np.float32), 'column')]),
     "operation 'Add': a tensor of 50000 x 50000 numbers"),
    (lambda: generator(helper.make_node('Identity', ['images'], [OUTPUT], domain='com.microsoft'),
                       constants=[images()]), "operation 'Identity': is not among"),
    (lambda: generator(identity(), constants=[images()], opsets=[
        helper.make_opsetid('', 13), helper.make_opsetid('com.microsoft', 1)]),
     "its operator sets are 'ONNX' 13, 'com.microsoft' 1, expected"),
    (lambda: generator(identity('nothing')), "reads 'nothing', which does not exist"),
    (lambda: generator(identity(), constants=[images(), images()]), 'missing or duplicate name'),
    (lambda: generator(identity(), constants=[
        TensorProto(name='images', data_type=1, dims=[1, 64, 64, 3], raw_data=b'\0' * 8)]),
     'a constant of 8 bytes, which does not match its shape'),
    (lambda: generator(identity(), constants=[
        TensorProto(name='images', data_type=1, dims=[1 << 62] * 5, raw_data=b'\0' * 8)]),
     'a constant of 8 bytes, which does not match its shape'),
    (lambda: generator(identity(), constants=[images('a\n\x1b[2J')]), "reads 'images'"),
    (lambda: generator(identity('\x1b[2J\n')), r"reads '\x1b[2J\n', which does not exist"),
])
def test_other_operations_and_sizes_are_refused(tmp_path, model, words):
    refused(tmp_path, model(), words)


def test_work_without_end_is_refused(tmp_path):
    """Small tensors, over and over."""
    square = numpy_helper.from_array(np.zeros([1024, 1024], np.float32), 'm')
    nodes = [helper.make_node('MatMul', ['m' if i == 0 else 'm%d' % i, 'm'], ['m%d' % (i + 1)])
             for i in range(2000)]
    refused(tmp_path, generator(*nodes + [identity()], constants=[images(), square]),
            "operation 'MatMul': takes more than 2e+12 multiplications per image")


def test_another_format_of_onnx_runtime_in_disguise_is_refused(tmp_path):
    """ONNX Runtime looks at these four bytes before it reads protocol buffers."""
    model = b'\x12\x06\0\0ORTM' + generator(identity(), constants=[images()]).SerializeToString()
    refused(tmp_path, model, 'it is of another format')


@pytest.mark.parametrize('data, words', [
    (b'', 'its operator sets are none'),
    (b'\x3a\x05abc', 'the file is cut off'),
    (b'\x08' + b'\xff' * 11, 'a number of more than 64 bits'),
    (b'\x0b\x0b\x0b', 'ir_version in the file is of another wire type'),
    (b'\x12\x02\xff\xfe', 'producer_name in the file is not UTF-8'),
    (b'\x08\x07\x08\x07', 'the file has two of ir_version'),
    (b'\x42\x00' * 300000, 'more than 200000 fields'),
    (b'\x12\xff\xff\x01' + b'a' * 32767, 'producer_name in the file has 32767 bytes, more than'),
])
def test_messages_that_are_none(tmp_path, data, words):
    refused(tmp_path, data, words)


def test_only_regular_files_of_a_size_are_read(tmp_path, monkeypatch):
    os.mkfifo(str(tmp_path / 'fifo.onnx'))
    (tmp_path / 'folder.onnx').mkdir()
    (tmp_path / 'zero.onnx').symlink_to('/dev/zero')
    for name in ('fifo.onnx', 'folder.onnx', 'zero.onnx'):
        with pytest.raises(InputError, match=f'{name}: cannot be read: not a regular file'):
            read_onnx(str(tmp_path / name))
    with open(str(tmp_path / 'sparse.onnx'), 'wb') as stream:
        stream.truncate(3 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match='sparse.onnx: larger than 2147483647 bytes; name an'):
        read_onnx(str(tmp_path / 'sparse.onnx'))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100000    # KiB


def test_damage_anywhere_is_one_line(ours, tmp_path):
    """Cut off, or with other bytes: refused, or a model whose numbers alone are others."""
    whole_file = (ours[0] / 'stackgan-stage1-b2.onnx').read_bytes()
    random = np.random.RandomState(5)
    arrays = {'embedding': np.zeros([2, 16]), 'z': np.zeros([2, 6]), 'noise1': np.zeros([2, 8])}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    path, outcomes = tmp_path / 'damaged.onnx', set()
    for i in range(60):
        data = bytearray(whole_file)
        if i % 3 == 0:
            data = data[:random.randint(len(data))]
        elif i % 3 == 1:                                       # where nodes are, not numbers
            data[random.randint(8000)] ^= 1 << random.randint(8)
        else:
            data[random.randint(len(data))] = random.randint(256)
        path.write_bytes(bytes(data))
        try:
            model = open_model(str(path), PLATFORM)
            generated = model.run(arrays)
            outcomes.add('run')
            assert generated[64].shape == (2, 64, 64, 3)
        except InputError as error:
            outcomes.add('refused')
            assert str(error).startswith(str(path)) and '\n' not in str(error)
    assert outcomes == {'run', 'refused'}


@pytest.mark.parametrize('cell', ['gru', 'published-gru', 'published-rnn'])
def test_shapes_are_those_that_onnx_infers(ours, tmp_path, cell):
    """Our rules against the rules of the onnx package, on all that export writes."""
    encoder = make_text_encoder(tmp_path / 'encoder', cell=cell)
    export_text_encoder(encoder, str(tmp_path), PLATFORM)
    for path in (ours[0] / 'stackgan-stage1-b2.onnx', tmp_path / 'text-encoder.onnx'):
        model = onnx.load(str(path))
        data = onnx_check.read_message(model.SerializeToString(), onnx_check.MODEL,
                                       onnx_check.Budget(100000))
        shapes = onnx_check._Shapes(data['graph'])
        shapes.check(data['graph'])
        inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
        assert len(inferred) > 30
        for value in inferred:
            sides = tuple(each.dim_value for each in value.type.tensor_type.shape.dim)
            assert shapes.shapes[value.name] == sides, value.name
