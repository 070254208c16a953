"""The jobs as the live view of `serve` shows them: those of `status`, and what runs elsewhere."""

import os
import re
from typing import List, Set

from stackgan.config import Config
from stackgan.serving.live import JobRow

from . import chain, slurm
from .locks import holder_facts, is_locked

MAX_RUNS = 500               # looked through for jobs of other configurations
LOCK = '.lock'
ON_REQUEST = frozenset(job.name for job in chain.ON_REQUEST)     # not shown before they ran
HOLDER = re.compile(r'\A[^,]*, (process .* since [0-9-]{10})T([0-9:]{8})\Z')
NOTHING_THERE = ('missing', 'waiting', 'not needed')


def rows_of_jobs(
        config: Config,
        volume: str,               # absolute path of the data volume
) -> List[JobRow]:
    """The jobs of the configuration in order, then those that run in other runs of the volume."""
    found = chain.rows_of_status(config, volume, slurm.queued(config, volume))
    rows = [JobRow(job, state, output, _shorter(detail) if state == 'running' else detail)
            for job, state, output, detail in found]
    rows = [row for row in rows if row.job not in ON_REQUEST or row.state not in NOTHING_THERE]
    return rows + _elsewhere(volume, {row.output for row in rows})


def _elsewhere(volume: str, known: Set[str]) -> List[JobRow]:
    found = []
    for top in ['prepared'] + [f'runs/{name}' for name in _names(os.path.join(volume, 'runs'))]:
        for name in _names(os.path.join(volume, top)):
            output = f'{top}/{name[:-len(LOCK)]}'
            if not name.endswith(LOCK) or output in known:
                continue
            holder = is_locked(os.path.join(volume, output))
            if holder:
                found.append(JobRow(_job_of(os.path.join(volume, top, name)), 'running', output,
                                    _shorter(holder)))
    return found


def _shorter(holder: str) -> str:
    """Of 'train-stage1, process 7 on host since 2026-01-01T12:00:00', what the view says besides
    the job."""
    return HOLDER.sub(r'\1 \2', holder)


def _job_of(path: str) -> str:
    """Name of the job that holds a lock."""
    try:
        return str(holder_facts(path)['job'])
    except (OSError, ValueError, KeyError):
        return 'a job'


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))[:MAX_RUNS]
    except OSError:
        return []
