"""Finished trainings that took long are only replaced with --restart."""

import os
from typing import Dict, List, NamedTuple, Optional, Sequence, Set

from stackgan.config import Config
from stackgan.errors import InputError
from stackgan.manifests import look_at
from stackgan.printing import ask
from stackgan.progress import duration

from .contract import Job, differences, folder_of, request_of, state_of

LONG_SECONDS = 600


class Replaced(NamedTuple):
    """A finished training that a job would replace."""

    job: str
    folder: str
    seconds: float
    reason: str             # what changed

    def __str__(self) -> str:
        return (f'{self.folder}, a finished training of {duration(self.seconds)}, would be '
                f'replaced: {self.reason}')


def asked_to_restart(name: str) -> bool:
    """Whether $STACKGAN_RESTART names a job; it also reaches into containers."""
    return name in os.environ.get('STACKGAN_RESTART', '').replace(',', ' ').split()


def would_replace(job: Job, folder: str, request: dict) -> Optional[Replaced]:
    """The training that running the job would replace, if it took long; else None."""
    output = look_at(folder)
    manifest = output.manifest
    if manifest is None or not (job.resumes and output.is_whole):
        return None
    changed = differences(manifest['request'], request, job.growing)
    if not changed or manifest['seconds'] < LONG_SECONDS:
        return None
    return Replaced(job.name, folder, manifest['seconds'], ', '.join(changed))


def check_replacing(job: Job, folder: str, request: dict) -> None:
    """Raises InputError for a training that took long, unless the user at a terminal agrees."""
    found = would_replace(job, folder, request)
    if found:
        _refuse([found], 'pass --restart to replace it')


def check_chain(jobs: Sequence[Job], config: Config, volume: str,
                restart: Sequence[str]) -> List[str]:
    """Names of the jobs to restart: `restart`, and those that the user at a terminal agrees to.

    Raises InputError, before anything runs, for trainings that the chain would replace because
    their settings changed or an input will be made again. (That input may come out the same;
    after --restart the job itself decides when its turn comes.)
    """
    found = [each for each in replaced_by(jobs, config, volume).values()
             if each.job not in restart and not asked_to_restart(each.job)]
    if found:
        options = ' '.join('--restart ' + each.job for each in found)
        _refuse(found, f'pass {options} to replace {_it(found)}')
    return list(restart) + [each.job for each in found]


def replaced_by(jobs: Sequence[Job], config: Config, volume: str) -> Dict[str, Replaced]:
    """{job: `Replaced`} of the trainings that a chain of `jobs` would replace."""
    changing: Set[str] = set()
    found = {}
    for job in jobs:
        state = state_of(job, config, volume)
        output = look_at(folder_of(job, config, volume))
        if (state.word in ('not needed', 'waiting') or output.manifest is None
                or not output.is_whole):
            continue
        after = [each.made_by for each in job.inputs(config, volume)
                 if each.made_by and each.made_by in changing]
        if state.word == 'stale' or after:
            changing.add(job.name)
        if os.path.isdir(folder_of(job, config, volume) + '.partial'):
            continue                                  # already begun, with consent
        replaced = would_replace(job, folder_of(job, config, volume),
                                 request_of(job, config, volume))
        if replaced is None and after and job.resumes:
            seconds, makers = output.manifest['seconds'], ', '.join(after)
            if seconds >= LONG_SECONDS:
                replaced = Replaced(job.name, folder_of(job, config, volume), seconds,
                                    f'it depends on {makers}, which would change')
        if replaced:
            found[job.name] = replaced
    return found


def _refuse(found: Sequence[Replaced], how: str) -> None:
    """Asks at a terminal; raises InputError if there is none or the answer is no."""
    replaced = '; '.join(map(str, found))
    if ask(f'{replaced}. Replace {_it(found)}?'):
        return
    raise InputError(f'{replaced}; set it back, choose another run.name, or {how} (what is '
                     'replaced is kept as <folder>.previous)')


def _it(found: Sequence[Replaced]) -> str:
    return 'it' if len(found) == 1 else 'them'
