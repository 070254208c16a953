"""A TensorFlow session for the machine at hand."""

import dataclasses
import logging
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from stackgan.config.schema import Platform
from stackgan.errors import MissingRequirement
from stackgan.platforms import ascend, ascend_loss_scale, ascend_options, ascend_workers
from stackgan.platforms.ascend_chip import chip_name
from stackgan.platforms.cores import cpu_computes_bfloat16, thread_count
from stackgan.platforms.worker_channel import Channel
from stackgan.platforms.workers import Collectives, Engine, Workers

logger = logging.getLogger(__name__)


class Resolved(NamedTuple):
    """What the `platform` section comes to on this machine."""

    device: str            # 'cpu', 'gpu' or 'npu'
    threads: int
    bfloat16: bool
    float16: bool = False                   # mixed precision of an NPU, with loss scaling
    loss_scale: Optional[float] = None      # a fixed one; None: one that follows the overflows
    npu_options: Optional[Dict[str, Any]] = None      # as `platform.npu_options`
    npu_precision: Optional[str] = None     # what an NPU computes in, in words
    gpu_memory_mib: Optional[int] = None    # at most so much of a GPU; None: what is needed


def resolve(
        settings: Platform,
        workers: int = 1,      # that train together
) -> Resolved:
    """`Resolved` for this machine. Raises MissingRequirement for a GPU or NPU that is not there."""
    if settings.device == 'npu':
        ascend.require(settings.npu_options or {}, workers)
        float16 = settings.mixed_precision == 'auto'
        return Resolved('npu', thread_count(settings), False, float16, settings.loss_scale,
                        settings.npu_options,
                        ascend_options.precision_words(float16, chip_name()))
    gpus = [] if settings.device == 'cpu' else _gpus()
    if settings.device == 'gpu' and not gpus:
        raise MissingRequirement(f'platform.device: gpu, but TensorFlow {tf.__version__} sees '
                                 f'none; use auto or '
                                 'install a build with CUDA')
    device = 'gpu' if gpus and not settings.deterministic else 'cpu'
    bfloat16 = (device == 'cpu' and settings.mixed_precision == 'auto'
                and not settings.deterministic and tf_version() >= (2, 4)
                and cpu_computes_bfloat16())
    return Resolved(device, thread_count(settings), bfloat16,
                    gpu_memory_mib=settings.gpu_memory_mib if device == 'gpu' else None)


def tf_version() -> Tuple[int, ...]:
    """(major, minor) of TensorFlow."""
    return tuple(int(part) for part in tf.__version__.split('.')[:2])


def _gpus() -> List[str]:
    """Names of the GPUs that TensorFlow sees. Opens none: an open one takes all of its memory."""
    return [each.name for each in tf.config.experimental.list_physical_devices('GPU')]


def session_config(
        resolved: Resolved,
        training: bool = True,     # False: nothing is differentiated
) -> tf.ConfigProto:
    """tf.ConfigProto for `resolved`."""
    if resolved.device == 'npu':
        return ascend_options.session_config(training, resolved.float16, resolved.npu_options or {})
    config = tf.ConfigProto(
        allow_soft_placement=True,
        intra_op_parallelism_threads=resolved.threads,
        inter_op_parallelism_threads=1,
        device_count={} if resolved.device == 'gpu' else {'GPU': 0})
    config.gpu_options.allow_growth = True
    if resolved.gpu_memory_mib:
        # The first visible GPU, as a device of that size; growth holds within it too.
        device = config.gpu_options.experimental.virtual_devices.add()
        device.memory_limit_mb.append(resolved.gpu_memory_mib)
    if resolved.bfloat16:
        rewrite = config.graph_options.rewrite_options
        rewrite.auto_mixed_precision_onednn_bfloat16 = 1       # ON
    return config


def open_session(settings: Platform, graph: tf.Graph) -> tf.Session:
    """A session on `graph`, to compute with what has been trained."""
    return tf.Session(graph=graph, config=session_config(resolve(settings), training=False))


def on_host(settings: Platform) -> Platform:
    """The settings with the CPU in place of an NPU, for networks that were not made for one."""
    return dataclasses.replace(settings, device='cpu') if settings.device == 'npu' else settings


def exact(settings: Platform) -> Platform:
    """The settings with float32 on the CPU, which generate the same images on every machine."""
    return dataclasses.replace(settings, device='cpu', mixed_precision='off')


def join_workers(
        channel: Optional[Channel],    # None: there are no others
        settings: Platform,
        resolved: Resolved,
) -> Optional[Workers]:
    """`Workers` of a training on this machine, once all are there; None for a single one."""
    if channel is None:
        return None
    channel.gather()
    channel.release_port()
    if resolved.device == 'npu':
        engine: Engine = ascend_workers.Hccl(channel.size)
    else:
        engine = Collectives(channel.addresses, channel.rank, session_config(resolved))
    return Workers(channel, engine, settings.worker_batch_norm == 'global',
                   settings.worker_check_every_steps)


@contextmanager
def training_session(resolved: Resolved,
                     workers: Optional[Workers] = None) -> Iterator[tf.Session]:
    """A session on the default graph in which the platform's own variables are filled."""
    if resolved.npu_precision:
        logger.info(f'the NPU computes in {resolved.npu_precision}')
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
    if resolved.device == 'npu' and resolved.float16:
        return lambda optimizer: ascend_loss_scale.with_loss_scale(
            optimizer, resolved.loss_scale, is_distributed=workers > 1)
    return lambda optimizer: optimizer
