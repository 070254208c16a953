"""Options of an NPU session, and the names that each release of the TensorFlow adapter reads.

The adapter ignores a name that it does not know and may abort the process for a value that it does
not like, so names and types are checked here. The lists were read from SetNpuOptimizerAttr
(tf_adapter/util/npu_attrs.cc) of Ascend/tensorflow r1.2.0, the release of CANN 20.2, and of
hicann/tensorflow 82957b9, that of CANN 9.
"""

import logging
import os
from typing import Dict, Mapping, Optional, Union

import tensorflow.compat.v1 as tf

from stackgan.errors import InputError, StackganError
from stackgan.platforms.ascend_chip import chip_name, multiplies_float32

logger = logging.getLogger(__name__)

Value = Union[bool, int, str]

OLD, NEW = 'CANN 20.2', 'CANN 9'
_BOTH = {
    bool: '''enable_compress_weight enable_data_pre_proc enable_dump enable_dump_debug hcom_parallel
        is_tailing_optimization lower_functional_ops mix_compile_mode profiling_mode use_off_line
        variable_format_optimize''',
    int: '''dynamic_node_type enable_exception_dump enable_small_channel graph_run_mode
        iterations_per_loop op_debug_level task_index''',
    str: '''auto_tune_mode buffer_optimize compress_weight_conf debug_dir dump_debug_mode dump_mode
        dump_path dump_step dynamic_dims enable_scope_fusion_passes fusion_switch_file
        graph_memory_max_size input_shape job op_compiler_cache_dir op_compiler_cache_mode
        op_select_implmode optypelist_for_implmode precision_mode profiling_options
        stream_max_parallel_num variable_memory_max_size work_path''',
}
_OLD = {str: 'mstune_mode'}
_NEW = {
    bool: '''all_tensor_not_empty compile_dynamic_mode dynamic_input enable_graph_parallel
        external_weight frozen_variable hcom_multi_mode in_out_pair_flag input_batch_cpy
        oo_constant_folding''',
    int: '''atomic_clean_policy compile_hybrid_mode deterministic event_sync_timeout
        export_compile_stat graph_exec_timeout graph_max_parallel_model_num hccl_timeout
        input_fusion_size local_rank_id op_execute_timeout op_wait_timeout session_device_id
        static_memory_policy stream_sync_timeout topo_sorting_mode variable_use_1g_huge_page''',
    str: '''HCCL_algorithm ac_parallel_enable aicore_num aoe_config_file aoe_mode
        auto_multistream_parallel_mode customize_dtypes device_type distribute_config dump_data
        dump_layer dynamic_graph_execute_mode dynamic_inputs_shape_range graph_compiler_cache_dir
        graph_parallel_option_path graph_slice in_out_pair insert_op_file jit_compile
        local_device_list memory_optimization_policy modify_mixlist oo_level op_debug_config
        op_precision_mode optimization_switch precision_mode_v2 quant_dumpable
        resource_config_path shape_generalization_mode soc_config variable_placement''',
}
# What the training sets itself, so that a call is a step and the whole graph is on the card.
FIXED = frozenset('''graph_run_mode iterations_per_loop enable_data_pre_proc use_off_line
    mix_compile_mode'''.split())
TOGGLE_OFF = 2                   # RewriterConfig.OFF
NO_MEMORY_OPTIMIZATION = 1       # RewriterConfig.NO_MEM_OPT; ports write OFF, which is MANUAL there

_first_options: dict = {}              # of this process; what its later sessions must ask for too


def names_of(
        release: str,           # OLD or NEW
) -> Dict[str, type]:
    """{name: type} of every option that the adapter of a release reads."""
    tables = [_BOTH, _OLD if release == OLD else _NEW]
    return {name: kind for table in tables for kind, names in table.items()
            for name in names.split()}


def check_options(
        given: Mapping[str, Value],        # `platform.npu_options`
        release: str,                      # OLD or NEW
) -> None:
    """Warns of options that the adapter of the release does not read.

    Raises InputError for one that the training sets itself or whose value has the wrong type.
    """
    known = names_of(release)
    for name, value in given.items():
        if name in FIXED:
            raise InputError(f'platform.npu_options: {name} is set by the training; remove it')
        kind = known.get(name)
        if kind is None:
            logger.warning(f'platform.npu_options: {name} is not among the options that the '
                           f'adapter of {release} reads; it is passed on and may be ignored')
        elif type(value) is not kind:
            raise InputError(f'platform.npu_options: {name} is {value!r}; must be of type '
                             f'{kind.__name__}')


def precision_mode(
        training: bool,
        float16: bool,               # whether what gains from it is computed in float16
        chip: Optional[str],         # as `chip_name` gives it
) -> Optional[str]:
    """The adapter's precision_mode; None: it is left to the adapter.

    A training in float32 leaves it unset: A2, A3 and 950 then keep float32 everywhere
    (must_keep_origin_dtype), the first 910, which has convolutions in float16 only, computes just
    those in float16 (allow_fp32_to_fp16). Inference left unset would be float16 throughout.
    """
    if float16:
        return 'allow_mix_precision'
    if training:
        return None
    return 'must_keep_origin_dtype' if multiplies_float32(chip) else 'allow_fp32_to_fp16'


def precision_words(
        float16: bool,
        chip: Optional[str],         # as `chip_name` gives it
) -> str:
    """What a training computes in, for the log and options.json."""
    if float16:
        return 'allow_mix_precision: float16 and float32, with loss scaling'
    if multiplies_float32(chip):
        return f'float32 on {chip}, as its adapter does by default (must_keep_origin_dtype)'
    return (f'float32, but convolutions in float16 on chips that have no other (allow_fp32_to_fp16 '
            f'on the first 910); this chip: {chip or "unknown, npu-smi was not found"}')


def session_options(
        training: bool,                        # whether gradients are computed
        float16: bool,                         # whether what gains from it is in float16
        given: Mapping[str, Value] = {},       # noqa: B006  # `platform.npu_options`
) -> Dict[str, Value]:
    """The options of NpuOptimizer. Those given come last, so they may choose another precision."""
    chosen: Dict[str, Value] = {
        'use_off_line': True,             # the whole graph on the NPU
        'graph_run_mode': 1 if training else 0,
        'enable_data_pre_proc': False,    # batches are fed by the host,
        'iterations_per_loop': 1,         # so a call is a step
        'mix_compile_mode': False,        # an operation that is not supported shows, not slows
    }
    mode = precision_mode(training, float16, chip_name() if not training else None)
    if mode and 'precision_mode_v2' not in given:       # the adapter refuses both
        chosen['precision_mode'] = mode
    cache = os.environ.get('ASCEND_CACHE_PATH')
    if cache:                             # which CANN 20.2 does not read
        chosen.update(op_compiler_cache_mode='enable', op_compiler_cache_dir=cache)
    chosen.update(given)
    return chosen


def session_config(
        training: bool,
        float16: bool,
        given: Mapping[str, Value] = {},       # noqa: B006
) -> tf.ConfigProto:
    """tf.ConfigProto of an NPU session; the parameters are those of `session_options`.

    Raises StackganError if an earlier session of the process had other options: the engine is
    initialised once.
    """
    wanted = session_options(training, float16, given)
    if _first_options and _first_options != wanted:
        raise StackganError('an NPU session with other options was opened in this process before; '
                            'train and generate in separate processes')
    _first_options.update(wanted)
    config = tf.ConfigProto(allow_soft_placement=True, device_count={'GPU': 0})
    rewrite = config.graph_options.rewrite_options
    rewrite.remapping = TOGGLE_OFF
    rewrite.memory_optimization = NO_MEMORY_OPTIMIZATION
    adapter = rewrite.custom_optimizers.add()
    adapter.name = 'NpuOptimizer'
    for name, value in wanted.items():
        parameter = adapter.parameter_map[name]
        if isinstance(value, bool):
            parameter.b = value
        elif isinstance(value, int):
            parameter.i = value
        else:
            parameter.s = value.encode()
    return config
