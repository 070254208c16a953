"""Layers of the StackGAN networks: raw TensorFlow ops and `get_variable`, NHWC.

As in hanzhanggit/StackGAN `misc/custom_ops.py`: convolutions without bias, dense layers with
one, batch norm with decay 0.9 and epsilon 1e-5, weights from N(0, 0.02), gamma from N(1, 0.02).
Everything exists in TensorFlow 1.15 and in every later `tensorflow.compat.v1`.

Variables are float32. A layer computes in the type of its input, to which it casts its weights;
batch norm takes its statistics in float32 whatever the type.
"""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from stackgan.networks.casting import cast
from stackgan.networks.synchronised_batch_norm import synchronised_batch_norm
from stackgan.networks.upsampling import upsample_and_convolve
from stackgan.networks.weights import normal

BATCH_NORM_DECAY = 0.9
BATCH_NORM_EPSILON = 1e-5
LEAK = 0.2


class ForwardMode(NamedTuple):
    """How one pass through a network behaves; several passes share the variables."""

    training: bool
    # True: batch norm uses the statistics of the batch; False: the moving statistics.
    statistics: Optional[List[tuple]] = None
    # Where batch norm records (moving variable, its value in this batch); None: nowhere.
    groups: int = 1
    # The batch is this many batches one after the other; batch norm treats each by itself.
    ascend_port: bool = False
    # True: the deviations of the Ascend port (see the generators), for its checkpoints.
    folded: bool = False
    # True: batch norm is in the weights, and only an offset of the outputs is left (`export`).
    transposed: bool = False
    # True: upsampling and its convolution are one transposed convolution where that is faster.
    compute_dtype: Any = tf.float32
    # What convolutions and matrix products compute in. Inputs, logits and images are float32.
    workers: Any = None
    # Over whose rows too batch norm takes its statistics (platforms.workers); None: no others.


TESTING = ForwardMode(training=False)
ASCEND_PORT = 'ascend-port'       # `compat` of a checkpoint that generates as the port does


def inference_mode(
        compat: Optional[str],     # of a checkpoint: ASCEND_PORT or None
) -> ForwardMode:
    """The `ForwardMode` that generates with a checkpoint."""
    return TESTING._replace(ascend_port=compat == ASCEND_PORT)


def always_training(mode: ForwardMode) -> ForwardMode:
    """The `ForwardMode` of the batch norms that the Ascend port leaves in training mode."""
    return mode._replace(training=True) if mode.ascend_port else mode


def check_shape(
        tensor: Any,       # of static rank
        expected: Sequence[Optional[int]],     # one entry a dimension; None allows any size
        name: str,         # what the message calls the tensor
) -> None:
    """Raises ValueError where the static shape of `tensor` is not `expected`."""
    actual = tensor.shape.as_list() if tensor.shape.ndims is not None else None
    fits = actual is not None and len(actual) == len(expected) and all(
        want is None or got == want for got, want in zip(actual, expected))
    if not fits:
        raise ValueError(f'{name}: shape {actual}, expected {list(expected)}')


def variable(name: str, shape: Sequence[int], initializer: Any, trainable: bool = True) -> Any:
    return tf.get_variable(name, shape, tf.float32, initializer, trainable=trainable,
                           use_resource=True)


def weights(shape: Sequence[int]) -> Any:
    return variable('weights', shape, normal(0.0))


def leaky_relu(x: Any) -> Any:
    return tf.nn.leaky_relu(x, alpha=LEAK)


def dense(
        x: Any,            # [N, inputs]
        units: int,        # number of outputs
        name: str,
) -> Any:
    """Fully connected layer with bias: [N, units]."""
    with tf.variable_scope(name):
        kernel = weights([x.shape.as_list()[1], units])
        biases = variable('biases', [units], tf.zeros_initializer())
        return tf.nn.bias_add(tf.matmul(x, cast(kernel, x.dtype)), cast(biases, x.dtype))


def conv(
        x: Any,            # [N, H, W, C]
        filters: int,      # number of output channels
        name: str,
        kernel: int = 3,   # side of the square kernel
        stride: int = 1,
) -> Any:
    """Convolution without bias, SAME padding: [N, ceil(H / stride), ceil(W / stride), filters]."""
    with tf.variable_scope(name):
        w = weights([kernel, kernel, x.shape.as_list()[3], filters])
        return tf.nn.conv2d(x, cast(w, x.dtype), strides=[1, stride, stride, 1], padding='SAME')


def upsample_conv(
        x: Any,            # [N, H, W, C]
        filters: int,      # number of output channels
        name: str,
        mode: ForwardMode,
) -> Any:
    """Nearest upsampling by 2, then a 3x3 convolution without bias: [N, 2H, 2W, filters]."""
    with tf.variable_scope(name):
        w = weights([3, 3, x.shape.as_list()[3], filters])
        return upsample_and_convolve(x, w, mode.transposed)     # which casts w


def batch_norm(
        x: Any,            # [N, C] or [N, H, W, C]
        mode: ForwardMode,
) -> Any:
    """Batch norm over all axes but the last, with scale and offset, in the current scope."""
    channels = x.shape.as_list()[-1]
    if mode.folded:
        return tf.nn.bias_add(x, variable('offset', [channels], tf.zeros_initializer()))
    if x.shape.ndims == 2:
        return tf.squeeze(batch_norm(tf.reshape(x, [-1, 1, 1, channels]), mode), [1, 2])
    gamma = variable('gamma', [channels], normal(1.0))
    beta = variable('beta', [channels], tf.zeros_initializer())
    moving_mean = variable('moving_mean', [channels], tf.zeros_initializer(), False)
    moving_variance = variable('moving_variance', [channels], tf.ones_initializer(), False)
    if not mode.training:
        return tf.nn.fused_batch_norm(x, gamma, beta, moving_mean, moving_variance,
                                      epsilon=BATCH_NORM_EPSILON, is_training=False)[0]
    if mode.workers is not None:
        y, mean, variance = synchronised_batch_norm(x, gamma, beta, mode.groups,
                                                    BATCH_NORM_EPSILON, mode.workers)
        if mode.statistics is not None:
            mode.statistics.extend([(moving_mean, mean), (moving_variance, variance)])
        return y
    parts = [tf.nn.fused_batch_norm(part, gamma, beta, epsilon=BATCH_NORM_EPSILON)
             for part in (tf.split(x, mode.groups) if mode.groups > 1 else [x])]
    if mode.statistics is not None:
        mode.statistics.append((moving_mean, _mean([mean for _, mean, _ in parts])))
        mode.statistics.append((moving_variance, _mean([var for _, _, var in parts])))
    return parts[0][0] if mode.groups == 1 else tf.concat([y for y, _, _ in parts], 0)


def _mean(tensors: Sequence[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else tf.add_n(tensors) / len(tensors)


def conv_norm(
        x: Any,                     # [N, H, W, C]
        filters: int,               # number of output channels
        name: str,
        mode: ForwardMode,
        activation: Optional[Callable[[Any], Any]] = None,    # applied to the normalised output
        kernel: int = 3,
        stride: int = 1,
        upsample: bool = False,     # True: double the sides first
) -> Any:
    """Convolution and batch norm, in one scope: [N, H', W', filters]."""
    x = (upsample_conv(x, filters, name, mode) if upsample
         else conv(x, filters, name, kernel, stride))
    with tf.variable_scope(name):
        x = batch_norm(x, mode)
    return activation(x) if activation else x


def spread(
        vectors: Any,      # [N, C]
        size: int,         # side of the square
) -> Any:
    """Repeats each vector over a square: [N, size, size, C]."""
    return tf.tile(tf.reshape(vectors, [-1, 1, 1, vectors.shape.as_list()[1]]), [1, size, size, 1])
