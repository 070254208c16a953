"""NPULossScaleOptimizer on the CPU.

Overflow is what is not finite, where the real adapter reads a register of the card, or what
FAKE_NPU_OVERFLOW names: 'always', or a part of the names of variables. The optimiser applies its
update within tf.cond, as the real one (npu_loss_scale_optimizer.py of Ascend/tensorflow r1.2.0 and
hicann/tensorflow 82957b9): that is what trainings have to live with.
"""

import os

import tensorflow.compat.v1 as tf


class NPULossScaleOptimizer(tf.train.Optimizer):
    def __init__(self, opt, loss_scale_manager, is_distributed=False):
        assert isinstance(opt, tf.train.Optimizer)
        self._opt, self._loss_scale_manager = opt, loss_scale_manager     # the real one's names
        self._is_distributed = is_distributed
        self.computed = None

    def compute_gradients(self, loss, var_list=None, gate_gradients=1, aggregation_method=None,
                          colocate_gradients_with_ops=False, grad_loss=None):
        scale = self._loss_scale_manager.get_loss_scale()
        self.computed = [(gradient / scale, variable) for gradient, variable in
                         self._opt.compute_gradients(loss * scale, var_list, gate_gradients)]
        return self.computed

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        pairs = list(grads_and_vars)
        assert pairs == self.computed, 'gradients that were not computed by the wrapper'
        with tf.control_dependencies([gradient for gradient, _ in pairs]):
            is_finite = tf.reduce_all([tf.reduce_all(tf.is_finite(gradient))
                                       for gradient, _ in pairs])
        overflows = os.environ.get('FAKE_NPU_OVERFLOW')
        if overflows and (overflows == 'always' or overflows in pairs[0][1].op.name):
            is_finite = tf.random_uniform([]) > 2.0        # False, but no constant to fold
        update = tf.cond(is_finite, lambda: self._opt.apply_gradients(pairs, global_step, name),
                         tf.no_op)
        return tf.group(update, self._loss_scale_manager.update_loss_scale(is_finite))
