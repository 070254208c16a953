"""Going on from a finished output: a longer training, or one that lost some of its files."""

import logging
import os
from typing import Dict, Optional

from stackgan.errors import InputError
from stackgan.file_systems import remove
from stackgan.files import files_below, read_json
from stackgan.integrity import OTHER_BYTES, copy_checked, damaged_files
from stackgan.manifests import MANIFEST, Output, is_request, look_at

from .contract import REQUEST, differences

logger = logging.getLogger(__name__)

CHECKPOINTS = 'checkpoints/'
ANEW = 'pass --restart to train it anew (it is kept as %s.previous)'


def request_in(folder: str) -> Optional[dict]:
    """What request.json in an output's folder says, or None."""
    try:
        request = read_json(os.path.join(folder, REQUEST))
    except (OSError, ValueError):
        return None
    return request if is_request(request) else None


def resume_from(
        job,                             # Job
        folder: str,                     # of the output
        request: dict,                   # what the job is asked now
        force: bool,                     # it was asked to run although it is done
) -> bool:
    """Makes <folder>.partial from what is whole of a finished output; False: there is nothing.

    Raises InputError where a precious output would have to be made from nothing, unasked.
    """
    if not (job.growing or job.resumes) or not os.path.isdir(folder) or not os.listdir(folder):
        return False
    output = look_at(folder)
    old = output.manifest['request'] if output.manifest else request_in(folder)
    if old is None:
        if job.precious:
            raise InputError(f'{folder}: {output.describe()}, so it does not say what it was '
                             f'trained on; put that file '
                             f'back, choose another run.name, or {ANEW % folder}')
        return False
    if old['job'] != request['job'] and job.precious:
        raise InputError('{} was made by {}; choose another run.name, or {}'.format(folder, old['job'], ANEW % folder))
    if old['job'] != request['job'] or differences(old, request, job.growing):
        return False                                      # stale
    grows = bool(differences(old, request))
    if not job.resumes:
        return output.is_whole and grows and not force and _copy(job, folder, output)
    if output.is_whole and not grows and not _is_damaged(job, folder, output.manifest):
        return False                                      # asked to make it again
    return _copy(job, folder, output)


def _is_damaged(job, folder, manifest):
    """Whether a file has other bytes. Raises InputError for a precious output that is whole."""
    if damaged_files(folder, manifest['files']):
        return True
    if job.precious:
        raise InputError(f'{folder} is finished and complete; nothing to do. To train again, pass '
                         f'--force --restart (it is kept as {folder}.previous)')
    return False


def _copy(job, folder: str, output: Output) -> bool:
    """Copies what is whole, under the name only when all of it is there."""
    building, partial = folder + '.partial.copy', folder + '.partial'
    remove(building)
    faults = dict.fromkeys(output.lost, '') if output.manifest else {}
    faults.update(_copy_whole_files(folder, building, output.manifest))
    texts = output.faults + [f'{name} {fault}' for name, fault in faults.items()
                             if fault]
    if texts and not _drop_half_checkpoints(building, faults):
        remove(building)
        if job.precious:
            raise InputError(f'{folder}: {_few(texts)}, and no whole checkpoint is left to resume '
                             f'from; put back '
                             f'what is missing, choose another run.name, or {ANEW % folder}')
        logger.warning(f'{folder}: {_few(texts)}; it will be made again')
        return False
    if texts:
        logger.warning(f'{folder}: {_few(texts)}; resumes from its newest whole checkpoint; lost records of '
            f'steps between are '
            'not made again')
    else:
        logger.info(f'extends the finished output in {folder}')
    os.rename(building, partial)
    return True


def _few(texts):
    return Output(None, texts, []).describe()


def _copy_whole_files(folder: str, building: str, manifest: Optional[dict]) -> Dict[str, str]:
    """Copies files, but none of other bytes than the manifest says; returns {name: fault}."""
    files = manifest['files'] if manifest else {}
    faults = {}
    os.makedirs(building)
    for name in files_below(folder):
        facts = files.get(name, {})
        if name in (MANIFEST, REQUEST) or not os.path.isfile(os.path.join(folder, name)):
            continue
        target = os.path.join(building, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not copy_checked(os.path.join(folder, name), target, facts.get('sha256')):
            faults[name] = OTHER_BYTES
    return faults


def _drop_half_checkpoints(building: str, faults: Dict[str, str]) -> bool:
    """Removes checkpoints that lost a file; returns whether a whole one is left."""
    for name in faults:
        if name.startswith(CHECKPOINTS) and name.count('/') > 1:
            remove(os.path.join(building, *name.split('/')[:2]))
    parent = os.path.join(building, CHECKPOINTS)
    return any(os.path.exists(os.path.join(parent, name, 'checkpoint.json'))
               for name in (os.listdir(parent) if os.path.isdir(parent) else ()))
