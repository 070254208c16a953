"""What an NPU session must look like.

The names are those that SetNpuOptimizerAttr reads in Ascend/tensorflow r1.2.0
(tf_adapter/util/npu_attrs.cc); it ignores all else.
"""

PARAMETERS = {
    'b': {'use_off_line', 'enable_data_pre_proc', 'mix_compile_mode', 'variable_format_optimize',
          'hcom_parallel', 'enable_dump', 'enable_dump_debug', 'is_tailing_optimization',
          'profiling_mode', 'lower_functional_ops', 'enable_compress_weight'},
    'i': {'iterations_per_loop', 'graph_run_mode', 'op_debug_level', 'enable_exception_dump',
          'dynamic_node_type', 'enable_small_channel', 'task_index'},
    's': {'precision_mode', 'graph_memory_max_size', 'variable_memory_max_size',
          'op_select_implmode', 'fusion_switch_file', 'buffer_optimize', 'auto_tune_mode',
          'op_compiler_cache_mode', 'op_compiler_cache_dir', 'debug_dir', 'profiling_options'},
}
PRECISION_MODES = {'allow_fp32_to_fp16', 'force_fp16', 'must_keep_origin_dtype',
                   'allow_mix_precision'}


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
    assert not values.get('profiling_mode') or 'profiling_options' in values      # aborts
    assert values.get('precision_mode', 'force_fp16') in PRECISION_MODES
    assert values['graph_run_mode'] in (0, 1)
    assert values['iterations_per_loop'] >= 1                      # 0 aborts
    assert values['iterations_per_loop'] == 1 or values['enable_data_pre_proc']
    return values
