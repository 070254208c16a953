"""Conditioning augmentation (Zhang et al., 2017, section 3.2): c = mean + sigma * noise."""

import math
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf

from stackgan.networks.layers import check_shape, dense, leaky_relu


class Condition(NamedTuple):
    """The conditioning variable of a caption and the Gaussian it is generated from."""

    value: Any          # [N, condition_dim] float32: what the generator reads
    mean: Any           # [N, condition_dim]
    log_sigma: Any      # [N, condition_dim]


def augmented_condition(
        embeddings: Any,       # [N, embedding_dim] float32
        noise: Any,            # [N, condition_dim] float32 from a unit normal cut at 2 sigma
        dims: Any,             # the `model` section of the configuration
) -> Condition:
    """`Condition` of the embeddings, with variables in the scope `condition`."""
    check_shape(noise, [None, dims.condition_dim], 'conditioning noise')
    both = leaky_relu(dense(embeddings, 2 * dims.condition_dim, 'condition'))
    mean, log_sigma = tf.split(both, 2, axis=1)
    if dims.condition_sigma_limit is not None:
        log_sigma = tf.minimum(log_sigma, math.log(dims.condition_sigma_limit))
    return Condition(mean + tf.exp(log_sigma) * noise, mean, log_sigma)
