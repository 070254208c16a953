"""The number of steps done, as a variable: for what changes while it trains, resumed exactly.

It exists only where an option needs it, so that checkpoints of trainings without one stay as
they are.
"""

import tensorflow.compat.v1 as tf

STATE = 'training'                  # scope of what is neither a network's nor an optimizer's
NAME = STATE + '/steps_done'


def steps_done() -> tf.Tensor:
    """Scalar int64, within a step the number of those before it."""
    return _variable().read_value()


def count_step() -> tf.Operation:
    """Adds one, if anything asked for the number while the graph was built."""
    asked = any(v.op.name == NAME for v in tf.global_variables())
    return _variable().assign_add(1).op if asked else tf.no_op()


def _variable() -> tf.Variable:
    with tf.variable_scope('', reuse=tf.AUTO_REUSE):
        return tf.get_variable(NAME, [], tf.int64, tf.zeros_initializer(), trainable=False,
                               use_resource=True)
