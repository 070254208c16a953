"""Nearest upsampling by 2 followed by a 3x3 convolution, in two forms with the same result.

After nearest upsampling, a pixel of the output sees only 2x2 different pixels of the input, so the
nine products of a 3x3 kernel are four with the sums of its weights: a transposed convolution with
stride 2 and a 4x4 kernel, 2.25 times fewer multiplications and no enlarged tensor.
"""

from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.networks.casting import cast
from stackgan.networks.weights import counted_as

MIN_SIDE = 8       # of the input: below it the transposed convolution is slower
# Along one axis the 4 weights are [w2, w1 + w2, w0 + w1, w0] of the 3.
AXIS = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], np.float32)
OPERATIONS = 4     # of the plain form: reading the kernel, the sides, resizing, convolving


def upsample_and_convolve(
        x: Any,              # [N, H, W, C]
        kernel: Any,         # [3, 3, C, filters]
        transposed: bool,    # the transposed convolution, where it is faster
) -> Any:
    """[N, 2H, 2W, filters], SAME padding."""
    _, height, width, _ = x.shape.as_list()
    if transposed and min(height, width) >= MIN_SIDE:
        with counted_as(OPERATIONS):
            return _transposed(x, kernel)
    x = tf.image.resize_nearest_neighbor(x, [2 * height, 2 * width])
    return tf.nn.conv2d(x, cast(kernel, x.dtype), strides=[1, 1, 1, 1], padding='SAME')


def _transposed(x: Any, kernel: Any) -> Any:
    size, height, width, channels = x.shape.as_list()
    filters = kernel.shape.as_list()[3]
    both = np.kron(AXIS, AXIS)                                       # [16, 9]
    larger = tf.matmul(both, tf.reshape(kernel, [9, channels * filters]))
    larger = tf.transpose(tf.reshape(larger, [4, 4, channels, filters]), [0, 1, 3, 2])
    shape = [tf.shape(x)[0] if size is None else size, 2 * height, 2 * width, filters]
    return tf.nn.conv2d_transpose(x, cast(larger, x.dtype), shape, strides=[1, 2, 2, 1],
                                  padding='SAME')
