"""A TensorFlow session for the machine at hand."""

import dataclasses
import functools
import logging
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from stackgan.config.schema import Platform
from stackgan.errors import MissingRequirement
from stackgan.platforms import (
    ascend,
    ascend_loss_scale,
    ascend_session,
    ascend_workers,
    loss_scale,
    nvidia,
)
from stackgan.platforms.ascend_chip import chip_name
from stackgan.platforms.cores import thread_count
from stackgan.platforms.precision import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    TF32,
    TYPES,
    allow_tf32,
    can_compile,
    precision_of_cpu,
    precision_of_gpu,
    precision_of_npu,
    tf_version,
)
from stackgan.platforms.worker_channel import Channel
from stackgan.platforms.workers import Collectives, Engine, Workers

logger = logging.getLogger(__name__)


class Resolved(NamedTuple):
    """What the `platform` section comes to on this machine."""

    device: str            # 'cpu', 'gpu' or 'npu'
    threads: int
    compute_dtype: str = FLOAT32            # of generators and discriminators, as in `precision`
    loss_scale: Optional[float] = None      # in float16: a fixed one; None: one that follows the
                                            # overflows
    npu_options: Optional[Dict[str, Any]] = None      # as `platform.npu_options`
    npu_precision: Optional[str] = None     # what an NPU computes in, in words
    gpu_memory_mib: Optional[int] = None    # at most so much of a GPU; None: what is needed
    compiles: bool = False                  # training steps, by XLA

    @property
    def network_dtype(self) -> Any:
        """The `compute_dtype` of a `ForwardMode`: what the layers themselves have to cast to.

        On a CPU in bfloat16 it is float32: TensorFlow's graph optimiser casts, which measured as
        fast as the layers, and also in gradient penalties and networks without a ForwardMode. On an
        NPU the adapter casts.
        """
        is_cast = (self.compute_dtype == FLOAT16 if self.device == 'cpu' else self.device == 'gpu')
        return TYPES[self.compute_dtype] if is_cast else tf.float32

    @property
    def graph_dtype(self) -> str:
        """What a graph computes in whose layers cast nothing: extractors, encoders."""
        if self.network_dtype == tf.float32:
            return self.compute_dtype
        return FLOAT32

    @property
    def scales_loss(self) -> bool:
        """Whether a training scales its losses, and skips steps that overflow."""
        return self.compute_dtype == FLOAT16


def resolve(
        settings: Platform,
        workers: int = 1,      # that train together
) -> Resolved:
    """`Resolved` for this machine. Raises MissingRequirement for a GPU or NPU that is not there."""
    if settings.device == 'npu':
        ascend.require(settings.npu_options or {}, workers)
        precision = precision_of_npu(settings)
        if precision == FLOAT32:
            ascend_session.keep_float32()
        return Resolved('npu', thread_count(settings), precision, settings.loss_scale,
                        settings.npu_options,
                        ascend_session.precision_words(precision == FLOAT16, chip_name()))
    gpus = [] if settings.device == 'cpu' else _gpus()
    if settings.device == 'gpu' and not gpus:
        raise MissingRequirement(f'platform.device: gpu, but TensorFlow {tf.__version__} sees '
                                 f'none: {_why_no_gpu()}; or use auto')
    if settings.device == 'auto' and not gpus and tf.test.is_built_with_cuda():
        _tell_of_no_gpu()
    device = 'gpu' if gpus and not settings.deterministic else 'cpu'
    precision = precision_of_gpu(settings) if device == 'gpu' else precision_of_cpu(settings)
    return Resolved(device, thread_count(settings), precision, settings.loss_scale,
                    gpu_memory_mib=settings.gpu_memory_mib if device == 'gpu' else None,
                    compiles=(device == 'gpu' and settings.compile == 'auto' and can_compile()
                              and workers == 1))       # not tried with sums in between


def _gpus() -> List[str]:
    """Names of the GPUs that TensorFlow sees. Opens none: an open one takes all of its memory."""
    return [each.name for each in tf.config.experimental.list_physical_devices('GPU')]


def _why_no_gpu() -> str:
    if not tf.test.is_built_with_cuda():
        return 'it is built without CUDA; install the extra tf2-gpu'
    return nvidia.absence() or (f'it cannot use {nvidia.describe()}; its CUDA libraries or the '
                                'driver do not fit')


@functools.lru_cache(maxsize=None)
def _tell_of_no_gpu() -> None:
    """Once: a build for GPUs that has none is seldom meant."""
    logger.info(f'TensorFlow is built for GPUs and sees none, so the CPU computes: '
                f'{_why_no_gpu()}')


def session_config(
        resolved: Resolved,
        training: bool = True,     # False: nothing is differentiated
) -> tf.ConfigProto:
    """tf.ConfigProto for `resolved`."""
    if resolved.device == 'npu':
        return ascend_session.session_config(training, resolved.compute_dtype == FLOAT16,
                                             resolved.npu_options or {})
    config = tf.ConfigProto(
        allow_soft_placement=True,
        intra_op_parallelism_threads=resolved.threads,
        inter_op_parallelism_threads=_operations_at_once(resolved),
        device_count={} if resolved.device == 'gpu' else {'GPU': 0})
    config.gpu_options.allow_growth = True
    if resolved.gpu_memory_mib:
        # The first visible GPU, as a device of that size; growth holds within it too.
        device = config.gpu_options.experimental.virtual_devices.add()
        device.memory_limit_mb.append(resolved.gpu_memory_mib)
    if resolved.device == 'gpu':
        allow_tf32(resolved.compute_dtype == TF32)
    elif resolved.compute_dtype == BFLOAT16:
        rewrite = config.graph_options.rewrite_options
        rewrite.auto_mixed_precision_onednn_bfloat16 = 1       # ON
    if resolved.compiles and training:
        config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    return config


def _operations_at_once(resolved: Resolved) -> int:
    """Independent operations that run at once: both gradients of a convolution, for one.

    Their results are the same to the bit, since each variable is read before it is updated. On two
    cores TensorFlow 2.21 trains small networks 1.2 to 1.4 times as fast so, and 1.15, whose
    operations keep both cores busy, no faster. On a GPU one thread starts operations.
    """
    return resolved.threads if resolved.device == 'cpu' and tf_version() >= (2, 0) else 1


def open_session(settings: Platform, graph: tf.Graph) -> tf.Session:
    """A session on `graph`, to compute with what has been trained."""
    return tf.Session(graph=graph, config=session_config(resolve(settings), training=False))


def on_host(settings: Platform) -> Platform:
    """The settings with the CPU in place of an NPU, for networks that were not made for one."""
    if settings.device != 'npu':
        return settings
    precision = FLOAT32 if settings.precision == FLOAT32 else 'auto'
    return dataclasses.replace(settings, device='cpu', precision=precision)


def exact(settings: Platform) -> Platform:
    """The settings with float32 on the CPU, which generate the same images on every machine."""
    return dataclasses.replace(settings, device='cpu', precision=FLOAT32)


def without_16_bits(settings: Platform) -> Platform:
    """The settings with float32, or TF32 where that is asked for, for networks that need it.

    TF32 is a switch of the whole process, so sessions with other settings would change it.
    """
    return dataclasses.replace(settings, precision=TF32 if settings.precision == TF32 else FLOAT32)


def join_workers(
        channel: Optional[Channel],    # None: there are no others
        settings: Platform,
        resolved: Resolved,
) -> Optional[Workers]:
    """`Workers` of a training on this machine, once all are there; None for a single one."""
    if channel is None:
        return None
    if channel.rank == 0 and resolved.device == 'gpu' and settings.compile == 'auto':
        logger.info('steps of several workers are not compiled (platform.compile)')
    channel.gather()
    channel.release_port()
    if resolved.device == 'npu':
        engine: Engine = ascend_workers.Hccl(channel.size)
    else:
        engine = Collectives(channel.addresses, channel.rank, session_config(resolved),
                             resolved.device == 'gpu' and settings.worker_sums == 'nccl')
    return Workers(channel, engine, settings.worker_batch_norm == 'global',
                   settings.worker_check_every_steps)


@contextmanager
def not_compiled() -> Iterator[None]:
    """What is built within is not compiled in a session that compiles: it runs too seldom."""
    if can_compile():
        with tf.xla.experimental.jit_scope(compile_ops=False):
            yield
    else:
        yield


@contextmanager
def training_session(resolved: Resolved,
                     workers: Optional[Workers] = None) -> Iterator[tf.Session]:
    """A session on the default graph in which the platform's own variables are filled."""
    if resolved.npu_precision:
        logger.info(f'the NPU computes in {resolved.npu_precision}')
    if resolved.device == 'gpu':
        logger.info(nvidia.describe() or 'nvidia-smi does not tell which GPU this is')
    if resolved.compiles:
        logger.info('the first step compiles the networks (XLA), which takes minutes unless it was '
                    'done before; platform.compile=off does without')
    config, target = session_config(resolved), ''
    if workers is not None:
        workers.engine.configure(config)
        target = workers.engine.target
    with tf.Session(target, config=config) as session:
        session.run(tf.local_variables_initializer())
        yield session


def optimizer_wrapper(
        resolved: Resolved,
        workers: int = 1,
) -> Callable[[Any], Any]:
    """(tf.train.Optimizer) -> what computes and applies gradients on this machine."""
    if not resolved.scales_loss:
        return lambda optimizer: optimizer
    if resolved.device == 'npu':
        return lambda optimizer: ascend_loss_scale.with_loss_scale(
            optimizer, resolved.loss_scale, is_distributed=workers > 1)
    return lambda optimizer: loss_scale.with_loss_scale(optimizer, resolved.loss_scale)
