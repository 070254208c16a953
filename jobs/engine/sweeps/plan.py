"""What a sweep has to do: each job of each run, after those whose outputs it reads."""

import argparse
from typing import Any, Dict, List, NamedTuple, Tuple

from stackgan.config import Config
from stackgan.files import digest_of

from ..chain import BY_NAME, needed_by
from ..contract import Job, flat
from .trials import Sweep, Trial

OF_STAGE1 = ('--stage', '1')
# What each run ends with, and the options of these jobs.
LAST: Dict[int, Tuple[Tuple[str, Tuple[str, ...]], ...]] = {
    1: (('sample', OF_STAGE1), ('score', OF_STAGE1)),
    2: (('report', ()),),                   # which reads the samples and the scores
}


class Node(NamedTuple):
    """A job of a run."""

    number: int                    # of the run, from 0
    trial: Trial
    job: Job
    words: Tuple[str, ...]         # options of the job on its command line
    after: Tuple[str, ...]         # names of the jobs of the same run whose outputs it reads
    key: str                       # equal for jobs that make the same output

    @property
    def name(self) -> str:
        return f'{self.trial.run}: {self.job.name}'


def jobs_of(stage: int, config: Config, volume: str) -> List[Tuple[Job, Tuple[str, ...]]]:
    """(job, its options) of a run, in order."""
    last = [(_variant(BY_NAME[name], words), words) for name, words in LAST[stage]]
    options = {job.name: words for job, words in last}
    return [(job, options.get(job.name, ())) for job in needed_by(
        [job for job, _ in last], config, volume)]


def _variant(job: Job, words: Tuple[str, ...]) -> Job:
    parser = argparse.ArgumentParser()
    if job.add_options:
        job.add_options(parser)
    options = parser.parse_args(words)
    options.force = False
    return job.variant(job, options)


def nodes_of(sweep: Sweep, volume: str) -> List[Node]:
    """The jobs of all runs, run by run."""
    return [node for number, trial in enumerate(sweep.trials)
            for node in _of_trial(number, trial, sweep.stage, volume)]


def _of_trial(number: int, trial: Trial, stage: int, volume: str) -> List[Node]:
    config, keys, found = trial.config, {}, []     # type: Config, Dict[str, str], List[Node]
    for job, words in jobs_of(stage, config, volume):
        inputs: List[Any] = []
        after = []
        for each in job.inputs(config, volume):
            inputs.append([each.name, keys.get(each.made_by or '', each.path)])
            if each.made_by in keys:
                after.append(each.made_by)
        keys[job.name] = digest_of([job.name, job.form, words, flat(job.settings(config)), inputs])
        found.append(Node(number, trial, job, words, tuple(after), keys[job.name]))
    return found
