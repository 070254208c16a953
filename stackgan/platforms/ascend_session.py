"""Options and configuration of an NPU session."""

import json
import os
from typing import Dict, Mapping, Optional

import tensorflow.compat.v1 as tf

from stackgan.errors import StackganError
from stackgan.platforms.ascend_chip import chip_name, multiplies_float32
from stackgan.platforms.ascend_options import PROFILE, Value

HF32 = 'ENABLE_HF32_EXECUTION'          # variable of the adapter, of CANN 8 and later
TOGGLE_OFF = 2                   # RewriterConfig.OFF
NO_MEMORY_OPTIMIZATION = 1       # RewriterConfig.NO_MEM_OPT; ports write OFF, which is MANUAL there

_first_options: dict = {}              # of this process; what its later sessions must ask for too


def keep_float32() -> None:
    """Has products of float32 numbers made in float32, unless the environment says otherwise.

    A2 and A3 would make those of convolutions in HF32, which has a mantissa of 11 bits.
    """
    os.environ.setdefault(HF32, '0')


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
        hf32 = os.environ.get(HF32, '0')
        return (f'float32 on {chip}, as its adapter does by default (must_keep_origin_dtype), '
                + ('without HF32' if hf32 == '0' else f'with HF32 ({HF32}={hf32})'))
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
    if chosen.get('profiling_mode') and not chosen.get('profiling_options'):
        # CANN 20.2 aborts without any; later ones write into the working directory.
        chosen['profiling_options'] = json.dumps({
            'output': os.environ.get(PROFILE, os.getcwd()), 'task_trace': 'on'})
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
