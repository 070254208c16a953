"""A small convolutional image encoder, trained from scratch beside the text encoder.

Reed et al. use fixed features of a network trained on ImageNet. This one needs nothing but the
dataset. The largest response of each filter anywhere in the image
is kept: means over the image, which is mostly background, learned far more slowly.
"""

import tensorflow.compat.v1 as tf

from stackgan.networks.layers import (
    ForwardMode,
    batch_norm,
    check_shape,
    conv_norm,
    dense,
    leaky_relu,
)

SCOPE = 'image_encoder'
SIZE = 64                      # side of the images


def image_encoder(
        images: tf.Tensor,     # [N, 64, 64, 3] float32 in [-1, 1]
        filters: int,          # width of the first convolution
        embedding_dim: int,
        mode: ForwardMode,
) -> tf.Tensor:
    """Image features: [N, embedding_dim] float32, outputs of a linear layer."""
    check_shape(images, [None, SIZE, SIZE, 3], 'images')
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        x, largest = images, []
        for number, width in enumerate((1, 2, 4, 8), 1):          # sides 32, 16, 8, 4
            x = conv_norm(x, width * filters, f'conv{number}', mode, leaky_relu,
                          kernel=4, stride=2)
            largest.append(tf.reduce_max(x, [1, 2]))
        with tf.variable_scope('largest'):
            x = batch_norm(tf.concat(largest, 1), mode)           # [N, 15 * filters]
        return dense(x, embedding_dim, 'project')


def as_floats(
        images: tf.Tensor,     # uint8 in [0, 255]
) -> tf.Tensor:
    """The same images as float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0
