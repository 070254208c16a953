"""Initial weights, from the seed of the graph.

TensorFlow 1.15 draws them from that seed and the number of operations made before; TensorFlow 2
from that seed and the number of random operations made before. Both are formats: a training with
the same seed starts from the same weights in every version. So the operations that a faster form
of a layer adds to the graph are subtracted from that number.
"""

from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional, Sequence

import tensorflow.compat.v1 as tf

WEIGHT_STDDEV = 0.02
_ADDED = 'stackgan/operations_without_seed'      # collection of numbers of operations
_OF_A_NORMAL = 3        # operations that tf.random_normal makes before it takes its seed


@contextmanager
def counted_as(
        operations: int,      # how many the operations made within count for
) -> Iterator[None]:
    """What is built within changes no initial weight, as if it were that many operations."""
    before = _made()
    yield
    tf.add_to_collection(_ADDED, _made() - before - operations)


def normal(
        mean: float,
) -> Callable[..., Any]:
    """Initialiser of N(mean, WEIGHT_STDDEV); as tf.random_normal_initializer but for the count."""
    def initial(shape: Sequence[int], dtype: Any = tf.float32, partition_info: Any = None,
                **_: Any) -> Any:
        return tf.random_normal(shape, mean, WEIGHT_STDDEV, dtype, seed=_seed())

    return initial


def _seed() -> Optional[int]:
    """The seed that the next tf.random_normal would take without what has been added, or None."""
    added = sum(tf.get_collection(_ADDED))
    if not added or not tf.__version__.startswith('1.'):
        return None
    _, made = tf.get_seed(None)
    return None if made is None else made + _OF_A_NORMAL - added


def _made() -> int:
    """The number of operations in the default graph."""
    return len(tf.get_default_graph().get_operations())
