"""Variables of a graph that only computes with what was trained: restored once, then read.

`tf.get_variable` makes seven operations for each variable, most of them for an initial value and a
saver that nothing needs here. To make these takes longer than to generate a few images. Here are
three. Names, values and what is computed with them are the same.
"""

from typing import Any, Dict, List, Mapping, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf


class ReadVariable(NamedTuple):
    """A variable of the current graph. `session.run` takes its `value`."""

    handle: tf.Tensor
    value: tf.Tensor           # what the graph reads

    @property
    def op(self) -> tf.Operation:
        """Its operation, of the name of the variable."""
        return self.handle.op

    @property
    def shape(self) -> tf.TensorShape:
        return self.value.shape


class ReadVariables:
    """The `custom_getter` of a variable scope, and the variables that it made."""

    def __init__(self) -> None:
        self.made: Dict[str, ReadVariable] = {}

    def __call__(self, getter: Any, name: str, shape: Any = None, dtype: Any = tf.float32,
                 **_: Any) -> tf.Tensor:
        """The value of a variable, which is made the first time."""
        if name not in self.made:
            shape = tf.TensorShape(shape)
            # As a tf.Variable is: outside any loop, and of its own name in any scope.
            with tf.control_dependencies(None), tf.name_scope(None):
                handle = tf.raw_ops.VarHandleOp(dtype=dtype, shape=shape, container='',
                                                shared_name=name, name=name)
                value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype, name=name + '/Read')
            value.set_shape(shape)
            self.made[name] = ReadVariable(handle, value)
        return self.made[name].value

    def values(self) -> Dict[str, tf.Tensor]:
        """{name: value} of all variables."""
        return {name: variable.value for name, variable in self.made.items()}

    def load(self, session: tf.Session, values: Mapping[str, np.ndarray]) -> None:
        """Fills the variables; `values` has all of their names."""
        with session.graph.as_default():
            holders = {name: tf.placeholder(variable.value.dtype, variable.shape)
                       for name, variable in self.made.items()}
            fill = _assign(list(self.made.values()), list(holders.values()))
        session.run(fill, {holder: values[name] for name, holder in holders.items()})


class Restorer:
    """Fills `ReadVariable`s of the current graph; takes the place of a tf.train.Saver."""

    def __init__(self, variables: Mapping[str, ReadVariable]) -> None:   # {stored name: variable}
        self._prefix = tf.placeholder(tf.string, [], 'checkpoint')
        names, filled = list(variables), list(variables.values())
        # Where the file system is; without a device a GPU would be tried first.
        with tf.device('/cpu:0'):
            stored = tf.raw_ops.RestoreV2(
                prefix=self._prefix, tensor_names=names, shape_and_slices=[''] * len(names),
                dtypes=[each.value.dtype for each in filled])
        self._fill = _assign(filled, stored)

    def restore(self, session: tf.Session, prefix: str) -> None:
        """Raises tf.errors.OpError for a checkpoint that cannot be read."""
        session.run(self._fill, {self._prefix: prefix})


def _assign(variables: List[ReadVariable], values: List[tf.Tensor]) -> tf.Operation:
    return tf.group(*[tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
                      for variable, value in zip(variables, values)])
