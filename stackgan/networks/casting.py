"""Between float32 and the type that a network computes in."""

from typing import Any

import tensorflow.compat.v1 as tf

from stackgan.networks.weights import counted_as


def cast(
        x: Any,            # tensor or variable
        dtype: Any,        # a floating-point type
) -> Any:
    """`x` in another type; where that is its own, nothing is added to the graph."""
    if x.dtype.base_dtype == dtype:
        return x
    with counted_as(0):
        return tf.cast(x, dtype)
