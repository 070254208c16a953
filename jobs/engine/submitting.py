"""Chains on a cluster's scheduler: which jobs are submitted, after which, with what resources."""

from typing import Dict, List, NamedTuple, Sequence

from stackgan.config import Config
from stackgan.config.cluster import JobResources

from .contract import Job, state_of

GRACE_SECONDS = 120             # between the request to stop and the kill: to save a checkpoint


class Step(NamedTuple):
    """A job to submit."""

    job: Job
    after: List[str]            # names of the submitted jobs whose outputs it reads
    resources: JobResources


def steps_of(jobs: Sequence[Job], config: Config, volume: str) -> List[Step]:
    """The jobs of a chain that are not up to date, or will not be once others have run."""
    found: Dict[str, Step] = {}
    for job in jobs:
        state = state_of(job, config, volume)
        if state.word == 'not needed':
            continue
        after = [each.made_by for each in job.inputs(config, volume) if each.made_by in found]
        if after or state.word != 'done':
            found[job.name] = Step(job, after, resources_of(job, config))
    return list(found.values())


def resources_of(job: Job, config: Config) -> JobResources:
    """Resources of a job: trainings have their own."""
    return config.resources.training if job.resumes else config.resources.other


def workers_of(job: Job, config: Config) -> int:
    """Tasks or pods that do a job together, each with the resources of the job.

    `auto` is a single one, which itself starts a worker for each card that it is given.
    """
    count = config.platform.workers
    return count if job.takes_workers and isinstance(count, int) else 1
