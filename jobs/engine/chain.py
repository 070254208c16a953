"""The chain: all jobs in order, each run in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from stackgan.config import Config
from stackgan.errors import InputError, Interrupted
from stackgan.manifests import looking_once
from stackgan.printing import echo, echo_error, printable, show
from stackgan.progress import duration

from .. import (
    convert_om,
    embed,
    export,
    import_checkpoint,
    make_dataset,
    preprocess,
    report,
    sample,
    score,
    train_scorer,
    train_stage1,
    train_stage2,
    train_text_encoder,
    verify_om,
)
from .contract import Job, State, folder_of, look_at, request_of, state_of
from .locks import is_locked
from .replacing import check_chain, would_replace
from .signals import heeded

JOBS = (make_dataset.JOB, preprocess.JOB, train_text_encoder.JOB, embed.JOB, train_stage1.JOB,
        train_stage2.JOB, sample.JOB, train_scorer.JOB, score.JOB, export.JOB, report.JOB)
ON_REQUEST = (convert_om.JOB, verify_om.JOB,      # follow export on a machine with an Ascend
              import_checkpoint.JOB)              # replaces a training
PACKAGE = __name__.rpartition('.engine.')[0]     # jobs, or stackgan.jobs where it is installed
NAMES = tuple(job.name for job in JOBS + ON_REQUEST)
BY_NAME = {job.name: job for job in JOBS + ON_REQUEST}


def until(name: Optional[str], config: Config, volume: str) -> Tuple[Job, ...]:
    """The named job and all jobs that it needs, in order; for None all but those on request.

    The inputs of a job that is not needed, such as the training of an imported stage, are not
    needed either.
    """
    if name is None:
        return needed_by(JOBS, config, volume, JOBS)
    return needed_by((BY_NAME[name],), config, volume)


def needed_by(
        last: Sequence[Job],
        config: Config,
        volume: str,
        among: Sequence[Job] = JOBS + ON_REQUEST,    # the makers of inputs to choose from
) -> Tuple[Job, ...]:
    """Jobs, such as variants of those of the chain, and all that they need, in order."""
    found: List[Job] = []

    def visit(job: Job) -> None:
        if job in found:
            return
        for maker in _makers(job, config, volume) if _is_needed(job, config, volume) else ():
            if maker in among:
                visit(maker)
        found.append(job)

    for job in last:
        visit(job)
    return tuple(found)


def _makers(job: Job, config: Config, volume: str) -> List[Job]:
    try:
        return [BY_NAME[each.made_by] for each in job.inputs(config, volume) if each.made_by]
    except InputError:                                # the job itself will report it
        return []


def _is_needed(job: Job, config: Config, volume: str) -> bool:
    try:
        return not job.not_needed(config, volume)
    except InputError:                                # the job itself will report it
        return True


def run_chain(
        config: Config,
        volume: str,                    # absolute path of the data volume
        last: Optional[str],            # the job to run, after all that it needs; None: all jobs
        arguments: Sequence[str],       # command-line options passed to each job
        restart: Sequence[str] = (),    # jobs that may replace a finished training
) -> int:
    """Runs what is not up to date, one process per job; stops at the first failure.

    Returns the exit code: 0, or that of the job that failed.
    """
    jobs = until(last, config, volume)
    restart = check_chain(jobs, config, volume, restart)

    def run_one(job: Job) -> int:
        anew = ['--restart'] if job.name in restart else []
        return _run_process(job.name, list(arguments) + anew)

    return run_jobs(jobs, config, volume, run_one)


def run_jobs(
        jobs: Sequence[Job],                            # in the order to run them in
        config: Config,
        volume: str,                                    # absolute path of the data volume
        run_one: Callable[[Job], int],                  # runs a job and returns its exit code
        hint: Callable[[Job], str] = lambda job: '',    # added to the message if a job fails
) -> int:
    """Runs the jobs that are not up to date by `run_one`; stops at the first failure.

    Returns the exit code: 0, or that of the job that failed.
    """
    started, ran = time.monotonic(), []
    for job in jobs:
        state = state_of(job, config, volume)
        if state.word in ('done', 'not needed'):
            say_not_run(job, state)
            continue
        code = run_one(job)
        if code:
            echo_error(f'run: {job.name} ended with exit code {code}, the rest was not run'
                       f'{hint(job)}')
            return code
        ran.append(job.name)
    say_done(ran, time.monotonic() - started)
    return 0


def say_not_run(job: Job, state: State) -> None:
    """Shows why a job is skipped."""
    reason = 'up to date' if state.word == 'done' else f'not needed: {state.reason}'
    echo(f'{job.name}: {reason}')


def say_done(ran: Sequence[str], seconds: float) -> None:
    """Shows what a chain did."""
    if ran:
        names = ', '.join(ran)
        echo(f'run: {names} done in {duration(seconds)}')
    else:
        echo('run: everything is up to date')


def _run_process(name: str, arguments: Sequence[str]) -> int:
    """Runs one job and returns its exit code.

    SIGTERM and SIGHUP are passed on to it; on Ctrl-C the terminal signals both processes.
    """
    process = subprocess.Popen([sys.executable, '-m', PACKAGE, name] + list(arguments))
    stops: List[int] = []

    def hand_on(number: int, frame: Optional[FrameType]) -> None:
        stops.append(number)
        if number != signal.SIGINT:
            process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in heeded()}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stops or code < 0:
        return Interrupted.exit_code if stops else 1
    return code


def rows_of_status(
        config: Config,
        volume: str,               # absolute path of the data volume
        queued: Dict[str, str],    # {job: its state in the scheduler} of jobs that are submitted
        elsewhere: Optional[Dict[str, State]] = None,      # {job: its state} on another volume
) -> List[List[str]]:
    """[job, state, output, detail] of every job."""
    with looking_once():
        return [_row(job, config, volume, queued, elsewhere or {}) for job in JOBS + ON_REQUEST]


def _row(job: Job, config: Config, volume: str, queued: Dict[str, str],
         elsewhere: Dict[str, State]) -> List[str]:
    folder = folder_of(job, config, volume)
    place = os.path.relpath(folder, volume)
    state, holder = state_of(job, config, volume), is_locked(folder)
    word, detail = ('running', holder) if holder else state
    if job.name in queued and not holder:
        word, detail = 'queued', queued[job.name]
    other = elsewhere.get(job.name)
    if other and not holder and word != 'done':
        return [job.name, other.word, place, other.reason]
    if word == 'stale':
        replaced = would_replace(job, folder, request_of(job, config, volume))
        if replaced:
            took = duration(replaced.seconds)
            detail += f'; --restart replaces the finished training of {took}'
    manifest = look_at(folder).manifest if word == 'done' else None
    if manifest:
        finished = manifest['finished'].replace('T', ' ')
        detail = f"{finished}, took {duration(manifest['seconds'])}"
    return [job.name, word, place, detail]


def print_table(header: List[str], rows: List[List[str]]) -> None:
    """Prints a table whose columns are as wide as their widest cell."""
    lines = [[printable(cell) for cell in row] for row in [header] + rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header) - 1)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths)] + [line[-1]]
        show('  '.join(cells).rstrip())
