"""Frozen TensorFlow graphs of others: they compute, and do nothing else."""

import os
import resource

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from export_toy import make_stage, run
from toy import tiny_config

from jobs import export as export_job
from stackgan.errors import InputError
from stackgan.export import check
from stackgan.export.exporting import export
from stackgan.export.model_file import ModelSampler, open_model
from stackgan.sampling.sample_request import SampleRequest
from stackgan.scoring.extractors import open_imagenet

PLATFORM = tiny_config().platform
OUTPUT = 'stage1/generator/images'
SECRET = b'this must never be seen in pixels'


@pytest.fixture(scope='module')
def ours(tmp_path_factory):
    """Bytes of a frozen Stage-I that export wrote."""
    folder = tmp_path_factory.mktemp('ours')
    config = tiny_config('export.batch_sizes=[2]', 'export.onnx=false')
    export(make_stage(folder / 'stage1', 1, config.model), str(folder), config.export,
           config.platform)
    return (folder / 'stackgan-stage1-b2.pb').read_bytes()


def generator(images):
    """A graph with the inputs and the output of Stage-I; `images` gives what comes out."""
    with tf.Graph().as_default() as graph:
        for name, width in (('embedding', 16), ('z', 6), ('noise1', 8)):
            tf.placeholder(tf.float32, [1, width], name)
        tf.identity(images(), OUTPUT)
    return graph.as_graph_def()


def plain():
    return tf.reshape(tf.constant(np.zeros(12288, np.float32)), [1, 64, 64, 3])


def refused(tmp_path, graph_def, words):
    """Is refused with these words in one line, whatever would open it."""
    path = tmp_path / 'hostile.pb'
    path.write_bytes(graph_def if isinstance(graph_def, bytes) else graph_def.SerializeToString())
    with pytest.raises(InputError) as error:
        open_model(str(path), PLATFORM)
    assert str(error.value).startswith(str(path) + ': '), error.value
    assert words in str(error.value) and '\n' not in str(error.value), error.value
    with pytest.raises(InputError, match='hostile.pb: not (the|a) frozen'):
        open_imagenet(str(path), PLATFORM)


def test_what_the_hostile_ones_begin_with_is_taken(tmp_path):
    (tmp_path / 'good.pb').write_bytes(generator(plain).SerializeToString())
    with ModelSampler(str(tmp_path / 'good.pb'), PLATFORM) as model:
        generated = model.generate([SampleRequest('a', np.zeros(16, np.float32), 0, {})], 1)
    assert generated[64].shape == (1, 64, 64, 3)


def read_secret(folder):
    return tf.cast(tf.decode_raw(tf.io.read_file(os.path.join(folder, 'secret')), tf.uint8),
                   tf.float32)[0] + plain()


def write_file(folder):
    with tf.control_dependencies([tf.io.write_file(os.path.join(folder, 'written'), 'x')]):
        return tf.identity(plain())


def py_func(folder):
    return tf.py_func(lambda x: open(os.path.join(folder, 'written'), 'w') and x, [plain()],
                      tf.float32)


@pytest.mark.parametrize('images, operation', [
    (read_secret, 'DecodeRaw'), (write_file, 'WriteFile'), (py_func, 'PyFunc'),
    (lambda folder: tf.while_loop(lambda x: True, lambda x: x + 1.0, [plain()]), 'While'),
    (lambda folder: tf.cond(tf.constant(True), plain, plain), 'If'),
    (lambda folder: tf.random_normal([1, 64, 64, 3]), 'RandomStandardNormal'),
    (lambda folder: tf.strings.to_number(tf.io.read_file('/etc/hostname')) + plain(), 'ReadFile'),
])
def test_operations_that_touch_something_are_refused(tmp_path, images, operation):
    (tmp_path / 'secret').write_bytes(SECRET)
    try:
        graph_def = generator(lambda: images(str(tmp_path)))
    except TypeError as error:
        pytest.skip(f'this TensorFlow cannot make such a graph: {error}')
    found = {node.op for node in graph_def.node}
    if operation not in found:                           # control flow of before version 2
        assert operation in ('While', 'If') and found & {'Enter', 'Switch', 'StatelessWhile',
                                                         'StatelessIf'}
        operation = 'it holds operations that a generator has not'
    refused(tmp_path, graph_def, operation)
    assert not (tmp_path / 'written').exists()


def test_shapes_are_not_computed_from_files(tmp_path):
    """TensorFlow evaluates what gives a shape when a graph is imported, before anything is run."""
    def images():
        size = tf.strings.to_number(tf.io.read_file(str(tmp_path / 'secret')), tf.int32)
        return tf.reshape(tf.zeros([1, 64, 64, 3]), tf.stack([1, 64, 64, size]))

    (tmp_path / 'secret').write_bytes(b'3')
    path = tmp_path / 'x.pb'
    path.write_bytes(generator(images).SerializeToString())
    findings = check.check_graph(check.read_graph(str(path)))
    assert any('shapes are not checked: it holds operations that' in finding.text
               and 'ReadFile' in finding.text for finding in findings)
    assert not any('TensorFlow cannot read it' in finding.text for finding in findings)
    assert run(export_job.JOB, tmp_path, check=str(path)) == 2


def function_that_writes(graph_def, folder):
    """Calls a function by its name, in the place of an operation."""
    inner = generator(lambda: write_file(folder))
    function = graph_def.library.function.add()
    function.signature.name = 'Innocent'
    function.signature.output_arg.add(name='y', type=tf.float32.as_datatype_enum)
    function.node_def.extend(inner.node)
    function.ret['y'] = OUTPUT + ':output:0'


def test_function_bodies_hide_nothing(tmp_path):
    graph_def = generator(plain)
    function_that_writes(graph_def, str(tmp_path))
    refused(tmp_path, graph_def, 'it holds functions')
    node, = [node for node in graph_def.node if node.name == OUTPUT]
    node.op = 'Innocent'
    refused(tmp_path, graph_def, 'operations that a generator has not: Innocent')
    del graph_def.library.function[:]
    node.op = 'Identity'
    node.attr['f'].func.name = 'Innocent'
    refused(tmp_path, graph_def, 'calls a function')
    node.attr['f'].list.func.add(name='Innocent')
    refused(tmp_path, graph_def, 'calls a function')


def test_devices_and_marks_of_placement_are_left_out(tmp_path):
    graph_def = generator(plain)
    for node in graph_def.node:
        node.device = '/job:elsewhere/task:3/device:TPU:9'
        node.attr['_class'].list.s.append(b'loc:@nowhere')
    (tmp_path / 'a.pb').write_bytes(graph_def.SerializeToString())
    with ModelSampler(str(tmp_path / 'a.pb'), PLATFORM) as model:
        assert model.generate([SampleRequest('a', np.zeros(16, np.float32), 0, {})],
                              1)[64].shape[0] == 1


def constant(shape, data=None, count=1):
    """A constant whose shape tells one number and whose data another."""
    def images():
        tf.constant(np.zeros(count, np.float32) if count else 0.0, name='liar')
        return plain()

    graph_def = generator(images)
    tensor = [node for node in graph_def.node if node.name == 'liar'][0].attr['value'].tensor
    del tensor.tensor_shape.dim[:]
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    if data is not None:
        tensor.ClearField('float_val')
        tensor.tensor_content = data
    return graph_def


@pytest.mark.parametrize('graph_def, words', [
    (lambda: constant([2000000000]), 'its constants declare 1999999999 elements that they'),
    (lambda: constant([1 << 40, 1 << 40]), 'elements that they do not store'),
    (lambda: constant([3], b'\0' * 8), 'liar is a constant of 8 bytes, which does not match its'),
    (lambda: constant([-5]), 'liar is a constant of unknown type or shape'),
    (lambda: constant([1] * 100), 'liar is a constant of unknown type or shape'),
    (lambda: generator(lambda: tf.fill([50000, 50000], 0.0)), '50000 x 50000 elements, more than'),
    (lambda: generator(lambda: tf.tile(plain(), [1, 1000, 1000, 1])), '64000 x 64000 x 3 elements'),
    (lambda: generator(lambda: tf.reshape(tf.zeros([60000, 1]) + tf.zeros([1, 60000]), [-1])),
     '60000 x 60000 elements'),
    (lambda: generator(lambda: tf.reshape(tf.zeros([64, 64, 1]), tf.fill([2], 64))),
     'Reshape computes the shape of its output'),
    (lambda: generator(lambda: tf.placeholder(tf.float32, name='x')), 'x has no fixed shape'),
])
def test_sizes_that_a_file_does_not_have_are_refused(tmp_path, graph_def, words):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(tmp_path, graph_def(), words)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500000     # KiB


def test_work_without_end_is_refused(tmp_path):
    def images():
        x = square = tf.constant(np.zeros([1024, 1024], np.float32))
        for _ in range(2000):
            x = tf.matmul(x, square)
        return plain() + tf.reshape(x, [-1])[0]

    def without_slice():
        x = square = tf.constant(np.zeros([1024, 1024], np.float32))
        for _ in range(2000):
            x = tf.matmul(x, square)
        return plain() + tf.reshape(tf.matmul(tf.zeros([1, 1024]), tf.matmul(
            x, tf.zeros([1024, 1]))), [])

    refused(tmp_path, generator(images), 'operations that a generator has not: StridedSlice')
    refused(tmp_path, generator(without_slice), 'more work than 2e+12 multiplications an image')


@pytest.mark.parametrize('data, words', [
    (b'', 'not a frozen TensorFlow graph; name a .pb'),
    (b'this is no graph', 'not a frozen TensorFlow graph ('),
    (b'\x0a\x00' * 600000, 'more than 500000 fields'),
    (b'\x0a\x05\x0a', 'the file is cut off'),
    (b'\x12\x04\x0a\x02\x1a\x00', 'not a frozen TensorFlow graph;'),
])
def test_files_that_are_no_graph(tmp_path, data, words):
    refused(tmp_path, data, words)


def test_only_regular_files_of_a_size_are_read(tmp_path):
    os.mkfifo(str(tmp_path / 'fifo.pb'))
    (tmp_path / 'zero.pb').symlink_to('/dev/zero')
    with open(str(tmp_path / 'sparse.pb'), 'wb') as stream:
        stream.truncate(3 << 30)
    for name, text in (('fifo', 'not a regular file'), ('zero', 'not a regular file'),
                       ('sparse', 'larger than 2147483647 bytes')):
        for opened in (open_model, open_imagenet):
            with pytest.raises(InputError, match=f'{name}.pb: .*{text}'):
                opened(str(tmp_path / name) + '.pb', PLATFORM)


def test_damage_anywhere_is_one_line(ours, tmp_path):
    """Cut off, or with other bytes: refused, or a graph whose numbers alone are others."""
    random = np.random.RandomState(5)
    arrays = {'embedding': np.zeros([2, 16]), 'z': np.zeros([2, 6]), 'noise1': np.zeros([2, 8])}
    path, outcomes = tmp_path / 'damaged.pb', set()
    for i in range(45):
        data = bytearray(ours)
        if i % 3 == 0:
            data = data[:random.randint(len(data))]
        elif i % 3 == 1:
            data[random.randint(len(data))] ^= 1 << random.randint(8)
        else:
            start = ours.rindex(b'Conv2D') - 2000              # where there are few numbers
            data[start + random.randint(2000)] = random.randint(256)
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


@pytest.mark.parametrize('name, value', [('data_format', b'NH\xc2C'), ('padding', b'SOME')])
def test_other_texts_of_attributes_do_not_reach_tensorflow(ours, tmp_path, name, value):
    """TensorFlow 1.15 ends with a segmentation fault at some."""
    graph_def = tf.GraphDef.FromString(ours)
    [node for node in graph_def.node if name in node.attr][0].attr[name].s = value
    refused(tmp_path, graph_def, f'has another {name} than ')
