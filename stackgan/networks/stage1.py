"""Stage-I: a 64x64 image from a caption embedding and noise (Zhang et al., 2017, section 3.3).

As hanzhanggit/StackGAN `stageI/model.py`, network type "default". With the paper's dimensions
the generator has 14,264,192 parameters and the discriminator 4,029,824.
"""

from typing import Any, Callable, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from stackgan.networks.casting import cast
from stackgan.networks.conditioning import Condition, augmented_condition
from stackgan.networks.layers import (
    ForwardMode,
    always_training,
    batch_norm,
    check_shape,
    conv,
    conv_norm,
    dense,
    leaky_relu,
    spread,
    upsample_conv,
)

SIZE = 64                       # side of the images
GENERATOR = 'stage1/generator'  # variable scopes
DISCRIMINATOR = 'stage1/discriminator'


class Generated(NamedTuple):
    """What a generator made."""

    images: Any             # [N, size, size, 3] float32 in [-1, 1]
    condition: Condition
    logits: Any             # the images before tanh


def generator(
        embeddings: tf.Tensor,    # [N, embedding_dim] float32
        noise: tf.Tensor,         # [N, condition_dim] float32, for the conditioning augmentation
        z: tf.Tensor,             # [N, noise_dim] float32 from a unit normal
        dims: Any,                # the `model` section of the configuration
        mode: ForwardMode,
) -> Generated:
    """`Generated` 64x64 images.

    `mode.ascend_port` reproduces the port: one ReLU more at the end of the first residual
    branch, and the dense batch norm always with the statistics of the batch.
    """
    check_shape(embeddings, [None, dims.embedding_dim], 'embeddings')
    check_shape(z, [None, dims.noise_dim], 'z')
    width = dims.generator_filters
    with tf.variable_scope(GENERATOR, reuse=tf.AUTO_REUSE):
        condition = augmented_condition(embeddings, noise, dims)
        x = cast(tf.concat([condition.value, z], 1), mode.compute_dtype)
        x = dense(x, 4 * 4 * 8 * width, 'project')
        with tf.variable_scope('project'):
            x = batch_norm(x, always_training(mode))
        x = tf.reshape(x, [-1, 4, 4, 8 * width])                        # [N, 4, 4, 8 gf]
        x = bottleneck(x, 2 * width, 'block1', mode, tf.nn.relu,
                       last=tf.nn.relu if mode.ascend_port else None)
        text = condition.value if dims.stage1_modulation else None
        x = _doubled(x, 4 * width, 'up1', text, mode)                        # [N, 8, 8, 4 gf]
        x = bottleneck(x, width, 'block2', mode, tf.nn.relu)
        x = tf.nn.relu(_doubled(x, 2 * width, 'up2', text, mode))            # [N, 16, 16, 2 gf]
        x = tf.nn.relu(_doubled(x, width, 'up3', text, mode))                # [N, 32, 32, gf]
        logits = cast(upsample_conv(x, 3, 'image', mode), tf.float32)        # [N, 64, 64, 3]
        images = tf.tanh(logits, 'images')
    return Generated(images, condition, logits)


def _doubled(x: tf.Tensor, filters: int, name: str, text: Optional[tf.Tensor],
             mode: ForwardMode) -> tf.Tensor:
    """`x` at twice its sides, after batch norm; with a `text` [N, C] scaled and shifted by it.

    As conditional batch norm (de Vries et al., 2017). Without it, only the 4x4 features that
    all begins with know the caption.
    """
    x = conv_norm(x, filters, name, mode, upsample=True)
    if text is None:
        return x
    with tf.variable_scope(name):
        both = dense(cast(text, x.dtype), 2 * filters, 'text')
    gain, offset = tf.split(tf.reshape(both, [-1, 1, 1, 2 * filters]), 2, axis=3)
    return x * (gain + 1.0) + offset


def discriminator(
        images: tf.Tensor,        # [N, 64, 64, 3] float32 in [-1, 1]
        embeddings: tf.Tensor,    # [N, embedding_dim] float32
        dims: Any,                # the `model` section of the configuration
        mode: ForwardMode,
        maps: Sequence[tf.Tensor] = (),      # features of the images by another network that are
                                             # seen too, of sides 16, 8 or 4
) -> tf.Tensor:
    """Logits [N]: is this a real image, and of this caption?"""
    check_shape(images, [None, SIZE, SIZE, 3], 'images')
    check_shape(embeddings, [None, dims.embedding_dim], 'embeddings')
    width = dims.discriminator_filters
    with tf.variable_scope(DISCRIMINATOR, reuse=tf.AUTO_REUSE):
        x = cast(images, mode.compute_dtype)
        x = leaky_relu(conv(x, width, 'down1', 4, 2))                        # [N, 32, 32, df]
        x = conv_norm(x, 2 * width, 'down2', mode, leaky_relu, 4, 2)         # [N, 16, 16, 2 df]
        x = conv_norm(_beside(x, maps), 4 * width, 'down3', mode, None, 4, 2)   # [N, 8, 8, 4 df]
        x = conv_norm(_beside(x, maps), 8 * width, 'down4', mode, None, 4, 2)   # [N, 4, 4, 8 df]
        x = _beside(x, maps)
        x = bottleneck(x, 2 * width, 'block', mode, leaky_relu)
        return match_logits(x, embeddings, dims.condition_dim, mode)


def _beside(x: tf.Tensor, maps: Sequence[tf.Tensor]) -> tf.Tensor:
    """`x` with those maps that have its sides as further channels."""
    same = [cast(each, x.dtype) for each in maps if each.shape[1] == x.shape[1]]
    return tf.concat([x] + same, 3) if same else x


def match_logits(
        features: tf.Tensor,      # [N, 4, 4, C] of the images
        embeddings: tf.Tensor,    # [N, embedding_dim]
        text_dim: int,            # size the embeddings are reduced to
        mode: ForwardMode,
) -> tf.Tensor:
    """Logits [N] of images and captions seen together, the end of both discriminators."""
    text = leaky_relu(dense(cast(embeddings, features.dtype), text_dim, 'text'))
    x = tf.concat([features, spread(text, 4)], 3)                            # [N, 4, 4, C + text]
    x = conv_norm(x, features.shape.as_list()[3], 'match', mode, leaky_relu, kernel=1)
    return cast(tf.reshape(conv(x, 1, 'logit', 4, 4), [-1]), tf.float32)


def bottleneck(
        x: tf.Tensor,             # [N, H, W, C]
        width: int,               # channels within
        name: str,
        mode: ForwardMode,
        activation: Callable[[tf.Tensor], tf.Tensor],
        last: Optional[Callable[[tf.Tensor], tf.Tensor]] = None,
        # activation at the end of the branch, before the sum
) -> tf.Tensor:
    """Residual block of a 1x1 and two 3x3 convolutions: [N, H, W, C]."""
    with tf.variable_scope(name):
        branch = conv_norm(x, width, 'conv1', mode, activation, kernel=1)
        branch = conv_norm(branch, width, 'conv2', mode, activation)
        branch = conv_norm(branch, x.shape.as_list()[3], 'conv3', mode, last)
    return activation(x + branch)


