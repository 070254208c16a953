"""Stage-II: a 256x256 image from a 64x64 one and its caption (Zhang et al., 2017, section 3.4).

As hanzhanggit/StackGAN `stageII/model.py`. With the paper's dimensions the generator has
26,290,080 parameters and the discriminator 48,603,520.
"""

from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.networks.casting import cast
from stackgan.networks.conditioning import augmented_condition
from stackgan.networks.layers import (
    ForwardMode,
    always_training,
    check_shape,
    conv,
    conv_norm,
    leaky_relu,
    spread,
    variable,
)
from stackgan.networks.stage1 import SIZE as LOW_SIZE
from stackgan.networks.stage1 import Generated, bottleneck, match_logits

SIZE = 256                      # side of the images
GENERATOR = 'stage2/generator'  # variable scopes
DISCRIMINATOR = 'stage2/discriminator'
FACTOR = SIZE // LOW_SIZE
SMOOTH = np.array([1, 2, 2, 2, 1], np.float32) / 8.0      # a box of 4 pixels, centred on one


def generator(
        low: Generated,           # of Stage-I
        embeddings: tf.Tensor,    # [N, embedding_dim] float32
        noise: tf.Tensor,         # [N, condition_dim] float32, for an augmentation of its own
        dims: Any,                # the `model` section of the configuration
        mode: ForwardMode,
) -> Generated:
    """`Generated` 256x256 images.

    With `dims.stage2_residual` they are tanh(what Stage-I made, enlarged + a convolution that
    starts at zero), so that an untrained Stage-II is Stage-I. The sum is one of logits because
    there nothing has to be cut off, and because tanh makes the slopes between two colours steeper
    again that enlarging made flat.

    `mode.ascend_port` reproduces the port: the batch norm of `join` always with the statistics of
    the batch.
    """
    check_shape(low.images, [None, LOW_SIZE, LOW_SIZE, 3], 'low.images')
    check_shape(embeddings, [None, dims.embedding_dim], 'embeddings')
    width = dims.generator_filters
    with tf.variable_scope(GENERATOR, reuse=tf.AUTO_REUSE):
        condition = augmented_condition(embeddings, noise, dims)
        x = cast(low.images, mode.compute_dtype)
        first = tf.nn.relu(conv(x, width, 'encode1'))                            # [N, 64, 64, gf]
        second = conv_norm(first, 2 * width, 'encode2', mode, tf.nn.relu, 4, 2)  # [N, 32, 32, 2 gf]
        x = conv_norm(second, 4 * width, 'encode3', mode, tf.nn.relu, 4, 2)  # [N, 16, 16, 4 gf]
        x = tf.concat([x, spread(cast(condition.value, x.dtype), 16)], 3)
        x = conv_norm(x, 4 * width, 'join', always_training(mode), tf.nn.relu)
        for i in range(1, dims.stage2_residual_blocks + 1):
            x = _residual(x, 'block%d' % i, mode)
        x = conv_norm(x, 2 * width, 'up1', mode, tf.nn.relu, upsample=True)  # [N, 32, 32, 2 gf]
        if dims.stage2_skip_connections:
            x += second
        x = conv_norm(x, width, 'up2', mode, tf.nn.relu, upsample=True)      # [N, 64, 64, gf]
        if dims.stage2_skip_connections:
            x += first
        last = _conv_from_zero if dims.stage2_residual else conv
        if dims.stage2_sub_pixel:
            x = conv_norm(x, width, 'refine1', mode, tf.nn.relu)             # [N, 64, 64, gf]
            x = conv_norm(x, width, 'refine2', mode, tf.nn.relu)             # [N, 64, 64, gf]
            logits = unfolded(last(x, 3 * FACTOR ** 2, 'image'))            # [N, 256, 256, 3]
        else:
            x = conv_norm(x, width // 2, 'up3', mode, tf.nn.relu, upsample=True)  # 128 px
            x = conv_norm(x, width // 4, 'up4', mode, tf.nn.relu, upsample=True)  # 256 px
            logits = last(x, 3, 'image')
        logits = cast(logits, tf.float32)
        if dims.stage2_residual:
            logits = enlarge(low.logits) + logits
        images = tf.tanh(logits, 'images')
    return Generated(images, condition, logits)


def discriminator(
        images: tf.Tensor,        # [N, 256, 256, 3] float32 in [-1, 1]
        embeddings: tf.Tensor,    # [N, embedding_dim] float32
        dims: Any,                # the `model` section of the configuration
        mode: ForwardMode,
) -> tf.Tensor:
    """Logits [N]: is this a real image, and of this caption?"""
    check_shape(images, [None, SIZE, SIZE, 3], 'images')
    check_shape(embeddings, [None, dims.embedding_dim], 'embeddings')
    width = dims.discriminator_filters
    with tf.variable_scope(DISCRIMINATOR, reuse=tf.AUTO_REUSE):
        x = cast(images, mode.compute_dtype)
        x = leaky_relu(conv(x, width, 'down1', 4, 2))                        # [N, 128, 128, df]
        for i in range(2, 7):                                                # to [N, 4, 4, 32 df]
            x = conv_norm(x, 2 ** (i - 1) * width, 'down%d' % i, mode, leaky_relu, 4, 2)
        x = conv_norm(x, 16 * width, 'reduce1', mode, leaky_relu, kernel=1)
        x = conv_norm(x, 8 * width, 'reduce2', mode, kernel=1)               # [N, 4, 4, 8 df]
        x = bottleneck(x, 2 * width, 'block', mode, leaky_relu)
        return match_logits(x, embeddings, dims.condition_dim, mode)


def unfolded(
        x: tf.Tensor,             # [N, H, W, 48]: rows, columns and channels of 4 x 4 pixels
) -> tf.Tensor:
    """Every position as the square of pixels it holds: [N, 4 H, 4 W, 3].

    As tf.depth_to_space, of operations that the export knows.
    """
    _, height, width, channels = x.shape.as_list()
    colours = channels // FACTOR ** 2
    rows = [tf.reshape(row, [-1, height, FACTOR * width, colours])
            for row in tf.split(x, FACTOR, 3)]
    return tf.reshape(tf.concat(rows, 2), [-1, FACTOR * height, FACTOR * width, colours])


def enlarge(
        images: tf.Tensor,        # [N, H, W, C]
) -> tf.Tensor:
    """Enlarged by 4, nearly as by linear interpolation: [N, 4H, 4W, C].

    Of operations that every converter knows: pixels repeated, then the mean of their neighbours,
    at the edges of those there are.
    """
    _, height, width, channels = images.shape.as_list()
    kernel = np.multiply.outer(np.outer(SMOOTH, SMOOTH), np.eye(channels, dtype=np.float32))
    x = tf.image.resize_nearest_neighbor(images, [FACTOR * height, FACTOR * width])
    x = tf.nn.conv2d(x, tf.constant(kernel), strides=[1, 1, 1, 1], padding='SAME')
    rows, columns = [1.0 / np.convolve(np.ones(FACTOR * side, np.float32), SMOOTH, 'same')
                     for side in (height, width)]
    return x * tf.constant(rows.reshape(1, -1, 1, 1)) * tf.constant(columns.reshape(1, 1, -1, 1))


def _conv_from_zero(x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """As layers.conv, but every weight starts at zero, and so do the outputs."""
    with tf.variable_scope(name):
        weights = variable('weights', [3, 3, x.shape.as_list()[3], filters],
                           tf.zeros_initializer())
        return tf.nn.conv2d(x, cast(weights, x.dtype), strides=[1, 1, 1, 1], padding='SAME')


def _residual(x: tf.Tensor, name: str, mode: ForwardMode) -> tf.Tensor:
    """Residual block of two 3x3 convolutions: as `x`, [N, H, W, C]."""
    channels = x.shape.as_list()[3]
    with tf.variable_scope(name):
        branch = conv_norm(x, channels, 'conv1', mode, tf.nn.relu)
        branch = conv_norm(branch, channels, 'conv2', mode)
    return tf.nn.relu(x + branch)
