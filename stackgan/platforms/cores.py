"""How much of the machine this process may use. Imports no TensorFlow."""

import gc
import logging
import math
import os
import platform
import re
import sys
import warnings
from contextlib import contextmanager
from typing import Iterator, Optional, Sequence

from stackgan.config.schema import Platform
from stackgan.errors import MissingRequirement
from stackgan.printing import silenced_errors

CPU_FLAGS = '/proc/cpuinfo'
CGROUP_2_QUOTA = '/sys/fs/cgroup/cpu.max'
CGROUP_1_QUOTA = '/sys/fs/cgroup/cpu/cpu.cfs_quota_us'
CGROUP_1_PERIOD = '/sys/fs/cgroup/cpu/cpu.cfs_period_us'
OF_OTHER_PROGRAMS = ('TF_CONFIG', 'TF_USE_LEGACY_KERAS', 'TF2_BEHAVIOR')


def available_cores() -> int:
    """Cores this process may run on, at least 1: its affinity, cut by a container's quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:                       # not Linux
        cores = os.cpu_count() or 1
    quota = _quota()
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def _quota() -> Optional[float]:
    """CPUs' worth of time that the container may use, or None."""
    for files in ([CGROUP_2_QUOTA], [CGROUP_1_QUOTA, CGROUP_1_PERIOD]):
        try:
            words = ' '.join(open(path).read() for path in files).split()
            limit, period = float(words[0]), float(words[1])
        except (OSError, ValueError, IndexError):    # no such file, or 'max'
            continue
        if limit > 0 and period > 0:
            return limit / period
    return None


def cpu_computes_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16 (AVX512-BF16 or AMX)."""
    try:
        with open(CPU_FLAGS) as stream:
            flags = next((line for line in stream if line.startswith('flags')), '').split()
    except OSError:
        return False
    return 'avx512_bf16' in flags or 'amx_bf16' in flags


def thread_count(settings: Platform) -> int:
    """CPU threads to compute with."""
    return 1 if settings.deterministic else settings.threads or available_cores()


def prepare_environment(settings: Platform) -> None:
    """Sets what TensorFlow, OpenMP and MKL read once, when they are first loaded.

    What the user's environment sets stays, but for a deterministic run, and for what would make
    TensorFlow another one: a Keras of another backend, a cluster of another program.
    """
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    os.environ.setdefault('KMP_BLOCKTIME', '0')        # OpenMP threads sleep between operations
    os.environ.setdefault('KMP_WARNINGS', '0')
    if platform.machine().lower() in ('x86_64', 'amd64'):
        # TensorFlow 2 does this by itself only on CPUs with AVX512-VNNI; 1.15 does not read it.
        os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
    os.environ['KERAS_BACKEND'] = 'tensorflow'         # also over another one in keras.json
    for name in OF_OTHER_PROGRAMS:
        os.environ.pop(name, None)
    if settings.deterministic:
        os.environ['OMP_NUM_THREADS'] = '1'
        os.environ['MKL_CBWR'] = 'AUTO'                # results independent of memory alignment
    os.environ.setdefault('OMP_NUM_THREADS', str(thread_count(settings)))
    logging.getLogger('tensorflow').setLevel(logging.ERROR)       # deprecations of TF 1 names
    warnings.filterwarnings('ignore', category=FutureWarning, module='tensor')


def load_tensorflow(settings: Platform) -> None:
    """Imports TensorFlow without the notices that its newer builds print past any setting."""
    prepare_environment(settings)
    try:
        with silenced_errors(), _without(_dispensable()), _not_collecting():
            import tensorflow.compat.v1  # noqa: F401
            from tensorflow.python.util import deprecation
        # It is not logged, but to look for it TensorFlow 1.15 inspects the call of each operation.
        deprecation._PRINT_DEPRECATION_WARNINGS = False
    except (Exception, SystemExit) as error:      # of NumPy, protobuf, a driver, another package
        raise MissingRequirement(f'TensorFlow cannot be imported ({_reason(error)}); install one '
                                 'of the lanes of pyproject.toml, or use the environment that '
                                 'scripts/demo.sh makes')


def _dispensable() -> Sequence[str]:
    """What TensorFlow imports at its own start and does without where that fails: Keras, only to
    register optimizers; HDF5 for an older Keras within 2.21; HTTP for reports of Keras in 1.15.
    """
    if sys.version_info >= (3, 12):
        return ('keras.src', 'h5py')
    return ('requests',) if sys.version_info < (3, 8) else ()


@contextmanager
def _without(names: Sequence[str]) -> Iterator[None]:
    """Within it, these modules cannot be imported. Who uses them afterwards still gets them."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))      # type: ignore[arg-type]
    # Python's own distutils is all that TensorFlow 1.15 needs, not the one of setuptools.
    remove = getattr(sys.modules.get('_distutils_hack'), 'remove_shim', None)
    if remove is not None and sys.version_info < (3, 8):
        remove()
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _not_collecting() -> Iterator[None]:
    """Within it, Python looks for no garbage, and afterwards not among what is there by then: while
    TensorFlow is imported it would look through the same million objects again and again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _reason(error: BaseException) -> str:
    """The line of a failed import that says why, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].startswith('Traceback'):        # TensorFlow puts a whole one in its own
        lines = [line for line in lines if re.match(r'[\w.]*(Error|Exception): ', line)] or lines
    name = type(error).__name__
    text = lines[0] if lines else 'no message'
    return (text if isinstance(error, ImportError) else f'{name}: {text}')[:300]
