"""The char-CNN-RNN: characters to an embedding (Reed et al., CVPR 2016, section 4).

Three convolutions over time, a recurrent part of a fixed number of steps, the mean of its
states, a linear layer. Three forms:

published-gru    the encoder of the birds of StackGAN: 18 steps of a gated cell of its own kind.
published-rnn    that of the flowers: one more pooling, then 8 steps of a plain ReLU cell.
gru              the convolutions of the first form, then a standard GRU (h0 = 0, z keeps the old
                 state, reset after the product as in cuDNN): one product a step instead of
                 three, which leaves the gradient of 18 steps half the work. For new encoders.

With the published widths (384, 512, 512), or (384, 512, 256), and 1024 outputs the published
forms have the published numbers of parameters, and their weights can be read in.
"""

from typing import Any, Callable, List, Sequence

import tensorflow.compat.v1 as tf

from stackgan.networks.layers import check_shape, variable
from stackgan.text.alphabet import ALPHABET, MAX_LENGTH

SCOPE = 'text_encoder'
KERNEL = 4                     # characters, then positions, that a convolution spans
THRESHOLD = 1e-6               # Torch's nn.Threshold; smaller values become 0
PUBLISHED_RANGE = 0.08         # published training starts from U(-0.08, 0.08), biases too


def text_encoder(
        codes: tf.Tensor,          # [N, 201] uint8, 0 to 70
        cell: str,                 # 'gru', 'published-gru' or 'published-rnn'
        filters: Sequence[int],    # outputs of the three convolutions; the last: width of the cell
        embedding_dim: int,
        is_trained: bool = True,   # False: half as many operations or fewer, with the same results
                                   # but for rounding in TensorFlow 1.15
) -> tf.Tensor:
    """Embeddings: [N, embedding_dim] float32, outputs of a linear layer, not normalised."""
    check_shape(codes, [None, MAX_LENGTH], 'codes')
    weights = _Weights(cell != 'gru', is_trained)
    recurrent = {'gru': _gru, 'published-gru': _published_gru, 'published-rnn': _published_rnn}
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        x = _convolutions(codes, filters, weights, third_pool=cell == 'published-rnn')
        states = recurrent[cell](x, weights)
        mean = tf.add_n(states) / float(len(states))                 # [N, filters[2]]
        return weights.dense(mean, embedding_dim, 'project')


class _Weights:
    """Linear layers whose weights start as the form of the encoder wants it.

    TensorFlow 1.15 draws initial weights from the number of operations made before, so an encoder
    that is trained keeps those it always had.
    """

    def __init__(self, is_published: bool, is_trained: bool) -> None:
        self.is_published, self.is_trained = is_published, is_trained

    def conv(self, x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
        """Over time, VALID: [N, 1, T, C] to [N, 1, T - 3, filters]."""
        with tf.variable_scope(name):
            shape = [1, KERNEL, x.shape.as_list()[3], filters]
            kernel = variable('weights', shape, self._initializer(relu=True))
            biases = variable('biases', [filters], self._bias_initializer())
            x = tf.nn.conv2d(x, kernel, strides=[1, 1, 1, 1], padding='VALID')
            return self.rectified(tf.nn.bias_add(x, biases))

    def dense(self, x: tf.Tensor, units: int, name: str) -> tf.Tensor:
        """[..., C] to [..., units]."""
        *outer, inputs = x.shape.as_list()
        with tf.variable_scope(name):
            kernel = variable('weights', [inputs, units], self._initializer())
            is_flat = not (outer[1:] or self.is_trained)
            y = tf.matmul(x if is_flat else tf.reshape(x, [-1, inputs]), kernel)
            biases = variable('biases', [units], self._bias_initializer())
            y = tf.nn.bias_add(y, biases)
            if is_flat:
                return y
            return tf.reshape(y, [-1 if size is None else size for size in outer] + [units])

    def split(self, x: tf.Tensor, *sizes: int) -> Sequence[tf.Tensor]:
        """The columns of x in two parts of these sizes."""
        if not self.is_trained:
            return tf.split(x, sizes, 1)
        return [x[:, :sizes[0]], x[:, sizes[0]:]]

    def rectified(self, x: tf.Tensor) -> tf.Tensor:
        if self.is_published:
            return tf.where(x > THRESHOLD, x, tf.zeros_like(x))
        return tf.nn.relu(x)

    def _initializer(self, relu: bool = False) -> Any:
        if self.is_published:
            return tf.random_uniform_initializer(-PUBLISHED_RANGE, PUBLISHED_RANGE)
        return tf.variance_scaling_initializer(
            2.0 if relu else 1.0, 'fan_in', 'truncated_normal')

    def _bias_initializer(self) -> Any:
        return self._initializer() if self.is_published else tf.zeros_initializer()


def _convolutions(codes: tf.Tensor, filters: Sequence[int], weights: _Weights,
                  third_pool: bool) -> tf.Tensor:
    """[N, T, filters[2]] with T = 18, or 8 after a third pooling."""
    x = tf.one_hot(tf.cast(codes, tf.int32) - 1, len(ALPHABET))  # code 0 gives a zero column
    x = x[:, tf.newaxis]                                         # [N, 1, 201, 70]
    x = _pool(weights.conv(x, filters[0], 'conv1'), stride=3)    # [N, 1, 66, filters[0]]
    x = _pool(weights.conv(x, filters[1], 'conv2'), stride=3)    # [N, 1, 21, filters[1]]
    x = weights.conv(x, filters[2], 'conv3')                     # [N, 1, 18, filters[2]]
    if third_pool:
        x = _pool(x, stride=2)                                   # [N, 1, 8, filters[2]]
    return x[:, 0]


def _pool(x: tf.Tensor, stride: int) -> tf.Tensor:
    return tf.nn.max_pool(x, [1, 1, 3, 1], [1, 1, stride, 1], 'VALID')


def _published_rnn(x: tf.Tensor, weights: _Weights) -> List[tf.Tensor]:
    """h1 = relu(W x1 + b);  ht = relu(W xt + b + V h(t-1) + c)."""
    width = x.shape.as_list()[2]
    inputs = tf.unstack(weights.dense(x, width, 'i2h'), axis=1)
    states = [tf.nn.relu(inputs[0])]
    for a in inputs[1:]:
        states.append(tf.nn.relu(a + weights.dense(states[-1], width, 'h2h')))
    return states


def _published_gru(x: tf.Tensor, weights: _Weights) -> List[tf.Tensor]:
    """h1 = tanh(W x1 + b), and for t > 1, with a for W xt + b of each gate:

    z = sigmoid(a_z + Vz h + cz),  r = sigmoid(a_r + Vr h + cr)
    h' = z tanh(a + V (r h) + c) + (1 - z) h

    Not a standard GRU: no gate at the first step, z admits the new, reset before the product.
    """
    width = x.shape.as_list()[2]
    inputs, updates, resets = [tf.unstack(weights.dense(x, width, name), axis=1)
                               for name in ('i2h', 'i2h_update', 'i2h_reset')]
    states = [tf.tanh(inputs[0])]
    for a, a_update, a_reset in zip(inputs[1:], updates[1:], resets[1:]):
        h = states[-1]
        z = tf.sigmoid(a_update + weights.dense(h, width, 'h2h_update'))
        r = tf.sigmoid(a_reset + weights.dense(h, width, 'h2h_reset'))
        candidate = tf.tanh(a + weights.dense(r * h, width, 'h2h'))
        states.append(z * candidate + (1.0 - z) * h)
    return states


def _gru(x: tf.Tensor, weights: _Weights) -> List[tf.Tensor]:
    """r, z = sigmoid(a + V h + c);  h' = (1 - z) tanh(a_n + r (Vn h + cn)) + z h;  h0 = 0."""
    width = x.shape.as_list()[2]
    inputs = tf.unstack(weights.dense(x, 3 * width, 'i2h'), axis=1)
    h = tf.zeros_like(x[:, 0])

    def step(a: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        b = weights.dense(h, 3 * width, 'h2h')
        a_gates, a_new = weights.split(a, 2 * width, width)
        b_gates, b_new = weights.split(b, 2 * width, width)
        r, z = weights.split(tf.sigmoid(a_gates + b_gates), width, width)
        candidate = tf.tanh(a_new + r * b_new)
        return (1.0 - z) * candidate + z * h

    if not weights.is_trained and tf.__version__.startswith('1.'):
        return _looped(step, inputs, h)
    states = []
    for a in inputs:
        h = step(a, h)
        states.append(h)
    return states


def _looped(step: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], inputs: Sequence[tf.Tensor],
            h: tf.Tensor) -> List[tf.Tensor]:
    """The states after each step, by a loop in the graph.

    At the first run the MKL build of TensorFlow 1.15 takes milliseconds for each operation that it
    rewrites: nearly a second for all steps one after the other.
    """
    count = len(inputs)
    given = tf.TensorArray(tf.float32, count).unstack(tf.stack(inputs))
    written = tf.TensorArray(tf.float32, count, element_shape=h.shape)

    def body(t: tf.Tensor, h: tf.Tensor, written: tf.TensorArray) -> Any:
        h = step(given.read(t), h)
        return t + 1, h, written.write(t, h)

    written = tf.while_loop(lambda t, *_: t < count, body, (0, h, written))[2]
    return [written.read(t) for t in range(count)]
