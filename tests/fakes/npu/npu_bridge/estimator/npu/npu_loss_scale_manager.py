"""Loss scale managers on the CPU; the dynamic one has three global variables, as the real one.

Signatures and rules: npu_loss_scale_manager.py of Ascend/tensorflow r1.2.0 and of hicann/tensorflow
82957b9, whose FixedLossScaleManager has one parameter more.
"""

import os

import tensorflow.compat.v1 as tf


class FixedLossScaleManager:
    def __init__(self, loss_scale, **options):
        if loss_scale < 1:
            raise ValueError('loss scale must be at least 1.')
        if set(options) - ({'enable_overflow_check'} if os.environ.get('FAKE_NPU_RELEASE') != '20.2'
                           else set()):
            raise TypeError('unexpected keyword argument')
        self.scale = tf.constant(loss_scale, tf.float32)

    def get_loss_scale(self):
        return self.scale

    def update_loss_scale(self, is_finite):
        return tf.no_op()


class ExponentialUpdateLossScaleManager:
    def __init__(self, init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2,
                 incr_ratio=2, decr_ratio=0.8):
        deps = tf.get_default_graph()._current_control_dependencies()
        assert not deps, 'must not be made within control dependencies'
        self.rules = incr_every_n_steps, decr_every_n_nan_or_inf, incr_ratio, decr_ratio
        self.scale = tf.Variable(init_loss_scale, name='loss_scale', dtype=tf.float32,
                                 trainable=False, use_resource=True)
        self.good = tf.Variable(0, name='good_steps', trainable=False, use_resource=True)
        self.bad = tf.Variable(0, name='bad_steps', trainable=False, use_resource=True)

    def get_loss_scale(self):
        return self.scale.read_value()

    def update_loss_scale(self, is_finite):
        grow_at, shrink_at, grow, downsample = self.rules
        good = tf.where(is_finite, self.good + 1, 0 * self.good)
        bad = tf.where(is_finite, self.bad + 0, self.bad + 1)
        grows, shrinks = tf.equal(good, grow_at), tf.equal(bad, shrink_at)
        factor = tf.where(grows, float(grow), tf.where(shrinks, float(downsample), 1.0))
        changes = tf.logical_or(grows, shrinks)
        with tf.control_dependencies([good, bad, factor]):
            return tf.group(self.scale.assign(tf.maximum(1.0, self.scale * factor)),
                            self.good.assign(tf.where(changes, 0, good)),
                            self.bad.assign(tf.where(changes, 0, bad)))
