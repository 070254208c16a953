"""Loss scaling for float16 on a GPU (on a CPU too, to try it), where gradients would become zero.

Losses are multiplied by a scale before they are differentiated, and gradients divided by it. A step
whose gradients overflow is skipped and halves the scale; after many steps without one it doubles
(Micikevicius et al., 2018, section 3.2).
"""

from typing import Any, Dict, List, Optional, Tuple

import tensorflow.compat.v1 as tf

from stackgan.platforms.overflows import COUNTED, MINIMUM_SCALE

FIRST_SCALE, GOOD_STEPS, GROWS, SHRINKS = 2.0 ** 15, 2000, 2.0, 0.5
MAXIMUM_SCALE = 2.0 ** 32


def with_loss_scale(
        optimizer: tf.train.Optimizer,
        loss_scale: Optional[float],       # a fixed one, at least 1; None: dynamic
) -> 'LossScaled':
    """The optimiser with its loss scaled up and its gradients down; it skips steps that overflow.

    Every network has a scale of its own. In a step, a network whose predecessor skipped it skips it
    too: the generator is not trained against a discriminator that has missed its update.
    """
    scaled = LossScaled(optimizer, loss_scale, tf.get_collection(COUNTED))
    tf.add_to_collection(COUNTED, scaled)
    return scaled


class LossScaled:
    """An optimiser around another. Its variables are local: in no checkpoint's model file."""

    def __init__(
            self,
            inner: tf.train.Optimizer,
            fixed: Optional[float],
            earlier: List['LossScaled'],       # of the networks that are updated before, in a step
    ) -> None:
        self.inner, self.is_fixed, self.earlier = inner, fixed is not None, earlier
        self.network = tf.get_variable_scope().name.replace('optimizer/', '', 1) or 'network'
        self.scale = _local(fixed or FIRST_SCALE, 'loss_scale')
        self.good_steps, self.attempts, self.updates = [
            _local(0, name) for name in ('good_steps', 'attempts', 'updates')]
        self.used = self.scale.read_value()    # in this step
        self.steps: Any = None                 # [] bool: whether the network is updated

    def compute_gradients(self, loss: tf.Tensor, variables: List[tf.Variable],
                          **options: Any) -> List[Tuple[tf.Tensor, tf.Variable]]:
        # Within tf.cond they would get names that no other precision gives them.
        self.inner._create_slots(variables)
        pairs = self.inner.compute_gradients(loss * self.used, variables, **options)
        return [(gradient / self.used, variable) for gradient, variable in pairs]

    def apply_gradients(self, pairs: List[Tuple[tf.Tensor, tf.Variable]]) -> tf.Operation:
        is_finite = tf.reduce_all([tf.reduce_all(tf.is_finite(gradient)) for gradient, _ in pairs])
        self.steps = tf.reduce_all([is_finite] + [each.steps for each in self.earlier])

        def update() -> tf.Operation:
            with tf.control_dependencies([self.inner.apply_gradients(pairs)]):
                return tf.group(self.updates.assign_add(1))

        made = tf.group(tf.cond(self.steps, update, tf.no_op))
        with tf.control_dependencies([made]):
            return tf.group(self.attempts.assign_add(1), *self._adapt(is_finite))

    def _adapt(self, is_finite: tf.Tensor) -> List[tf.Operation]:
        """Moves the scale."""
        if self.is_fixed:
            return []
        good = self.good_steps.read_value() + 1
        grows = good >= GOOD_STEPS
        grown = tf.where(grows, tf.minimum(self.used * GROWS, MAXIMUM_SCALE), self.used)
        shrunk = tf.maximum(self.used * SHRINKS, MINIMUM_SCALE)
        is_counted = tf.logical_and(is_finite, tf.logical_not(grows))
        return [self.scale.assign(tf.where(is_finite, grown, shrunk)),
                self.good_steps.assign(tf.where(is_counted, good, tf.zeros_like(good)))]


class LossScales:
    """What a checkpoint holds of the dynamic scales of a graph, which may have none."""

    def __init__(
            self,
            graph: tf.Graph,
    ) -> None:
        self.scaled = [each for each in graph.get_collection(COUNTED)
                       if isinstance(each, LossScaled) and not each.is_fixed]

    def state(
            self,
            session: tf.Session,
    ) -> Dict[str, List[float]]:
        """{network: [scale, steps since it last changed]}."""
        if not self.scaled:
            return {}
        values = session.run([(each.scale, each.good_steps) for each in self.scaled])
        return {each.network: [float(scale), int(good)]
                for each, (scale, good) in zip(self.scaled, values)}

    def restore(
            self,
            session: tf.Session,
            state: Dict[str, List[float]],     # as `state` gave it, perhaps of other networks
    ) -> None:
        """Takes back a state. Networks without one, trained in another type before, begin anew."""
        for each in self.scaled:
            if each.network in state:
                scale, good = state[each.network]
                each.scale.load(min(max(float(scale), MINIMUM_SCALE), MAXIMUM_SCALE), session)
                each.good_steps.load(min(max(int(good), 0), GOOD_STEPS), session)


def _local(value: Any, name: str) -> Any:
    kind = tf.int32 if isinstance(value, int) else tf.float32

    def initial() -> Any:
        return tf.constant(value, kind)

    return tf.Variable(initial, trainable=False, use_resource=True, name=name,
                       collections=[tf.GraphKeys.LOCAL_VARIABLES])
