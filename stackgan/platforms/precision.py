"""What a device multiplies in: one type for the generators and discriminators of a session.

Weights, Adam, batch-norm statistics and losses are float32 with every one of them.
"""

from typing import Any, Optional, Tuple

import tensorflow.compat.v1 as tf

from stackgan.config.schema import Platform
from stackgan.errors import MissingRequirement
from stackgan.platforms.cores import cpu_computes_bfloat16
from stackgan.platforms.nvidia import capability_by_driver

FLOAT32, TF32, BFLOAT16, FLOAT16 = 'float32', 'tf32', 'bfloat16', 'float16'
TYPES = {FLOAT32: tf.float32, TF32: tf.float32, BFLOAT16: tf.bfloat16, FLOAT16: tf.float16}
AMPERE, VOLTA = (8, 0), (7, 0)      # compute capabilities from which on GPUs have tensor cores
                                    # for bfloat16 and TF32, and for float16


def tf_version() -> Tuple[int, ...]:
    """(major, minor) of TensorFlow."""
    return tuple(int(part) for part in tf.__version__.split('.')[:2])


def precision_of_cpu(settings: Platform) -> str:
    """The type for a CPU. Raises MissingRequirement for one that it does not compute in."""
    wanted = settings.precision
    has_bfloat16 = tf_version() >= (2, 4) and cpu_computes_bfloat16()
    if wanted == 'auto':
        return BFLOAT16 if has_bfloat16 and not settings.deterministic else FLOAT32
    if wanted == TF32:
        raise _missing(wanted, 'it is a type of GPUs, and this is a CPU')
    if wanted == BFLOAT16 and not has_bfloat16:
        raise _missing(wanted, f'TensorFlow {tf.__version__} on this CPU does not multiply in it '
                               '(that takes TensorFlow 2.4 and AVX512-BF16 or AMX)')
    if wanted == FLOAT16 and tf_version() < (2, 0):
        raise _missing(wanted, f'TensorFlow {tf.__version__} has no batch norm in it on a CPU')
    return wanted


def precision_of_gpu(settings: Platform) -> str:
    """The type for the first visible GPU. Raises MissingRequirement as `precision_of_cpu`."""
    wanted = settings.precision
    if wanted in (FLOAT32, FLOAT16):
        return wanted
    capability = _capability()
    is_ampere = capability is not None and capability >= AMPERE
    if wanted == 'auto':
        if is_ampere and _has_kernels(tf.bfloat16):
            return BFLOAT16
        return FLOAT16 if capability is not None and capability >= VOLTA else FLOAT32
    card = (f'a GPU of compute capability {capability[0]}.{capability[1]}' if capability
            else 'a GPU of unknown compute capability')
    if wanted in (BFLOAT16, TF32) and not is_ampere:
        raise _missing(wanted, f'this is {card}; 8.0 (Ampere) or later has it')
    if wanted == BFLOAT16 and not _has_kernels(tf.bfloat16):
        raise _missing(wanted, f'TensorFlow {tf.__version__} has no batch norm in it on a GPU')
    if wanted == TF32 and tf_version() < (2, 4):
        raise _missing(wanted, f'TensorFlow {tf.__version__} cannot switch it on')
    return wanted


def precision_of_npu(settings: Platform) -> str:
    """The type for an NPU: float16 stands for the adapter's mixed precision."""
    wanted = settings.precision
    if wanted in (BFLOAT16, TF32):
        raise _missing(wanted, 'on an NPU it is chosen by platform.npu_options.precision_mode')
    return FLOAT16 if wanted == 'auto' else wanted


def allow_tf32(
        allowed: bool,
) -> None:
    """Whether float32 products on a GPU may be made in TF32; holds for the whole process."""
    if tf_version() >= (2, 4):            # 1.15 has no such switch, nor do its builds know Ampere
        tf.config.experimental.enable_tensor_float_32_execution(allowed)


def can_compile() -> bool:
    """Whether XLA of this TensorFlow keeps what it compiles; 1.15 would compile at every start."""
    return tf_version() >= (2, 15)


def _missing(wanted: str, why: str) -> MissingRequirement:
    return MissingRequirement(f'platform.precision: {wanted}, but {why}; use auto or float32')


def _capability() -> Optional[Tuple[int, int]]:
    """Compute capability of the first visible GPU, or None. Opens no GPU."""
    gpus = tf.config.experimental.list_physical_devices('GPU')
    details = getattr(tf.config.experimental, 'get_device_details', None)
    found = details(gpus[0]).get('compute_capability') if details and gpus else None
    return tuple(found) if found else capability_by_driver()


def _has_kernels(dtype: Any) -> bool:
    """Whether this TensorFlow has batch norm in a type on GPUs, the last operation to get it."""
    from tensorflow.python.framework import kernels
    return any(
        kernel.device_type == 'GPU' and any(
            each.name == 'T' and dtype.as_datatype_enum in each.allowed_values.list.type
            for each in kernel.constraint)
        for kernel in kernels.get_registered_kernels_for_op('FusedBatchNormGradV3').kernel)
