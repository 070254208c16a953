"""The losses of StackGAN as pure functions of logits (Zhang et al., 2017, equations 3 to 6)."""

from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf


class DiscriminatorLoss(NamedTuple):
    """Scalars, each at least 0."""

    total: Any
    real: Any       # -log sigmoid of a real picture with its caption
    wrong: Any      # -log (1 - sigmoid) of a real picture with another class's caption
    fake: Any       # -log (1 - sigmoid) of a generated picture with its caption


def matching_aware_discriminator_loss(
        real,         # [N] float32 logits in (-inf, inf)
        wrong,        # [N]
        fake,         # [N]
):
    """real + (wrong + fake) / 2, each the mean cross entropy against its label."""
    parts = [_cross_entropy(real, 1.0), _cross_entropy(wrong, 0.0), _cross_entropy(fake, 0.0)]
    return DiscriminatorLoss(parts[0] + (parts[1] + parts[2]) / 2.0, *parts)


def generator_loss(
        fake,         # [N] float32 logits in (-inf, inf)
):
    """-log sigmoid, meaned: the generator wants its pictures called real (non-saturating)."""
    return _cross_entropy(fake, 1.0)


def kl_to_unit_gaussian(
        mean,         # [N, D] float32
        log_sigma,    # [N, D]
):
    """KL(N(mean, sigma) || N(0, 1)), meaned over N and D: a scalar, at least 0.

    The paper sums over D; hanzhanggit/StackGAN takes the mean, and its coefficient 2 goes
    with that.
    """
    _same_shape(mean, log_sigma)
    return tf.reduce_mean(-log_sigma + 0.5 * (-1.0 + tf.exp(2.0 * log_sigma) + tf.square(mean)))


def _cross_entropy(logits, label):
    if logits.shape.ndims != 1:
        raise ValueError('logits: shape %s, expected one dimension' % logits.shape)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(
        logits=logits, labels=tf.fill(tf.shape(logits), label)))


def _same_shape(a, b):
    if a.shape.as_list() != b.shape.as_list():
        raise ValueError('shapes %s and %s differ' % (a.shape, b.shape))
