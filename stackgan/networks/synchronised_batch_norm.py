"""Batch norm over the rows of all workers: the moments, and so their gradients, are shared."""

from typing import Any, Tuple

import tensorflow.compat.v1 as tf

from stackgan.networks.casting import cast


def synchronised_batch_norm(
        x: Any,            # [N, H, W, C], this worker's rows, of any floating-point type
        gamma: Any,        # [C]
        beta: Any,         # [C]
        groups: int,       # N is so many batches one after the other, each treated by itself
        epsilon: float,
        workers: Any,      # platforms.workers.Workers: `gather`, `size`
) -> Tuple[Any, Any, Any]:
    """(normalised x, mean [C], variance [C]), mean and variance averaged over the groups.

    As `fused_batch_norm` of all rows: it normalises by the biased variance and reports the
    unbiased one. Two passes, around each worker's own mean: with E[x^2] - mean^2 Stage-II's
    gradients are off by more than a fifth. All is float32 within, as in the fused one.
    """
    count, height, width, channels = x.shape.as_list()
    grouped = tf.reshape(cast(x, tf.float32), [groups, count // groups, height, width, channels])
    own_mean = tf.reduce_mean(grouped, [1, 2, 3], keepdims=True)        # [groups, 1, 1, 1, C]
    own_variance = tf.reduce_mean(tf.square(grouped - own_mean), [1, 2, 3], keepdims=True)
    means, variances = tf.unstack(workers.gather(tf.stack([own_mean, own_variance])), axis=1)
    mean = tf.reduce_mean(means, 0)
    variance = tf.reduce_mean(variances + tf.square(means - mean), 0)
    y = (grouped - mean) * (tf.rsqrt(variance + epsilon) * gamma) + beta
    samples = float(workers.size * count // groups * height * width)
    unbiased = variance * (samples / max(samples - 1.0, 1.0))
    return (cast(tf.reshape(y, x.shape), x.dtype), tf.reduce_mean(mean, [0, 1, 2, 3]),
            tf.reduce_mean(unbiased, [0, 1, 2, 3]))
