"""Where CANN keeps compiled kernels, logs and profiles while a job runs, and what its log says of a
failure.

The cache is on the volume, so that a training does not compile for minutes again. CANN bounds its
size, except 20.2. Logs and scratch files are in the job's folder: they stay if the job fails or is
killed, and are removed when it is done. Profiles stay.
"""

import glob
import logging
import os
import re
from contextlib import contextmanager
from typing import Iterator, Optional

from stackgan.config.schema import Config
from stackgan.errors import Interrupted
from stackgan.file_systems import remove
from stackgan.files import files_below
from stackgan.platforms.ascend_options import PROFILE

logger = logging.getLogger(__name__)

CACHE = ('cache', 'ascend')              # below the volume
WORK, PROFILES = 'ascend-work', 'ascend-profile'       # in the folder of a job
CACHE_MEGABYTES = 2000                   # CANN's own bound is 500
CACHE_LIMIT = 3 * 10 ** 9                # bytes; above that it is emptied, for 20.2
CONVERTING = ('convert-om', 'verify-om')
# E10001 of ATC and GE, EZ3003 and EZ9999 of the operators, EE1001 of the runtime.
CODE = re.compile(r'\bE[0-9A-Z]\d{4}\b')


@contextmanager
def ascend_files(
        name: str,            # of the job
        config: Config,
        volume: str,
        folder: str,          # where the job works
) -> Iterator[None]:
    """Within, CANN uses these places. What the user's environment sets stays as it is.

    When the job fails, warns with the last error in CANN's log.
    """
    if config.platform.device != 'npu' and name not in CONVERTING:
        yield
        return
    work = os.path.join(folder, WORK)
    remove(work)
    logs = os.environ.get('ASCEND_PROCESS_LOG_PATH') or os.path.join(work, 'log')
    cache = os.path.join(volume, *CACHE)
    values = {'ASCEND_CACHE_PATH': cache, 'ASCEND_MAX_OP_CACHE_SIZE': str(CACHE_MEGABYTES),
              'ASCEND_WORK_PATH': work, 'ASCEND_PROCESS_LOG_PATH': logs}
    profiles = os.path.join(folder, PROFILES)
    options = config.platform.npu_options or {}
    is_profiled = bool(options.get('profiling_mode')) and name not in CONVERTING
    if is_profiled and not options.get('profiling_options'):
        values[PROFILE] = profiles
        os.makedirs(profiles, exist_ok=True)
    added = [each for each in values if not os.environ.get(each)]
    if 'ASCEND_CACHE_PATH' in added:
        _bound(cache)
    for path in (cache, logs):
        os.makedirs(path, exist_ok=True)
    os.environ.update({each: values[each] for each in added})
    try:
        yield
    except Interrupted:
        remove(work)
        raise
    except BaseException:
        line = last_error(logs)
        if line:
            logger.warning(f"the last error in CANN's log: {line}; the log is {logs}")
        elif not glob.glob(os.path.join(glob.escape(work), '**', '*.log'), recursive=True):
            remove(work)
        raise
    finally:
        for each in added:
            os.environ.pop(each, None)
    remove(work)
    if PROFILE in added:
        logger.info(f'profiles of the NPU are in {profiles}; msprof --export=on --output=<one of '
                    'them> makes a timeline for MindStudio Insight or chrome://tracing')


def _bound(cache: str) -> None:
    """Empties a cache of compiled kernels that has grown too large; kernels are compiled again."""
    size = 0
    for each in files_below(cache) if os.path.isdir(cache) else ():
        try:
            size += os.path.getsize(os.path.join(cache, each))
        except OSError:                  # removed meanwhile, by CANN or another job
            pass
    if size > CACHE_LIMIT:
        logger.info(f'the compiled kernels in {cache} take {size} bytes, more than {CACHE_LIMIT}; '
                    'they are removed, and what is needed is compiled again')
        remove(cache)


def last_error(
        logs: str,            # folder of CANN's logs
) -> Optional[str]:
    """The last line with an error of the newest log that has one, preferably with a code."""
    paths = glob.glob(os.path.join(glob.escape(logs), '**', '*.log'), recursive=True)
    for path in sorted(paths, key=os.path.getmtime, reverse=True):
        with open(path, errors='replace') as stream:
            lines = [' '.join(line.split()) for line in stream
                     if '[ERROR]' in line or CODE.search(line)]
        coded = [line for line in lines if CODE.search(line)]
        if lines:
            return (coded or lines)[-1][:400]
    return None
