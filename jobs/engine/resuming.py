"""Resuming from a finished output: to train for longer, or to repair one that lost files."""

import logging
import os
from typing import Any, Dict, List, Optional

from stackgan.errors import InputError
from stackgan.file_systems import remove
from stackgan.files import files_below, read_json
from stackgan.integrity import OTHER_BYTES, copy_checked, damaged_files
from stackgan.manifests import MANIFEST, Output, is_request, look_at

from .contract import REQUEST, Job, differences

logger = logging.getLogger(__name__)

CHECKPOINTS = 'checkpoints/'

def request_in(folder: str) -> Optional[Dict[str, Any]]:
    """The request in request.json of an output's folder, or None."""
    try:
        request = read_json(os.path.join(folder, REQUEST))
    except (OSError, ValueError):
        return None
    return request if is_request(request) else None


def resume_from(
        job: Job,
        folder: str,                # of the output
        request: Dict[str, Any],    # the job's request now
        force: bool,                # --force was given
) -> bool:
    """Makes <folder>.partial from the undamaged files of a finished output.

    Returns False if there is nothing to resume from. Raises InputError if a precious output would
    have to be made from scratch.
    """
    if not (job.growing or job.resumes) or not os.path.isdir(folder) or not os.listdir(folder):
        return False
    output = look_at(folder)
    old = output.manifest['request'] if output.manifest else request_in(folder)
    if old is None:
        if job.precious:
            raise InputError(f'{folder}: {output.describe()}, so what it was trained on is '
                             'unknown; put that file back, choose another run.name, or '
                             f'{_anew(folder)}')
        return False
    if old['job'] != request['job'] and job.precious:
        raise InputError(f"{folder} was made by {old['job']}; choose another run.name, or "
                         f'{_anew(folder)}')
    if old['job'] != request['job'] or differences(old, request, job.growing):
        return False                                      # stale
    grows = bool(differences(old, request))
    if not job.resumes:
        return output.is_whole and grows and not force and _copy(job, folder, output)
    if output.manifest and output.is_whole and not grows and not _is_damaged(
            job, folder, output.manifest):
        return False                                      # --force: it is made again
    return _copy(job, folder, output)


def _anew(folder: str) -> str:
    return f'pass --restart to train it again from scratch (it is kept as {folder}.previous)'


def _is_damaged(job: Job, folder: str, manifest: Dict[str, Any]) -> bool:
    """Whether a file has changed. Raises InputError if none has and the output is precious."""
    if damaged_files(folder, manifest['files']):
        return True
    if job.precious:
        raise InputError(f'{folder} is finished and complete; nothing to do. To train again, pass '
                         f'--force --restart (it is kept as {folder}.previous)')
    return False


def _copy(job: Job, folder: str, output: Output) -> bool:
    """Copies the undamaged files, first to another name, so that <folder>.partial is complete."""
    building, partial = folder + '.partial.copy', folder + '.partial'
    remove(building)
    faults = dict.fromkeys(output.lost, '') if output.manifest else {}
    faults.update(_copy_whole_files(folder, building, output.manifest))
    texts = output.faults + [f'{name} {fault}' for name, fault in faults.items()
                             if fault]
    if texts and not _drop_half_checkpoints(building, faults):
        remove(building)
        if job.precious:
            raise InputError(f'{folder}: {_few(texts)}, and no complete checkpoint is left to '
                             'resume from; put back what is missing, choose another run.name, or '
                             f'{_anew(folder)}')
        logger.warning(f'{folder}: {_few(texts)}; it will be made again')
        return False
    if texts:
        logger.warning(f'{folder}: {_few(texts)}; resuming from its newest complete checkpoint; '
                       'lost records of the steps before it stay lost')
    else:
        logger.info(f'extending the finished output in {folder}')
    os.rename(building, partial)
    return True


def _few(texts: List[str]) -> str:
    return Output(None, texts, []).describe()


def _copy_whole_files(folder: str, building: str,
                      manifest: Optional[Dict[str, Any]]) -> Dict[str, str]:
    """Copies the files that match the manifest; returns {name: fault} of the others."""
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
    """Removes checkpoints that lost a file; returns whether a complete one is left."""
    for name in faults:
        if name.startswith(CHECKPOINTS) and name.count('/') > 1:
            remove(os.path.join(building, *name.split('/')[:2]))
    parent = os.path.join(building, CHECKPOINTS)
    return any(os.path.exists(os.path.join(parent, name, 'checkpoint.json'))
               for name in (os.listdir(parent) if os.path.isdir(parent) else ()))
