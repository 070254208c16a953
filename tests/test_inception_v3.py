"""StackGAN's Inception-v3 and the frozen one: names, values, what is refused."""

import os
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from export_toy import fill
from published_toy import listed
from toy import tiny_config

from stackgan.errors import InputError
from stackgan.scoring.extractors import open_imagenet, open_stackgan
from stackgan.scoring.inception_v3 import AVERAGE, find_checkpoint, inception_v3

CLASSES = 3
PLATFORM = tiny_config().platform


def shapes(classes):
    with tf.Graph().as_default():
        inception_v3(tf.placeholder(tf.float32, [1, 299, 299, 3]), classes)
        return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


def test_the_numbers_of_the_public_graph():
    found = shapes(50)
    kinds = [name.split('/')[-1] for name in found]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        'weights': 98, 'beta': 96, 'moving_mean': 96, 'moving_variance': 96, 'biases': 2}
    assert sum(int(np.prod(shape)) for shape in found.values()) == 24505094


def test_every_name_and_shape_is_the_public_graph_s():
    public = listed('inception.json')
    assert shapes(50) == {each['name']: each['shape'] for each in public}
    assert {each['name'] + AVERAGE for each in public} == {each['restored_as'] for each in public}


# Values, against the same network in NumPy, written from the description of the public one.

class Oracle:
    def __init__(self, values):
        self.values = values

    def conv(self, x, scope, stride=1, padding='SAME'):
        w = self.values[scope + '/weights']
        height, width, _, filters = w.shape
        if padding == 'SAME':
            x = np.pad(x, [((height - 1) // 2,) * 2, ((width - 1) // 2,) * 2, (0, 0)], 'constant')
        patches = windows(x, height, width, stride)
        y = patches.reshape(patches.shape[:2] + (-1,)).dot(w.reshape(-1, filters))
        norm = {name: self.values[f'{scope}/BatchNorm/{name}']
                for name in ('beta', 'moving_mean', 'moving_variance')}
        y = (y - norm['moving_mean']) / np.sqrt(norm['moving_variance'] + 0.001) + norm['beta']
        return np.maximum(y, 0)

    def convs(self, x, scope, count, **last):
        for i in range(count):
            name = scope + '/Conv' + ('_%d' % i if i else '')
            x = self.conv(x, name, **(last if i == count - 1 else {}))
        return x

    def average(self, x, scope):
        ones = np.pad(np.ones(x.shape), [(1, 1), (1, 1), (0, 0)], 'constant')
        padded = np.pad(x, [(1, 1), (1, 1), (0, 0)], 'constant')
        mean = windows(padded, 3, 3, 1).sum((2, 3)) / windows(ones, 3, 3, 1).sum((2, 3))
        return self.convs(mean, scope + '/branch_pool', 1)

    def largest(self, x):
        return windows(x, 3, 3, 2).max((2, 3))

    def mixed(self, x, scope, counts):
        branches = [self.convs(x, scope + '/' + name, count) for name, count in counts]
        return np.concatenate(branches + [self.average(x, scope)], 2)

    def reduced(self, x, scope, counts):
        branches = [self.convs(x, scope + '/' + name, count, stride=2, padding='VALID')
                    for name, count in counts]
        return np.concatenate(branches + [self.largest(x)], 2)

    def last(self, x, scope):
        three = self.convs(x, scope + '/branch3x3', 1)
        double = self.convs(x, scope + '/branch3x3dbl', 2)
        return np.concatenate([
            self.convs(x, scope + '/branch1x1', 1),
            self.conv(three, scope + '/branch3x3/Conv_1'),
            self.conv(three, scope + '/branch3x3/Conv_2'),
            self.conv(double, scope + '/branch3x3dbl/Conv_2'),
            self.conv(double, scope + '/branch3x3dbl/Conv_3'), self.average(x, scope)], 2)

    def run(self, image):
        """(logits without the background, features) of an image [299, 299, 3] uint8."""
        x = self.conv(image / 127.5 - 1, 'conv0', 2, 'VALID')
        x = self.largest(self.conv(self.conv(x, 'conv1', 1, 'VALID'), 'conv2'))
        x = self.largest(self.conv(self.conv(x, 'conv3'), 'conv4', 1, 'VALID'))
        for name in ('256a', '288a', '288b'):
            x = self.mixed(x, 'mixed_35x35x' + name, [('branch1x1', 1), ('branch5x5', 2),
                                                      ('branch3x3dbl', 3)])
        x = self.reduced(x, 'mixed_17x17x768a', [('branch3x3', 1), ('branch3x3dbl', 3)])
        for name in 'bcde':
            x = self.mixed(x, 'mixed_17x17x768' + name, [('branch1x1', 1), ('branch7x7', 3),
                                                         ('branch7x7dbl', 5)])
        x = self.reduced(x, 'mixed_17x17x1280a', [('branch3x3', 2), ('branch7x7x3', 4)])
        features = self.last(self.last(x, 'mixed_8x8x2048a'), 'mixed_8x8x2048b').mean((0, 1))
        logits = features.dot(self.values['logits/logits/weights'])
        return (logits + self.values['logits/logits/biases'])[1:], features


def windows(x, height, width, stride):
    """[H', W', height, width, C] of an array [H, W, C]: VALID."""
    shape = ((x.shape[0] - height) // stride + 1, (x.shape[1] - width) // stride + 1,
             height, width, x.shape[2])
    steps = x.strides
    return np.lib.stride_tricks.as_strided(
        x, shape, (steps[0] * stride, steps[1] * stride) + steps, writeable=False)


def random_values():
    random, values = np.random.RandomState(0), {}
    for name, shape in sorted(shapes(CLASSES).items()):
        kind = name.split('/')[-1]
        if kind == 'weights':
            value = random.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[:-1]))
        elif kind == 'moving_variance':
            value = random.uniform(0.7, 1.3, shape)
        else:
            value = random.standard_normal(shape) * 0.2
        values[name] = value.astype(np.float32)
    return values


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """(folder of a checkpoint as the public one, {name: value})."""
    folder, values = tmp_path_factory.mktemp('valid299'), random_values()
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.get_variable(name + AVERAGE, value.shape) for name, value in values.items()]
        variables += [tf.get_variable('global_step', [], tf.int64, tf.zeros_initializer())]
        session.run(variables[-1].initializer)
        fill(session, list(zip(variables, values.values())))
        tf.train.Saver(variables).save(session, str(folder / 'model.ckpt'), write_state=True)
    return str(folder), values


@pytest.mark.parametrize('name', ['', 'model.ckpt', 'model.ckpt.index'])
def test_the_checkpoint_is_found(checkpoint, name):
    found = find_checkpoint(os.path.join(checkpoint[0], name).rstrip('/'))
    assert found.prefix == os.path.join(checkpoint[0], 'model.ckpt')
    assert [os.path.basename(path) for path in found.files] == [
        'model.ckpt.index', 'model.ckpt.data-00000-of-00001']


@pytest.mark.outermost
def test_values(checkpoint):
    folder, values = checkpoint
    image = np.random.RandomState(1).randint(0, 256, (299, 299, 3)).astype(np.uint8)
    with open_stackgan(folder, CLASSES, PLATFORM) as network:
        logits, features = network.run([network.prepare(image)])
    expected = Oracle(values).run(image)
    assert logits.shape == (1, CLASSES) and features.shape == (1, 2048)
    assert expected[1].std() > 0.01
    for found, wanted in zip((logits[0], features[0]), expected):
        assert np.allclose(found, wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())


def test_the_wrong_number_of_classes(checkpoint):
    with pytest.raises(InputError, match=r'model.ckpt: has 3 classes, but score.stackgan_clas'
                                         r'ses is 50 \(50 for the birds'):
        open_stackgan(checkpoint[0], 50, PLATFORM)


def test_a_truncated_checkpoint(checkpoint, tmp_path):
    folder = str(tmp_path / 'cut')
    shutil.copytree(checkpoint[0], folder)
    data = [name for name in os.listdir(folder) if '.data-' in name][0]
    with open(os.path.join(folder, data), 'r+b') as stream:
        stream.truncate(1000000)
    with pytest.raises(InputError, match='model.ckpt: not a readable checkpoint .*unpack it again'):
        open_stackgan(folder, CLASSES, PLATFORM)


def test_another_checkpoint_and_none(tmp_path):
    with pytest.raises(InputError, match='no checkpoint there; score.stackgan_weights names'):
        find_checkpoint(str(tmp_path))
    with tf.Graph().as_default(), tf.Session() as session:
        one = tf.get_variable('one', [], initializer=tf.zeros_initializer())
        session.run(one.initializer)
        for name in ('a', 'b'):
            tf.train.Saver([one]).save(session, str(tmp_path / name))
    with pytest.raises(InputError, match='several checkpoints: a, b'):
        find_checkpoint(str(tmp_path))
    with pytest.raises(InputError, match='388 of its 388 EMA weights are missing'):
        open_stackgan(str(tmp_path / 'a'), CLASSES, PLATFORM)


# The frozen graph.

def fake_inception(path, more=None):
    """Writes a frozen graph with the names of the public one: means of the three channels."""
    weights = np.random.RandomState(2).standard_normal((3, 1008)).astype(np.float32)
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [1, None, None, 3], 'ExpandDims')
        resized = tf.image.resize_bilinear(images, [299, 299])
        pooled = tf.reduce_mean((resized - 128.0) / 128.0, [1, 2], keepdims=True, name='pool_3')
        product = tf.matmul(tf.reshape(pooled, [1, 3]), weights, name='softmax/logits/MatMul')
        tf.nn.softmax(tf.nn.bias_add(product, np.ones(1008, np.float32)), name='softmax')
        if more:
            more()
        with open(path, 'wb') as stream:
            stream.write(graph.as_graph_def().SerializeToString())
    return weights


@pytest.mark.outermost
def test_the_frozen_graph(tmp_path):
    path = str(tmp_path / 'graph.pb')
    weights = fake_inception(path)
    images = [np.full((200 + i, 256, 3), [10 * i, 128, 255], np.uint8) for i in range(20)]
    with open_imagenet(path, PLATFORM) as network:
        logits, features = network.run([network.prepare(each) for each in images])
    expected = np.array([[10 * i, 128, 255] for i in range(20)]) / 128.0 - 1
    assert np.allclose(features, expected, atol=1e-4)
    assert np.allclose(logits, expected.dot(weights), atol=1e-3)          # without the bias


def test_a_frozen_graph_that_does_more_is_refused(tmp_path):
    path = str(tmp_path / 'graph.pb')
    fake_inception(path, lambda: tf.io.write_file(str(tmp_path / 'written'), 'x'))
    with pytest.raises(InputError, match='operations that an Inception has not: WriteFile'):
        open_imagenet(path, PLATFORM)
    with pytest.raises(InputError, match='nowhere.pb: cannot be read: No such file'):
        open_imagenet(str(tmp_path / 'nowhere.pb'), PLATFORM)
    (tmp_path / 'text.pb').write_text('no graph, certainly')
    with pytest.raises(InputError, match='text.pb: not the frozen Inception graph of 2015'):
        open_imagenet(str(tmp_path / 'text.pb'), PLATFORM)
