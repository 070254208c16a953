"""The chain: every job in order, run one process after the other."""

import os
import signal
import subprocess
import sys
import time

from stackgan.errors import InputError, Interrupted
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
from .contract import folder_of, look_at, request_of, state_of
from .locks import is_locked
from .replacing import check_chain, would_replace
from .signals import heeded

JOBS = (make_dataset.JOB, preprocess.JOB, train_text_encoder.JOB, embed.JOB, train_stage1.JOB,
        train_stage2.JOB, sample.JOB, train_scorer.JOB, score.JOB, export.JOB, report.JOB)
ON_REQUEST = (convert_om.JOB, verify_om.JOB,      # go on from export where there is an Ascend
              import_checkpoint.JOB)              # stands in for a training
PACKAGE = __name__.rpartition('.engine.')[0]     # jobs, or stackgan.jobs where it is installed
NAMES = tuple(job.name for job in JOBS + ON_REQUEST)
BY_NAME = {job.name: job for job in JOBS + ON_REQUEST}


def until(name, config, volume):
    """A job and those whose outputs it needs, each after what it needs; for None all but those on
    request.

    What a job that is not needed (of an imported stage) would need is not needed either.
    """
    found = []

    def visit(job):
        if job in found:
            return
        for maker in _makers(job, config, volume) if _is_needed(job, config, volume) else ():
            if name is not None or maker in JOBS:
                visit(maker)
        found.append(job)

    for job in JOBS if name is None else (BY_NAME[name],):
        visit(job)
    return tuple(found)


def _makers(job, config, volume):
    try:
        return [BY_NAME[each.made_by] for each in job.inputs(config, volume) if each.made_by]
    except InputError:                                # which the job itself will tell
        return []


def _is_needed(job, config, volume):
    try:
        return not job.not_needed(config, volume)
    except InputError:                                # which the job itself will tell
        return True


def run_chain(
        config,            # Config
        volume,            # absolute path of the data volume
        last,              # name of the job wanted, with what it needs; None: all
        arguments,         # command-line options handed on to each job
        restart=(),        # names of jobs that may replace what is there
):
    """Runs what is not up to date, a process for each job; stops at the first failure.

    Returns the exit code: 0, or that of the job that failed.
    """
    jobs = until(last, config, volume)
    restart = check_chain(jobs, config, volume, restart)

    def run_one(job):
        anew = ['--restart'] if job.name in restart else []
        return _run_process(job.name, list(arguments) + anew)

    return run_jobs(jobs, config, volume, run_one)


def run_jobs(
        jobs,                        # in order
        config,                      # Config
        volume,                      # absolute path of the data volume
        run_one,                     # runs a job and returns its exit code
        hint=lambda job: '',         # what to add when a job failed
):
    """Runs those that are not up to date, wherever `run_one` does; stops at the first failure.

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
            echo_error('run: %s ended with exit code %d, the rest was not run%s'
                     % (job.name, code, hint(job)))
            return code
        ran.append(job.name)
    say_done(ran, time.monotonic() - started)
    return 0


def say_not_run(job, state):
    """Says why a job is passed over."""
    echo('{}: {}'.format(job.name, 'up to date' if state.word == 'done' else
                    'not needed: ' + state.reason))


def say_done(ran, seconds):
    """Says what a chain did."""
    if ran:
        echo('run: {} done in {}'.format(', '.join(ran), duration(seconds)))
    else:
        echo('run: all is up to date')


def _run_process(name, arguments):
    """Runs one job and returns its exit code.

    Hands SIGTERM and SIGHUP on; a terminal gives Ctrl-C to both processes itself.
    """
    process = subprocess.Popen([sys.executable, '-m', PACKAGE, name] + list(arguments))
    stops = []

    def hand_on(number, frame):
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
        config,            # Config
        volume,            # absolute path of the data volume
        queued,            # {job: what a scheduler says of it} of those that are submitted
):
    """[job, state, output, detail] of every job, as texts."""
    rows = []
    for job in JOBS + ON_REQUEST:
        folder = folder_of(job, config, volume)
        state, holder = state_of(job, config, volume), is_locked(folder)
        word, detail = ('running', holder) if holder else state
        if job.name in queued and not holder:
            word, detail = 'queued', queued[job.name]
        if word == 'stale':
            replaced = would_replace(job, folder, request_of(job, config, volume))
            detail += (f'; --restart replaces the finished training of {duration(replaced.seconds)}' if replaced else '')
        if word == 'done':
            manifest = look_at(folder).manifest
            detail = '{}, took {}'.format(manifest['finished'].replace('T', ' '),
                                      duration(manifest['seconds']))
        rows.append([job.name, word, os.path.relpath(folder, volume), detail])
    return rows


def print_table(header, rows):
    """Prints texts in columns as wide as their widest cell."""
    lines = [[printable(cell) for cell in row] for row in [header] + rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header) - 1)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths)] + [line[-1]]
        show('  '.join(cells).rstrip())
