"""The options of ATC by release, and those that a user hands through with export.atc_options."""

import logging
from typing import List

from stackgan.config.schema import Options
from stackgan.errors import InputError

logger = logging.getLogger(__name__)

# What the conversion sets itself.
FIXED = frozenset('framework model output soc_version input_format input_shape out_nodes'.split())
# graphengine r1.1, ge/offline/main.cc.
CANN_20 = frozenset('''
    auto_tune_mode buffer_optimize check_report compress_weight_conf debug_dir
    disable_reuse_memory dynamic_batch_size dynamic_dims dynamic_image_size enable_compress_weight
    enable_scope_fusion_passes enable_single_stream enable_small_channel fusion_switch_file
    input_fp16_nodes insert_op_conf json log mode om op_compiler_cache_dir op_compiler_cache_mode
    op_debug_level op_select_implmode optypelist_for_implmode output_type precision_mode
    save_original_model singleop weight'''.split())
# hicann/ge ffdcbc9, docs/zh/user_guides/atc_tools/CLI_options.
CANN_9 = frozenset('''
    ac_parallel_enable aicore_num allow_hf32 atomic_clean_policy buffer_optimize check_report
    cluster_config compression_optimize_conf core_type customize_dtypes debug_dir deterministic
    deterministic_level disable_reuse_memory display_model_info dump_mode dynamic_batch_size
    dynamic_dims dynamic_image_size enable_attr_compression enable_scope_fusion_passes
    enable_single_stream enable_small_channel export_compile_stat external_weight
    fusion_switch_file h2d_overlapped_with_compute hccl_sub_comm_config host_env_cpu host_env_os
    input_fp16_nodes input_shape_range insert_op_conf is_input_adjust_hw_layout
    is_output_adjust_hw_layout is_weight_clip jit_compile json keep_dtype log mdl_bank_path mode
    modify_mixlist multi_stream_parallel_mode om oo_constant_folding oo_dead_code_elimination
    oo_level op_bank_path op_compiler_cache_dir op_compiler_cache_mode op_debug_config
    op_debug_level op_name_map op_precision_mode op_select_implmode optimization_switch
    optypelist_for_implmode output_type precision_mode precision_mode_v2 quant_dumpable
    raw_ge_options raw_ge_options_ignore_unsupported shape_generalized_build_mode singleop
    sparsity static_model_ops_lower_limit status_check tiling_schedule_optimize topo_sorting_mode
    virtual_type weight'''.split())


def check_options(
        given: Options,          # `export.atc_options`
) -> None:
    """Warns of options that a release does not have. Raises InputError for those set here."""
    for name in given:
        if name in FIXED:
            raise InputError(f'export.atc_options: {name} is set by the conversion; remove it')
        if name not in CANN_20 | CANN_9:
            logger.warning(f'export.atc_options: {name} is not among the options of ATC in CANN '
                           '20.x and 9; it is passed on, and ATC may refuse it')
        elif name not in CANN_20 & CANN_9:
            release = 'CANN 9' if name in CANN_9 else 'CANN 20.x'
            logger.warning(f'export.atc_options: {name} is an option of ATC in {release}, which '
                           'other releases may refuse')


def with_options(
        words: List[str],        # '--name=value' each
        given: Options,          # `export.atc_options`
) -> List[str]:
    """The words with the options given, which replace those of the same name."""
    kept = [word for word in words if word[2:].partition('=')[0] not in given]
    return kept + [f'--{name}={_text(value)}' for name, value in given.items()]


def _text(value: object) -> str:
    return {True: 'true', False: 'false'}[value] if isinstance(value, bool) else str(value)
