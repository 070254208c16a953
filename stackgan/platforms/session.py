"""A TensorFlow session for the machine at hand."""

from typing import NamedTuple

import tensorflow.compat.v1 as tf

from stackgan.errors import MissingRequirement
from stackgan.platforms.cores import cpu_computes_bfloat16, thread_count


class Resolved(NamedTuple):
    """What the `platform` section comes to on this machine."""

    device: str            # 'cpu' or 'gpu'
    threads: int
    bfloat16: bool


def resolve(
        settings,          # the `platform` section
):
    """`Resolved` for this machine. Raises MissingRequirement for a GPU that is not there."""
    gpus = [] if settings.device == 'cpu' else _gpus()
    if settings.device == 'gpu' and not gpus:
        raise MissingRequirement('platform.device: gpu, but TensorFlow %s sees none; use auto or '
                                 'install a build with CUDA' % tf.__version__)
    device = 'gpu' if gpus and not settings.deterministic else 'cpu'
    bfloat16 = (device == 'cpu' and settings.mixed_precision == 'auto'
                and not settings.deterministic and tf_version() >= (2, 4)
                and cpu_computes_bfloat16())
    return Resolved(device, thread_count(settings), bfloat16)


def tf_version():
    """(major, minor) of TensorFlow."""
    return tuple(int(part) for part in tf.__version__.split('.')[:2])


def _gpus():
    from tensorflow.python.client import device_lib    # public in no version that 1.15 has
    return [d.name for d in device_lib.list_local_devices() if d.device_type == 'GPU']


def session_config(
        resolved,          # Resolved
):
    """tf.ConfigProto for `resolved`."""
    config = tf.ConfigProto(
        allow_soft_placement=True,
        intra_op_parallelism_threads=resolved.threads,
        inter_op_parallelism_threads=1,
        device_count={} if resolved.device == 'gpu' else {'GPU': 0})
    config.gpu_options.allow_growth = True
    if resolved.bfloat16:
        rewrite = config.graph_options.rewrite_options
        rewrite.auto_mixed_precision_onednn_bfloat16 = 1       # ON
    return config


def open_session(
        settings,          # the `platform` section
        graph,             # tf.Graph
):
    """A session on `graph`."""
    return tf.Session(graph=graph, config=session_config(resolve(settings)))
