"""The names of npu_bridge that trainings use, on the CPU.

Overflow is what is not finite, where the real adapter reads a register of the card. The optimiser
applies its update within tf.cond, and the dynamic scale has three global variables, as the real
ones: that is what trainings have to live with.
"""

import os

import tensorflow.compat.v1 as tf

from npu_bridge.helper import helper

if os.environ.get('FAKE_NPU') == 'no hccl':
    raise ImportError('No module named \'hccl\'')
helper.npu_bridge_handle                     # the real module fails here as unclearly

# What SetNpuOptimizerAttr reads (tf_adapter/util/npu_attrs.cc); all else it ignores.
PARAMETERS = {
    'b': {'use_off_line', 'enable_data_pre_proc', 'mix_compile_mode', 'variable_format_optimize',
          'hcom_parallel', 'enable_dump', 'enable_dump_debug', 'is_tailing_optimization',
          'profiling_mode', 'lower_functional_ops', 'enable_compress_weight'},
    'i': {'iterations_per_loop', 'graph_run_mode', 'op_debug_level', 'enable_exception_dump',
          'dynamic_node_type', 'enable_small_channel', 'task_index'},
    's': {'precision_mode', 'graph_memory_max_size', 'variable_memory_max_size',
          'op_select_implmode', 'fusion_switch_file', 'buffer_optimize', 'auto_tune_mode',
          'op_compiler_cache_mode', 'op_compiler_cache_dir', 'debug_dir'},
}
PRECISION_MODES = {'allow_fp32_to_fp16', 'force_fp16', 'must_keep_origin_dtype',
                   'allow_mix_precision'}
wrapped = []             # every optimiser that was wrapped: (inner, manager)


def check_config(config):
    """{name: value} of NpuOptimizer's parameters. AssertionError for what 20.2 does not know."""
    rewrite = config.graph_options.rewrite_options
    assert rewrite.remapping == 2                                  # OFF, or fusions break the graph
    optimizers = [each for each in rewrite.custom_optimizers if each.name == 'NpuOptimizer']
    assert len(optimizers) == 1
    values = {}
    for name, value in optimizers[0].parameter_map.items():
        kind = value.WhichOneof('value')
        assert name in PARAMETERS[kind], f'{name} is no {kind} parameter of CANN 20.2'
        values[name] = value.s.decode() if kind == 's' else getattr(value, kind)
    assert values['precision_mode'] in PRECISION_MODES
    assert values['graph_run_mode'] in (0, 1)
    assert values['iterations_per_loop'] >= 1                      # 0 aborts
    assert values['iterations_per_loop'] == 1 or values['enable_data_pre_proc']
    return values


class FixedLossScaleManager:
    def __init__(self, loss_scale):
        if loss_scale < 1:
            raise ValueError('loss scale must be at least 1.')
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


class NPULossScaleOptimizer(tf.train.Optimizer):
    def __init__(self, opt, loss_scale_manager, is_distributed=False):
        assert isinstance(opt, tf.train.Optimizer)
        self.opt, self.manager = opt, loss_scale_manager
        self.computed = None
        wrapped.append(self)

    def compute_gradients(self, loss, var_list=None, gate_gradients=1, aggregation_method=None,
                          colocate_gradients_with_ops=False, grad_loss=None):
        scale = self.manager.get_loss_scale()
        self.computed = [(gradient / scale, variable) for gradient, variable in
                         self.opt.compute_gradients(loss * scale, var_list, gate_gradients)]
        return self.computed

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        pairs = list(grads_and_vars)
        assert pairs == self.computed, 'gradients that were not computed by the wrapper'
        with tf.control_dependencies([gradient for gradient, _ in pairs]):
            is_finite = tf.reduce_all([tf.reduce_all(tf.is_finite(gradient))
                                       for gradient, _ in pairs])
        update = tf.cond(is_finite, lambda: self.opt.apply_gradients(pairs, global_step, name),
                         tf.no_op)
        return tf.group(update, self.manager.update_loss_scale(is_finite))
