"""Random checkpoints with the published names; what the original generates from one, in NumPy."""

import json
import os

import numpy as np
import tensorflow.compat.v1 as tf
from toy import ROOT

SHRINK = 16             # of the published dimensions
DIMS = ['model.generator_filters=8', 'model.discriminator_filters=4', 'model.condition_dim=8',
        'model.noise_dim=6', 'model.embedding_dim=64']


def listed(file):
    """[{'name', 'shape', 'trainable'}] of a public graph's variables."""
    with open(os.path.join(ROOT, 'tests', 'public_graphs', file)) as stream:
        return json.load(stream)


def listed_shapes(file):
    """{name: shape} of a public graph, kernels and colours as they are, the rest shrunk."""
    return {each['name']: [size if size <= 4 else size // SHRINK for size in each['shape']]
            for each in listed(file)}


def random_values(shapes, seed=0):
    """{name: array}: weights that keep the scale, statistics of every kind."""
    random, values = np.random.RandomState(seed), {}
    for name, shape in shapes.items():
        leaf = name.rpartition('/')[2]
        if leaf in ('variance', 'moving_variance'):
            value = random.uniform(0.3, 2.0, shape)
        elif leaf == 'gamma':
            value = random.normal(1.0, 0.1, shape)
        elif len(shape) > 1:
            value = random.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))
        else:
            value = 0.3 * random.standard_normal(shape)
        values[name] = np.asarray(value, np.float32)
    return values


def write_checkpoint(path, values):
    """By a Saver, as the public codes write theirs; returns the path."""
    with tf.Graph().as_default(), tf.Session() as session:
        holders = {name: tf.placeholder(tf.float32, value.shape)
                   for name, value in values.items()}
        session.run([tf.get_variable(name, holder.shape.as_list(), use_resource=True).assign(holder)
                     for name, holder in holders.items()],
                    {holders[name]: value for name, value in values.items()})
        return tf.train.Saver().save(session, str(path), write_meta_graph=False,
                                     write_state=False)


class Original:
    """Generators of hanzhanggit/StackGAN in test mode, layer by layer in the order of its code."""

    def __init__(self, values, network):
        self.values, self.network, self.counts = values, network, {}

    def _name(self, kind):
        number = self.counts.get(kind, 0)
        self.counts[kind] = number + 1
        return '%s_%d' % (kind, number) if number else kind

    def dense(self, x):
        name = '{}/{}/Linear/'.format(self.network, self._name('custom_fully_connected'))
        return x.dot(self.values[name + 'Matrix']) + self.values[name + 'bias']

    def norm(self, x, inner=None):
        outer = 'fc_batch_norm' if inner else self._name('conv_batch_norm')
        name = f'{self.network}/{outer}/{inner or outer}/'
        mean, variance, gamma, beta = [self.values[name + leaf].astype(np.float64) for leaf in
                                       ('mean', 'variance', 'gamma', 'beta')]
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta

    def conv(self, x, stride=1):
        name = self._name('custom_conv2d')
        kernel = self.values[f'{self.network}/{name}/{name}/w'].astype(np.float64)
        side, size = kernel.shape[0], x.shape[1] // stride
        pad = (side - 1) // 2
        x = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)], 'constant')
        total = 0
        for i in range(side):
            for j in range(side):
                part = x[:, i:i + stride * size:stride, j:j + stride * size:stride]
                total = total + part.dot(kernel[i, j])
        return total

    def up(self, x):
        return self.conv(x.repeat(2, axis=1).repeat(2, axis=2))

    def condition(self, embeddings, noise):
        both = self.dense(embeddings)
        mean, log_sigma = np.split(np.maximum(both, 0.2 * both), 2, axis=1)
        return mean + np.exp(log_sigma) * noise

    def stage1(self, embeddings, noise, z):
        c = self.condition(embeddings, noise)
        x = self.norm(self.dense(np.concatenate([c, z], 1)), 'batch_norm')
        x = self._bottleneck(x.reshape(len(z), 4, 4, -1))
        x = self._bottleneck(self.norm(self.up(x)))
        x = relu(self.norm(self.up(x)))
        x = relu(self.norm(self.up(x)))
        return np.tanh(self.up(x))

    def stage2(self, images, embeddings, noise):
        c = self.condition(embeddings, noise)
        x = relu(self.conv(images))
        x = relu(self.norm(self.conv(x, 2)))
        x = relu(self.norm(self.conv(x, 2)))
        spread = np.tile(c[:, None, None], [1, 16, 16, 1])
        x = relu(self.norm(self.conv(np.concatenate([x, spread], 3))))
        for _ in range(4):
            x = relu(x + self.norm(self.conv(relu(self.norm(self.conv(x))))))
        for _ in range(4):
            x = relu(self.norm(self.up(x)))
        return np.tanh(self.conv(x))

    def _bottleneck(self, x):
        branch = relu(self.norm(self.conv(x)))
        branch = relu(self.norm(self.conv(branch)))
        return relu(x + self.norm(self.conv(branch)))


def relu(x):
    return np.maximum(x, 0)
