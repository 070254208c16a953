"""Loss scaling on an NPU by the adapter's optimiser.

The adapter applies the gradients of a step only if the card's overflow register stayed empty, and
its scale follows the overflows. It never says that it skipped a step, so updates are counted here,
and `overflows` tells the training.
"""

import importlib
from typing import Any, List, NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from stackgan.errors import MissingRequirement
from stackgan.platforms.overflows import COUNTED

# The scale of ModelZoo's trainings: halved after two overflows, doubled after 1000 good steps.
FIRST_SCALE, GOOD_STEPS, OVERFLOWS, SHRINKS = 2.0 ** 32, 1000, 2, 0.5
# Not npu_bridge.npu_init: from adapter r1.9.0 on, importing it replaces tf.Session.__init__, and
# every later session of the process would run on the NPU. These exist in r1.2.0 as in CANN 9.
MODULES = ('npu_bridge.estimator.npu.npu_loss_scale_manager',
           'npu_bridge.estimator.npu.npu_loss_scale_optimizer')


class Adapter(NamedTuple):
    """Modules of npu_bridge."""

    managers: Any
    optimizers: Any


def load_adapter() -> Adapter:
    """Imports them late: only an NPU machine has what they import. Raises MissingRequirement."""
    try:
        return Adapter(*[importlib.import_module(name) for name in MODULES])
    except (ImportError, NameError, AttributeError) as error:
        raise MissingRequirement(f'platform.device: npu, but {MODULES[1]} cannot be imported '
                                 f'({error}); put the hccl package of CANN (of fwkacllib in '
                                 'CANN 20.2) on PYTHONPATH')


def with_loss_scale(
        optimizer: tf.train.Optimizer,
        loss_scale: Optional[float],       # a fixed one, at least 1; None: dynamic
        is_distributed: bool = False,      # True: a step that overflows on one card, none makes
) -> '_Scaled':
    """The optimiser with its loss scaled up and its gradients down; it skips steps that overflow.

    Every optimiser has a scale of its own. All share the overflow register of the card, which is
    cleared as it is read, so updates must follow one another, as those of a step do.
    The variables of the scale are local: they are of this card and in no checkpoint.
    """
    adapter = load_adapter()
    variables = tf.get_collection_ref(tf.GraphKeys.GLOBAL_VARIABLES)
    before = len(variables)
    if loss_scale is None:
        manager = adapter.managers.ExponentialUpdateLossScaleManager(
            init_loss_scale=FIRST_SCALE, incr_every_n_steps=GOOD_STEPS,
            decr_every_n_nan_or_inf=OVERFLOWS, decr_ratio=SHRINKS)
    else:
        manager = adapter.managers.FixedLossScaleManager(loss_scale)
    counting = _Counting(optimizer, [each.counting for each in tf.get_collection(COUNTED)])
    for variable in variables[before:]:
        tf.add_to_collection(tf.GraphKeys.LOCAL_VARIABLES, variable)
    del variables[before:]
    scaled = _Scaled(optimizer, counting, manager.get_loss_scale(), loss_scale is not None,
                     adapter.optimizers.NPULossScaleOptimizer(counting, manager,
                                                              is_distributed=is_distributed))
    tf.add_to_collection(COUNTED, scaled)
    return scaled


class _Counting(tf.train.Optimizer):
    """Counts the updates of another optimiser, and makes none if an earlier network made none.

    The discriminator's gradients and the generator's come from the same generated images. If those
    overflow, the register shows it to the discriminator alone, which clears it; without this the
    generator would take a step along worthless gradients.
    """

    def __init__(
            self,
            inner: tf.train.Optimizer,
            earlier: List['_Counting'],       # of the networks that are updated before, in a step
    ) -> None:
        super().__init__(use_locking=False, name='counting')
        self.inner, self.earlier = inner, earlier
        self.stepped, self.updates, self.attempts = [
            tf.Variable(0, trainable=False, use_resource=True, name=name)
            for name in ('stepped', 'updates', 'attempts')]

    def compute_gradients(self, *arguments: Any, **options: Any) -> List[Tuple[Any, Any]]:
        return self.inner.compute_gradients(*arguments, **options)

    def apply_gradients(self, pairs: List[Tuple[Any, Any]], global_step: Any = None,
                        name: Optional[str] = None) -> tf.Operation:
        def update() -> tf.Operation:
            with tf.control_dependencies([self.inner.apply_gradients(pairs, global_step, name)]):
                return tf.group(self.stepped.assign(1), self.updates.assign_add(1))

        if not self.earlier:
            return update()
        with tf.control_dependencies([gradient for gradient, _ in pairs]):
            all_stepped = tf.reduce_min(tf.stack([each.stepped.read_value()
                                                  for each in self.earlier]))
        return tf.group(tf.cond(tf.equal(all_stepped, 1), update, tf.no_op))


class _Scaled:
    """The adapter's optimiser around another.

    It applies updates within tf.cond, where the other's variables would get names that no other
    machine gives them; so they are made before.
    """

    def __init__(
            self,
            inner: tf.train.Optimizer,
            counting: _Counting,               # around it
            scale: tf.Tensor,                  # [] float32
            is_fixed: bool,
            outer: tf.train.Optimizer,         # the adapter's, around both
    ) -> None:
        self.inner, self.counting, self.outer = inner, counting, outer
        self.scale, self.is_fixed = scale, is_fixed
        self.attempts, self.updates = counting.attempts, counting.updates
        self.network = tf.get_variable_scope().name.replace('optimizer/', '', 1) or 'network'

    def compute_gradients(self, loss: tf.Tensor, variables: List[tf.Variable],
                          **options: Any) -> List[Tuple[tf.Tensor, tf.Variable]]:
        self.inner._create_slots(variables)
        return self.outer.compute_gradients(loss, variables, **options)

    def apply_gradients(self, gradients: List[Tuple[tf.Tensor, tf.Variable]]) -> tf.Operation:
        with tf.control_dependencies([gradient for gradient, _ in gradients]):
            begin = [self.counting.stepped.assign(0), self.attempts.assign_add(1)]
        with tf.control_dependencies(begin):
            return self.outer.apply_gradients(gradients)
