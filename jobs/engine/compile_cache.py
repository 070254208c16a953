"""Where XLA keeps what it compiles for a GPU: on the volume, so that only the first start waits."""

import os
import shutil

from stackgan.config.schema import Platform

CACHE = ('cache', 'xla')                 # below the volume
FLAGS = 'TF_XLA_FLAGS'                   # read once, when TensorFlow first compiles
DIRECTORY = '--tf_xla_persistent_cache_directory='
MAX_BYTES = 2 << 30                      # of earlier versions and other networks, oldest go first


def keep_compiled(
        settings: Platform,
        volume: str,             # absolute path of the data volume
) -> None:
    """Has TensorFlow use the cache. What the user's environment sets stays as it is.

    TensorFlow makes the folder when it compiles something, which it does on a GPU alone.
    """
    flags = os.environ.get(FLAGS, '')
    folder = os.path.join(volume, *CACHE)
    if (settings.compile == 'off' or settings.device in ('cpu', 'npu') or DIRECTORY in flags
            or any(each.isspace() for each in folder)           # flags are separated by spaces
            or not _has_driver() or not _has_cache()):
        return
    _bound(folder)
    os.environ[FLAGS] = f'{flags} {DIRECTORY}{folder}'.strip()


def _has_driver() -> bool:
    """Whether there may be a GPU. Without one the flag would only reach other programs."""
    return shutil.which('nvidia-smi') is not None


def _has_cache() -> bool:
    """Whether this TensorFlow knows the flag; it would abort at one that it does not know."""
    try:
        from importlib.metadata import PackageNotFoundError, version
    except ImportError:                  # Python 3.7, and so TensorFlow 1.15
        return False
    for name in ('tensorflow', 'tensorflow-cpu'):
        try:
            return tuple(map(int, version(name).split('.')[:2])) >= (2, 15)
        except (PackageNotFoundError, ValueError):
            pass
    return False


def _bound(folder: str) -> None:
    """Removes the oldest files beyond `MAX_BYTES`."""
    try:
        facts = sorted(((each.stat().st_mtime, each.stat().st_size, each.path)
                        for each in os.scandir(folder)), reverse=True)
        kept = 0
        for _, size, path in facts:
            kept += size
            if kept > MAX_BYTES:
                os.unlink(path)
    except OSError:                      # not there, or another job does the same
        pass
