"""The scorer: a small classifier of the Inception family (Szegedy et al., 2015 and 2016).

Convolutions and a pooling, then blocks of four parallel branches with reductions between them,
the mean over the image, a linear layer. For datasets without a fine-tuned Inception-v3.
"""

from typing import NamedTuple, Optional

import tensorflow.compat.v1 as tf

from stackgan.networks.layers import ForwardMode, check_shape, conv_norm, dense

SCOPE = 'scorer'


class ClassifierOutputs(NamedTuple):
    logits: Optional[tf.Tensor]     # [N, classes] float32; None for a network without classes
    features: tf.Tensor             # [N, D] float32: the input of the last layer


def scorer(
        images: tf.Tensor,  # [N, S, S, 3] float32 in [-1, 1]
        classes: int,
        filters: int,       # width of the first convolution
        blocks: int,        # number of blocks; between two of them the sides are halved
        mode: ForwardMode,
) -> ClassifierOutputs:
    """`ClassifierOutputs`, with 8 * filters * blocks features."""
    check_shape(images, [None, None, None, 3], 'images')
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        x = conv_norm(images, filters, 'conv1', mode, tf.nn.relu, stride=2)  # [N, S/2, S/2, f]
        x = conv_norm(x, 2 * filters, 'conv2', mode, tf.nn.relu)
        x = _max_pool(x)                                                     # [N, S/4, S/4, 2f]
        for number in range(1, blocks + 1):
            if number > 1:
                x = _reduction(x, 'reduction%d' % number, mode)
            x = _block(x, 2 * filters * number, 'block%d' % number, mode)
        features = tf.reduce_mean(x, [1, 2])
        return ClassifierOutputs(dense(features, classes, 'logits'), features)


def _block(x: tf.Tensor, width: int, name: str, mode: ForwardMode) -> tf.Tensor:
    """Four branches side by side: [N, H, W, 4 * width]."""
    with tf.variable_scope(name):
        def conv(x: tf.Tensor, scope: str, kernel: int) -> tf.Tensor:
            return conv_norm(x, width, scope, mode, tf.nn.relu, kernel)

        double = conv(conv(conv(x, 'double1', 1), 'double2', 3), 'double3', 3)
        pooled = tf.nn.avg_pool(x, [1, 3, 3, 1], [1, 1, 1, 1], 'SAME')
        return tf.concat([conv(x, 'one', 1), conv(conv(x, 'three1', 1), 'three2', 3), double,
                          conv(pooled, 'pooled', 1)], 3)


def _reduction(x: tf.Tensor, name: str, mode: ForwardMode) -> tf.Tensor:
    """A convolution and a pooling side by side: [N, H/2, W/2, 1.5 C]."""
    with tf.variable_scope(name):
        half = x.shape.as_list()[3] // 2
        return tf.concat([conv_norm(x, half, 'conv', mode, tf.nn.relu, stride=2),
                          _max_pool(x)], 3)


def _max_pool(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool(x, [1, 3, 3, 1], [1, 2, 2, 1], 'SAME')
