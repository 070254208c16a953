"""Sweeps on Slurm: one array for each job of the chain, whose tasks are the runs.

A task starts when the same task of the arrays before it is done. An output that several runs share
is made by one task, which the tasks of all those runs wait for; they link it when they start.
"""

import os
import shlex
import sys
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

from stackgan.config.cluster import JobResources
from stackgan.files import atomic_write, write_json

from .. import slurm
from ..chain import PACKAGE
from ..submitting import resources_of
from .plan import Node
from .trials import Sweep

REPORT_RESOURCES = JobResources(cores=1, memory_gib=1, hours=1.0)
# The configuration of a run has the settings. What a task prints goes where a local run puts it.
SETUP = '''unset STACKGAN_SET STACKGAN_CONFIG
case $SLURM_ARRAY_TASK_ID in
{runs}
    *) exit 2 ;;
esac
exec >> {logs}/$run.{job}.txt 2>&1'''

Place = Tuple[str, int]            # job, number of the run that makes the output


class Array(NamedTuple):
    job: str
    nodes: Tuple[Node, ...]
    shared: Tuple[Place, ...]      # outputs that all its tasks await
    same: Tuple[int, ...]          # positions of the arrays whose task of the same run each awaits

    def name(self, position: int) -> str:
        return f'{position:02d}-{self.job}'


def arrays_of(
        nodes: Sequence[Node],               # of all runs, run by run
        is_done: Callable[[Node], bool],     # now
) -> List[Array]:
    """The arrays, in an order in which each comes after those that it waits for."""
    missing = [node for node in nodes if not is_done(node)]
    makers: Dict[str, Node] = {}
    for node in missing:
        makers.setdefault(node.key, node)
    keys = {(node.job.name, node.number): node.key for node in missing}
    found: List[Array] = []
    places: Dict[Place, int] = {}            # array of each output
    for name in _in_order(nodes):
        own = [node for node in missing if node.job.name == name and makers[node.key] is node]
        groups: Dict[Tuple[Tuple[Place, ...], Tuple[int, ...]], List[Node]] = {}
        waits = {node.number: _waits(node, keys, makers) for node in own}
        of_same_run = {each for each in {job for wait in waits.values() for job, _ in wait}
                       if all((each, number) in wait for number, wait in waits.items())}
        for node in own:
            shared = tuple(place for place in waits[node.number] if place[0] not in of_same_run)
            same = tuple(places[place] for place in waits[node.number] if place[0] in of_same_run)
            groups.setdefault((shared, same), []).append(node)
        for (shared, same), group in groups.items():
            places.update({(name, node.number): len(found) for node in group})
            found.append(Array(name, tuple(group), shared, same))
    return found


def _in_order(nodes: Sequence[Node]) -> List[str]:
    """Names of the jobs, each after those whose outputs it reads in any run."""
    found: List[str] = []
    for node in nodes:                       # run by run, and in order within each
        if node.job.name not in found:
            found.append(node.job.name)
    return found


def _waits(node: Node, keys: Dict[Place, str], makers: Dict[str, Node]) -> List[Place]:
    """The outputs that a job reads and that are not there yet."""
    return [(name, makers[keys[name, node.number]].number) for name in node.after
            if (name, node.number) in keys]


def script_of(array: Array, position: int, sweep: Sweep, volume: str, parallel: int) -> str:
    """The batch script of an array."""
    first, folder = array.nodes[0], slurm_folder(sweep)
    runs = '\n'.join(f'    {node.number}) run={shlex.quote(node.trial.run)} ;;'
                     for node in array.nodes)
    tasks = ','.join(str(node.number) for node in array.nodes)
    limit = f'%{parallel}' if parallel < len(array.nodes) else ''
    command = ' '.join(shlex.quote(word) for word in [
        sys.executable, '-m', PACKAGE, 'sweep', '--task', array.job, '--stage', str(sweep.stage),
        '--data', volume]) + f' --config {shlex.quote(sweep.folder)}/$run.yaml'
    name = array.name(position)
    return slurm.batch_script(
        f'stackgan-{sweep.name}-{name}', f'{folder}/{name}-%a.out',
        resources_of(first.job, first.trial.config), first.trial.config, command,
        [SETUP.format(runs=runs, logs=shlex.quote(os.path.join(sweep.folder, 'logs')),
                      job=array.job)],
        [f'--array={tasks}{limit}'])


def slurm_folder(sweep: Sweep) -> str:
    return os.path.join(sweep.folder, 'slurm')


def report_script(sweep: Sweep, volume: str) -> str:
    """The batch script that writes the report when all else is over."""
    config = sweep.trials[0].config
    command = ' '.join(shlex.quote(word) for word in [
        sys.executable, '-m', PACKAGE, 'sweep', '--report', '--name', sweep.name, '--data', volume,
        '--config', sweep.trials[0].path])
    return slurm.batch_script(f'stackgan-{sweep.name}-report', f'{slurm_folder(sweep)}/report.out',
                              REPORT_RESOURCES, config, command, ['unset STACKGAN_SET'])


def submit(arrays: Sequence[Array], sweep: Sweep, volume: str, parallel: int) -> List[str]:
    """Submits the arrays and the report; returns their numbers.

    Raises as `slurm.submit`.
    """
    slurm.require_slurm()
    os.makedirs(slurm_folder(sweep), exist_ok=True)
    os.makedirs(os.path.join(sweep.folder, 'logs'), exist_ok=True)
    numbers: List[str] = []
    places: Dict[Place, str] = {}
    for position, array in enumerate(arrays):
        waits = [':'.join(['afterok'] + [places[place] for place in array.shared])
                 ] if array.shared else []
        waits += [':'.join(['aftercorr'] + [numbers[each] for each in sorted(set(array.same))])
                  ] if array.same else []
        number = _sbatch(script_of(array, position, sweep, volume, parallel), waits, sweep,
                         array.name(position), numbers)
        numbers.append(number)
        places.update({(array.job, node.number): f'{number}_{node.number}'
                       for node in array.nodes})
    waits = [':'.join(['afterany'] + numbers)] if numbers else []
    numbers.append(_sbatch(report_script(sweep, volume), waits, sweep, 'report', numbers))
    for trial_number, trial in enumerate(sweep.trials):
        folder = slurm.folder_of(trial.config, volume)
        os.makedirs(folder, exist_ok=True)
        write_json(os.path.join(folder, slurm.SUBMITTED), {
            job: place for (job, number), place in places.items() if number == trial_number})
    return numbers


def _sbatch(text: str, waits: Sequence[str], sweep: Sweep, name: str,
            submitted: Sequence[str]) -> str:
    path = os.path.join(slurm_folder(sweep), name + '.sh')
    with atomic_write(path, 'w') as stream:
        stream.write(text)
    options = ['--dependency=' + ','.join(waits)] if waits else []
    return slurm.sbatch(options + [path], name, submitted)
