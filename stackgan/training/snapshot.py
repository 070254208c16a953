"""The variables of a training at one step, copied to the host to be written by a thread.

The copy is written by the operation that tf.train.Saver uses, with the same names in the same
order, so the files have the same bytes as its own.
"""

from typing import Any, List, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf


class Snapshot(NamedTuple):
    """Values of the variables, in the order of `Snapshots.names`."""

    values: List[np.ndarray]
    are_finite: bool               # whether no value is NaN or infinite


class Snapshots:
    """Takes snapshots of the variables in a graph, and writes them."""

    def __init__(
            self,
            variables: List[Any],      # in the default graph
    ) -> None:
        variables = sorted(variables, key=lambda each: each.op.name)
        self.names = [each.op.name for each in variables]
        self._reads = [each.read_value() for each in variables]
        self._are_finite = tf.reduce_all([tf.reduce_all(tf.is_finite(read)) for read in self._reads
                                          if read.dtype.is_floating])
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._prefix = tf.placeholder(tf.string, [])
            self._holders = [tf.placeholder(read.dtype, read.shape) for read in self._reads]
            self._save = tf.raw_ops.SaveV2(
                prefix=self._prefix, tensor_names=self.names,
                shape_and_slices=[''] * len(self.names), tensors=self._holders)

    def take(self, session: Any) -> Snapshot:
        """What the variables hold now. Later steps do not change it."""
        are_finite, values = session.run([self._are_finite, self._reads])
        return Snapshot(values, bool(are_finite))

    def write(
            self,
            snapshot: Snapshot,
            prefix: str,               # of the paths of the files
    ) -> None:
        """Writes a TensorFlow checkpoint; in any thread."""
        feed = dict(zip(self._holders, snapshot.values))
        feed[self._prefix] = prefix
        config = tf.ConfigProto(device_count={'GPU': 0}, intra_op_parallelism_threads=1,
                                inter_op_parallelism_threads=1)
        with tf.Session(graph=self._graph, config=config) as session:
            session.run(self._save, feed)
