"""The char-CNN-RNN in NumPy, by loops, written from the published equations."""

import numpy as np


class Oracle:
    """`weights`: {'conv1/weights': (1, 4, in, out), 'i2h/biases': (out,), ...}, float64."""

    def __init__(self, codes, weights):
        self.codes = codes
        self.weights = {name: np.asarray(value, np.float64) for name, value in weights.items()}

    def embed(self, cell):
        x = self.convolutions(third_pool=cell == 'published-rnn')
        states = {'gru': self.gru, 'published-gru': self.published_gru,
                  'published-rnn': self.published_rnn}[cell](x)
        return self.linear(np.mean(states, axis=0), 'project')

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

    def published_rnn(self, x):
        assert x.shape[1] == 8
        states = [np.maximum(self.linear(x[:, 0], 'i2h'), 0)]
        for t in range(1, 8):
            states.append(np.maximum(self.linear(x[:, t], 'i2h')
                                     + self.linear(states[-1], 'h2h'), 0))
        return states

    def published_gru(self, x):
        assert x.shape[1] == 18
        states = [np.tanh(self.linear(x[:, 0], 'i2h'))]
        for t in range(1, 18):
            h = states[-1]
            z = sigmoid(self.linear(x[:, t], 'i2h_update') + self.linear(h, 'h2h_update'))
            r = sigmoid(self.linear(x[:, t], 'i2h_reset') + self.linear(h, 'h2h_reset'))
            candidate = np.tanh(self.linear(x[:, t], 'i2h') + self.linear(r * h, 'h2h'))
            states.append(z * candidate + (1 - z) * h)
        return states

    def gru(self, x):
        width = x.shape[2]
        states, h = [], np.zeros((len(x), width))
        for t in range(18):
            a, b = self.linear(x[:, t], 'i2h'), self.linear(h, 'h2h')
            r = sigmoid(a[:, :width] + b[:, :width])
            z = sigmoid(a[:, width:2 * width] + b[:, width:2 * width])
            h = (1 - z) * np.tanh(a[:, 2 * width:] + r * b[:, 2 * width:]) + z * h
            states.append(h)
        return states


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))
