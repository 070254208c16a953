"""The options of an NPU session that each release of the TensorFlow adapter reads.

The adapter ignores a name that it does not know and may abort the process for a value that it does
not like, so names and types are checked here. The lists were read from SetNpuOptimizerAttr
(tf_adapter/util/npu_attrs.cc) of Ascend/tensorflow r1.2.0, the release of CANN 20.2, and of
hicann/tensorflow 82957b9, that of CANN 9.
"""

import json
import logging
import os
from typing import Dict, Mapping, Union

from stackgan.errors import InputError

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
# What tells of a training, but does not change what it computes.
DIAGNOSTIC = frozenset('''debug_dir dump_data dump_debug_mode dump_layer dump_mode dump_path
    dump_step enable_dump enable_dump_debug op_compiler_cache_dir op_compiler_cache_mode
    profiling_mode profiling_options'''.split())
PROFILE = 'STACKGAN_ASCEND_PROFILE'     # variable that names a folder for profiles


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

    Raises InputError for one that the training sets itself, whose value has the wrong type, or at
    which the adapter would abort the process.
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
    if given.get('enable_dump') or given.get('enable_dump_debug'):
        _require_folder('dump_path', given.get('dump_path'))
    if given.get('profiling_options'):
        try:
            output = json.loads(str(given['profiling_options']))['output']
        except (ValueError, TypeError, KeyError):
            raise InputError(f'platform.npu_options: profiling_options is '
                             f'{given["profiling_options"]!r}; must be JSON, such as '
                             '{"output": "/data/profile", "task_trace": "on"}')
        _require_folder('output of profiling_options', output)


def _require_folder(name: str, path: object) -> None:
    if not isinstance(path, str) or not os.path.isdir(path):
        raise InputError(f'platform.npu_options: {name} is {path!r}; must be a folder that exists')
