"""A small convolutional image encoder, trained from scratch beside the text encoder.

Reed et al. use fixed features of a network trained on ImageNet. This one needs nothing but the
dataset. The largest response of each filter anywhere in the image is kept: means over the image,
which is mostly background, learned far more slowly. Root mean squares lie between the two: they
learn nearly as fast, and a generator that is to please this encoder must paint a whole wing,
where a speck has the largest response as well.
"""

from typing import Any, Callable, Dict, List

import tensorflow.compat.v1 as tf

from stackgan.networks.layers import (
    ForwardMode,
    batch_norm,
    check_shape,
    conv_norm,
    dense,
    leaky_relu,
)
from stackgan.text.options import IMAGE_POOLINGS

SCOPE = 'image_encoder'
SIZE = 64                      # side of the images
TINY = 1e-4                    # under the root: its slope at 0 is finite


def _largest(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(x, [1, 2])


def _root_mean_square(x: tf.Tensor) -> tf.Tensor:
    """Of the positive responses."""
    squares = tf.square(tf.nn.relu(tf.cast(x, tf.float32)))
    return tf.sqrt(tf.reduce_mean(squares, [1, 2]) + TINY)


POOLINGS: Dict[str, Callable[[tf.Tensor], tf.Tensor]] = dict(       # [N, H, W, C] to [N, C]
    zip(IMAGE_POOLINGS, (_largest, _root_mean_square)))


def image_encoder(
        images: tf.Tensor,     # [N, 64, 64, 3] float32 in [-1, 1]
        options: Dict[str, Any],     # of its text encoder: image_filters, the width of the first
                                     # convolution, embedding_dim, image_pooling
        mode: ForwardMode,
) -> tf.Tensor:
    """Image features: [N, embedding_dim] float32, outputs of a linear layer."""
    pool = POOLINGS[options['image_pooling']]
    pooled = [pool(each) for each in feature_maps(images, options, mode)]
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        with tf.variable_scope('largest'):                        # whatever the pooling
            x = batch_norm(tf.concat(pooled, 1), mode)            # [N, 15 * filters]
        return dense(x, options['embedding_dim'], 'project')


def feature_maps(
        images: tf.Tensor,     # [N, 64, 64, 3] in [-1, 1]
        options: Dict[str, Any],     # as of `image_encoder`
        mode: ForwardMode,
) -> List[tf.Tensor]:
    """What its convolutions give: sides 32, 16, 8 and 4; filters, twice, 4 and 8 times as many."""
    check_shape(images, [None, SIZE, SIZE, 3], 'images')
    found, x = [], images
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        for number, times in enumerate((1, 2, 4, 8), 1):
            x = conv_norm(x, times * options['image_filters'], f'conv{number}', mode, leaky_relu,
                          kernel=4, stride=2)
            found.append(x)
    return found


def as_floats(
        images: tf.Tensor,     # uint8 in [0, 255]
) -> tf.Tensor:
    """The same images as float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0
