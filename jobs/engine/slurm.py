"""Chains on Slurm: one batch job for each job of the chain, held until those it needs are done.

A job that is preempted or reaches its time limit saves its work, ends with exit code 130 and is
queued again; it then resumes. One that fails cancels those that depend on it. What was submitted
is in runs/<run.name>/slurm/: a script and an output file for each job, and submitted.json.
"""

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import Dict, List, Optional, Sequence

from stackgan.config import Config
from stackgan.config.cluster import JobResources
from stackgan.errors import MissingRequirement, StackganError
from stackgan.files import atomic_write, read_json, write_json

from .chain import PACKAGE
from .outputs import run_folder
from .submitting import GRACE_SECONDS, Step, workers_of

SUBMITTED = 'submitted.json'
NUMBER = re.compile(r'[0-9]{1,20}(_[0-9]{1,9})?\Z')       # of a job, or of one of an array
SECONDS = 30                    # for an answer of sbatch or squeue
SCRIPT = '''#!/bin/bash
{options}
# Signals come to this shell: hand them on, wait until the job has saved, queue it again.
{setup}
{command} &
child=$!
trap 'stopped=1; {stop} 2>/dev/null' TERM USR1
while kill -0 $child 2>/dev/null; do wait $child; done
wait $child
code=$?
if [ $code = 130 ] && [ -n "$stopped" ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit $code
'''
# srun would kill its tasks if it were told to end, so they are told without it. A worker that fails
# ends the others itself, and says why.
STEP = 'srun --kill-on-bad-exit=0 --cpus-per-task={cores} {command}'
STOP, STOP_STEP = 'kill -TERM $child', 'scancel --signal=TERM "$SLURM_JOB_ID"'
# A job that was queued again resumes what it threw the earlier work away for.
RESTART = '[ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] || anew=--restart'


def folder_of(config: Config, volume: str) -> str:
    """Where scripts, outputs and the numbers of submitted jobs are."""
    return os.path.join(volume, run_folder(config, 'slurm'))


def script_of(step: Step, config: Config, volume: str, arguments: Sequence[str],
              restart: bool = False) -> str:
    """The batch script of a job; what it depends on is given when it is submitted."""
    command = ' '.join(shlex.quote(word) for word in [
        sys.executable, '-m', PACKAGE, step.job.name] + list(arguments))
    return batch_script(f'stackgan-{config.run.name}-{step.job.name}',
                        f'{folder_of(config, volume)}/{step.job.name}.out', step.resources, config,
                        command + (' $anew' if restart else ''), [RESTART] if restart else [],
                        workers=workers_of(step.job, config))


def batch_script(
        name: str,                    # of the batch job
        output: str,                  # file for what it prints
        resources: JobResources,
        config: Config,
        command: str,                 # of the shell
        setup: Sequence[str] = (),    # lines of the shell before it
        more: Sequence[str] = (),     # options of sbatch
        workers: int = 1,             # tasks of the command, each with the resources
) -> str:
    """A batch script that resumes after preemption or its time limit."""
    minutes = max(1, int(round(60 * resources.hours)))
    memory = (f'--mem={resources.memory_gib}G' if workers == 1 else      # of the node
              f'--mem-per-cpu={math.ceil(1024 * resources.memory_gib / resources.cores)}M')
    options = [f'--job-name={name}', f'--output={output}', '--open-mode=append',
               f'--ntasks={workers}', f'--cpus-per-task={resources.cores}', memory,
               f'--time={minutes}', f'--signal=B:USR1@{GRACE_SECONDS}', '--requeue',
               '--kill-on-invalid-dep=yes']
    if resources.cards:
        options.append(f'--gres=gpu:{resources.cards}' if workers == 1 else
                       f'--gpus-per-task={resources.cards}')
    options += list(more) + shlex.split(config.resources.slurm_options)
    lines = [f'cd {shlex.quote(os.getcwd())} || exit 2']
    if os.environ.get('PYTHONPATH'):
        lines.append(f'export PYTHONPATH={shlex.quote(os.environ["PYTHONPATH"])}')
    return SCRIPT.format(options='\n'.join('#SBATCH ' + shlex.quote(each) for each in options),
                         setup='\n'.join(lines + list(setup)),
                         stop=STOP if workers == 1 else STOP_STEP,
                         command=command if workers == 1 else STEP.format(
                             cores=resources.cores, command=command))


def submit(steps: Sequence[Step], config: Config, volume: str, arguments: Sequence[str],
           restart: Sequence[str]) -> Dict[str, str]:
    """Submits the jobs and returns {job: number}.

    Raises MissingRequirement without Slurm; StackganError, with what was submitted cancelled, if
    it refuses a job.
    """
    require_slurm()
    folder = folder_of(config, volume)
    numbers: Dict[str, str] = {}
    os.makedirs(folder, exist_ok=True)
    for step in steps:
        path = os.path.join(folder, step.job.name + '.sh')
        with atomic_write(path, 'w') as stream:
            stream.write(script_of(step, config, volume, arguments, step.job.name in restart))
        after = [f'--dependency=afterok:{":".join(numbers[name] for name in step.after)}'
                 ] if step.after else []
        numbers[step.job.name] = sbatch(after + [path], step.job.name, list(numbers.values()))
    write_json(os.path.join(folder, SUBMITTED), numbers)
    return numbers


def require_slurm() -> None:
    """Raises MissingRequirement without Slurm."""
    if shutil.which('sbatch') is None:
        raise MissingRequirement('submit: there is no sbatch on PATH; run this on a machine from '
                                 'which Slurm jobs can be submitted')


def sbatch(
        words: Sequence[str],         # options and the script
        name: str,                    # for the message
        submitted: Sequence[str],     # what is cancelled if this is refused
) -> str:
    """Submits a script and returns its number. Raises StackganError."""
    done = _call(['sbatch', '--parsable'] + list(words))
    if done.returncode:
        if submitted:
            _call(['scancel'] + list(submitted))
        raise StackganError(f'submit: sbatch refuses {name}: {_first_line(done)}; nothing is '
                            'submitted')
    return done.stdout.strip().split(';')[0]


def queued(config: Config, volume: str) -> Dict[str, str]:
    """{job: its state in the queue} of submitted jobs that are not over; {} without Slurm.

    The number of a job that is one of an array is <array>_<index>.
    """
    try:
        numbers = read_json(os.path.join(folder_of(config, volume), SUBMITTED))
    except (OSError, ValueError):
        return {}
    if not _are_numbers(numbers) or shutil.which('squeue') is None:
        return {}
    try:
        done = _call(['squeue', '--noheader', '--array', '--format=%i|%T|%r', '--jobs=' + ','.join(
            numbers.values())])
    except StackganError:                # a scheduler that does not answer hides no other state
        return {}
    found = {}
    for line in done.stdout.splitlines():
        number, state, reason = (line.split('|') + ['', ''])[:3]
        for name, known in numbers.items():
            if known == number:
                why = f' ({reason})' if reason not in ('', 'None') else ''
                found[name] = f'Slurm job {number} {state.lower()}{why}'
    return found


def _are_numbers(numbers: object) -> bool:
    return isinstance(numbers, dict) and bool(numbers) and all(
        isinstance(each, str) and NUMBER.match(each) for each in numbers.values())


def _call(words: List[str]) -> 'subprocess.CompletedProcess[str]':
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackganError(f'{words[0]} does not answer ({error})')


def _first_line(done: 'subprocess.CompletedProcess[str]') -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1][:200] if lines else f'exit code {done.returncode}'


def log_of(name: str, config: Config, volume: str) -> Optional[str]:
    """The path of what a submitted job printed, if there is one."""
    path = os.path.join(folder_of(config, volume), name + '.out')
    return path if os.path.exists(path) else None
