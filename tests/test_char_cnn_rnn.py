"""The text encoder against NumPy, written from the published equations, and its sizes."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from stackgan.text.alphabet import encode_captions
from stackgan.text.char_cnn_rnn import text_encoder

CAPTIONS = ['this bird is red with black wings',
            'a small yellow-green bird, its bill is short; ' * 4, 'b']


class Encoder:
    """An encoder with random weights, and those weights by short names."""

    def __init__(self, cell, filters=(6, 5, 4), dim=7):
        self.codes = encode_captions(CAPTIONS)
        with tf.Graph().as_default(), tf.Session() as session:
            output = text_encoder(tf.constant(self.codes), cell, filters, dim)
            random = np.random.RandomState(0)
            self.weights = {}
            for variable in tf.global_variables():
                value = random.normal(0, 0.4, variable.shape.as_list()).astype(np.float32)
                variable.load(value, session)
                self.weights[variable.op.name.split('/', 1)[1]] = value.astype(np.float64)
            self.output = session.run(output)

    def linear(self, x, name):
        return x.dot(self.weights[name + '/weights']) + self.weights[name + '/biases']

    def convolutions(self, third_pool):
        """[N, T, C], by loops over positions."""
        x = np.zeros((len(self.codes), 201, 70))
        for n, t in zip(*np.nonzero(self.codes)):
            x[n, t, self.codes[n, t] - 1] = 1.0
        for name, stride in (('conv1', 3), ('conv2', 3), ('conv3', 2 if third_pool else None)):
            kernel, bias = self.weights[name + '/weights'][0], self.weights[name + '/biases']
            x = np.stack([np.tensordot(x[:, t:t + 4], kernel, ((1, 2), (0, 1))) + bias
                          for t in range(x.shape[1] - 3)], 1)
            x = np.where(x > 1e-6, x, 0.0)
            if stride:
                x = np.stack([x[:, t:t + 3].max(1)
                              for t in range(0, x.shape[1] - 2, stride)], 1)
        return x

    def project(self, states):
        return self.linear(np.mean(states, axis=0), 'project')


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def test_published_rnn():
    one = Encoder('published-rnn')
    x = one.convolutions(third_pool=True)
    assert x.shape[1] == 8
    states = [np.maximum(one.linear(x[:, 0], 'i2h'), 0)]
    for t in range(1, 8):
        states.append(np.maximum(one.linear(x[:, t], 'i2h') + one.linear(states[-1], 'h2h'), 0))
    assert np.abs(one.output - one.project(states)).max() < 1e-4


def test_published_gru():
    one = Encoder('published-gru')
    x = one.convolutions(third_pool=False)
    assert x.shape[1] == 18
    states = [np.tanh(one.linear(x[:, 0], 'i2h'))]
    for t in range(1, 18):
        h = states[-1]
        z = sigmoid(one.linear(x[:, t], 'i2h_update') + one.linear(h, 'h2h_update'))
        r = sigmoid(one.linear(x[:, t], 'i2h_reset') + one.linear(h, 'h2h_reset'))
        candidate = np.tanh(one.linear(x[:, t], 'i2h') + one.linear(r * h, 'h2h'))
        states.append(z * candidate + (1 - z) * h)
    assert np.abs(one.output - one.project(states)).max() < 1e-4


def test_standard_gru():
    one = Encoder('gru')
    x = one.convolutions(third_pool=False)
    states, h = [], np.zeros((len(x), 4))
    for t in range(18):
        a, b = one.linear(x[:, t], 'i2h'), one.linear(h, 'h2h')
        r, z = sigmoid(a[:, :4] + b[:, :4]), sigmoid(a[:, 4:8] + b[:, 4:8])
        h = (1 - z) * np.tanh(a[:, 8:] + r * b[:, 8:]) + z * h
        states.append(h)
    assert np.abs(one.output - one.project(states)).max() < 1e-4


@pytest.mark.parametrize('cell, width, size', [
    ('published-rnn', 256, 1814144), ('published-rnn', 512, 2994560),
    ('published-gru', 512, 4045184)])
def test_published_sizes(cell, width, size):
    with tf.Graph().as_default():
        text_encoder(tf.zeros([2, 201], tf.uint8), cell, (384, 512, width), 1024)
        assert sum(v.shape.num_elements() for v in tf.trainable_variables()) == size


def test_other_lengths_are_refused():
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match='codes: shape'):
            text_encoder(tf.zeros([2, 100], tf.uint8), 'gru', (4, 4, 4), 8)
