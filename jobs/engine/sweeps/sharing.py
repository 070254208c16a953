"""Outputs of other runs that a job would make again.

What a job makes follows from its request: its settings and the contents of its inputs. Where
another run has a finished output of the same request, this run gets its files as hard links. The
output is then up to date by the rules of every job, whichever run made it, and each run can be
cleaned alone.
"""

import logging
import os
import shutil
import time
from typing import Iterator, Optional

from stackgan.config import Config
from stackgan.errors import InputError, StackganError
from stackgan.file_systems import link_or_copy, remove
from stackgan.manifests import MANIFEST, look_at
from stackgan.plain_names import PLAIN

from ..contract import REQUEST, Job, differences, folder_of, request_of
from ..locks import locked
from ..outputs import run_folder

logger = logging.getLogger(__name__)

RUNS = 'runs'
PATIENCE = 60                # seconds; links take less than one, copies of checkpoints some


def take_equal_output(
        job: Job,
        config: Config,
        volume: str,    # absolute path of the data volume
) -> Optional[str]:
    """Links the output of another run whose request is the same; returns its folder.

    None if no run has one, or if this run has an output or unfinished work. Raises StackganError if
    a job is writing it.
    """
    folder = folder_of(job, config, volume)
    if not job.uses_tensorflow or _is_there(folder):     # the others are not a run's, or quick
        return None
    found = equal_output(job, config, volume)
    if found is None:
        return None
    with locked(folder, job.name):
        if _is_there(folder):
            return None
        _link(found, folder)
    return found


def take_patiently(job: Job, config: Config, volume: str) -> Optional[str]:
    """`take_equal_output`, but waits for another process of the sweep that is linking the same.

    Raises StackganError if that takes too long.
    """
    for _ in range(PATIENCE):
        try:
            return take_equal_output(job, config, volume)
        except StackganError:
            time.sleep(1.0)
    return take_equal_output(job, config, volume)


def _is_there(folder: str) -> bool:
    return os.path.lexists(folder) or os.path.lexists(folder + '.partial')


def equal_output(job: Job, config: Config, volume: str) -> Optional[str]:
    """The finished output of another run that is what this job would make, or None."""
    try:
        request = request_of(job, config, volume)
    except InputError:                                   # of an input that is not there yet
        return None
    for path in _of_other_runs(job, config, volume):
        output = look_at(path)
        if output.manifest is None or not output.is_whole:
            continue
        old = output.manifest['request']
        if old['job'] == job.name and not differences(old, request) and not any(
                os.path.islink(os.path.join(path, name)) for name in output.manifest['files']):
            return path
    return None


def _of_other_runs(job: Job, config: Config, volume: str) -> Iterator[str]:
    own = run_folder(config, '')
    output = job.output(config)
    if not output.startswith(own):
        return
    runs = os.path.join(volume, RUNS)
    for name in sorted(os.listdir(runs)) if os.path.isdir(runs) else ():
        if name != config.run.name and PLAIN.match(name):
            yield os.path.join(runs, name, output[len(own):])


def _link(source: str, folder: str) -> None:
    """Makes `folder` from the files of a finished output, at once."""
    building = folder + '.partial.copy'                  # which `clean` and jobs know
    remove(building)
    os.makedirs(building)
    for name in (look_at(source).manifest or {}).get('files', {}):
        target = os.path.join(building, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        link_or_copy(os.path.join(source, name), target)     # never written to again
    for name in (MANIFEST, REQUEST, 'log.txt'):
        if os.path.isfile(os.path.join(source, name)):
            shutil.copyfile(os.path.join(source, name), os.path.join(building, name))
    os.rename(building, folder)
