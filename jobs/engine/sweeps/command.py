"""`sweep`: its options, and what it does with them."""

import argparse
import os
from typing import Dict, List, Sequence, Tuple

from stackgan.config import Config, load_config
from stackgan.config.places import find_config
from stackgan.errors import ConfigError, InputError, Interrupted
from stackgan.files import user_path
from stackgan.printing import echo

from .. import chain
from ..contract import state_of
from ..execution import execute
from . import arrays, results
from .local import run_here
from .plan import Node, jobs_of, nodes_of
from .points import Request, grid_of, merged, points_of, ranges_of, read_request
from .results import report_job, require_score, state_of_run
from .sharing import equal_output, take_patiently
from .trials import (
    DEFAULT_SCORE,
    STAGES,
    Sweep,
    check_names,
    make_sweep,
    read_record,
    text_of,
    write_record,
)

DESCRIPTION = '''Trains one run for each combination of values, several at once, and writes a page
that ranks them by a score and shows their images side by side. Runs share what is equal. The same
command resumes; without --grid, --range and --file it goes on with the sweep of that name.'''
EXAMPLES = '''examples:
  python -m jobs sweep --grid train.generator_learning_rate=1e-4,2e-4 --grid stage1.epochs=100,200
  python -m jobs sweep --file sweep.yaml --parallel 2
  python -m jobs sweep --range train.kl_coefficient=0.5..4:log --random 8 --stage 1
  python -m jobs sweep --on slurm --parallel 4'''


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--grid', metavar='KEY=VALUES', action='append', default=[],
                        help='a key and the values it takes, separated by commas; may be repeated: '
                             'all combinations are run')
    parser.add_argument('--range', metavar='KEY=LOW..HIGH', action='append', default=[],
                        help='with --random: a key and its limits; with :log at the end, all '
                             'orders of magnitude are equally likely')
    parser.add_argument('--random', metavar='N', type=int,
                        help='choose N combinations at random instead of all')
    parser.add_argument('--seed', metavar='N', type=int, help='seed of that choice (default: 0)')
    parser.add_argument('--file', metavar='FILE', type=user_path,
                        help='a YAML file with grid, range, random, seed, score, stage and name; '
                             'options come first')
    parser.add_argument('--name', metavar='NAME',
                        help='name of the sweep, with which the names of its runs begin (default: '
                             'run.name)')
    parser.add_argument('--score', metavar='PROTOCOL',
                        help='the score that ranks the runs, as in the table of `score` (default: '
                             f'{DEFAULT_SCORE})')
    parser.add_argument('--stage', type=int, choices=STAGES,
                        help='1: train, sample and score Stage-I alone (default: 2)')
    parser.add_argument('--parallel', metavar='N', type=int,
                        help='jobs at once, each on its share of the cores (default: one per card '
                             'of --cards, else 1; on Slurm: of each job of the chain, no limit)')
    parser.add_argument('--cards', metavar='LIST', default='',
                        help='accelerator cards to use, such as 0,1; jobs take turns on them')
    parser.add_argument('--on', choices=('local', 'slurm'), default='local',
                        help='local: on this machine; slurm: as job arrays')
    parser.add_argument('--report', action='store_true',
                        help='run nothing; write the page of the runs that are done')
    parser.add_argument('--task', help=argparse.SUPPRESS)       # a task of an array, on Slurm


def sweep(options: argparse.Namespace, config: Config, volume: str) -> int:
    """Runs the command and returns the exit code."""
    if options.task:
        return _task(options, config, volume)
    parallel, cards = _places(options)
    found = _asked(options, config, volume)
    if options.dry_run:
        return _dry_run(found, volume)
    if options.report:
        return _report(found, options, volume)
    write_record(found)
    nodes = nodes_of(found, volume)
    echo(f'sweep {found.name}: {len(found.trials)} runs, {len(nodes)} jobs')
    if options.on == 'slurm':
        return _submit(found, nodes, volume, options.parallel or len(found.trials))
    try:
        outcome = run_here(found, nodes, volume, parallel, cards)
    except Interrupted as stop:
        echo(f'sweep {found.name}: interrupted by {stop}; what is done is kept, run the same '
             'command to resume')
        return Interrupted.exit_code
    left = sorted({node.trial.run for node in outcome.not_run})
    if left:
        echo(f'sweep {found.name}: {len(left)} of {len(found.trials)} runs are not complete; run '
             'the same command to resume')
    return outcome.exit_code or _report(found, options, volume)


def _places(options: argparse.Namespace) -> Tuple[int, List[str]]:
    """(jobs at once, cards)."""
    cards = [card.strip() for card in options.cards.split(',')] if options.cards else []
    if any(not card.isalnum() for card in cards):
        raise ConfigError(f'sweep: --cards {options.cards[:80]}: must be numbers of cards, such as '
                          '0,1')
    if options.parallel is not None and not 1 <= options.parallel <= 1000:
        raise ConfigError(f'sweep: --parallel {options.parallel}: must be 1 to 1000')
    return options.parallel or max(1, len(cards)), cards


def _asked(options: argparse.Namespace, config: Config, volume: str) -> Sweep:
    """The sweep of the options, or the one of an earlier command."""
    request = Request(grid_of(options.grid), ranges_of(options.range), options.random,
                      options.seed, options.score, options.stage, options.name)
    if options.file:
        request = merged(read_request(options.file), request)
    name = request.name or str(config.run.name)
    if not request.grid and not request.ranges:
        found = read_record(name, volume, request.score)
        if request.stage not in (None, found.stage):
            raise InputError(f'sweep: {name} was made with --stage {found.stage}')
        return found

    def load(overrides: Sequence[str]) -> Config:
        return load_config(find_config(options.config), list(options.set) + list(overrides))

    check_names(name, request.score, request.stage)
    return make_sweep(name, points_of(request), load, volume, request.score, request.stage)


def _dry_run(found: Sweep, volume: str) -> int:
    keys = list(found.trials[0].values)
    rows: List[List[str]] = []
    equal: Dict[str, str] = {}
    for trial in found.trials:
        to_do: List[str] = []
        shared: List[str] = []
        for node in nodes_of(found._replace(trials=(trial,)), volume):
            if state_of(node.job, trial.config, volume).word in ('done', 'not needed'):
                continue
            is_shared = equal.setdefault(node.key, trial.run) != trial.run or equal_output(
                node.job, trial.config, volume)
            (shared if is_shared else to_do).append(node.job.name)
        rows.append([trial.run] + [text_of(trial.values[key]) for key in keys]
                    + [', '.join(to_do) or 'nothing', ', '.join(shared)])
    chain.print_table(['RUN'] + keys + ['WOULD RUN', 'SHARED'], rows)
    return 0


def _report(found: Sweep, options: argparse.Namespace, volume: str) -> int:
    _link_all(found, volume)
    require_score(found, volume)
    chain.print_table(['RANK', 'RUN', found.score.upper()], results.best_of(found, volume))
    options.force = options.restart = False
    return execute(report_job(found, volume), found.trials[0].config, volume, options)


def _link_all(found: Sweep, volume: str) -> None:
    """Links what other runs have made: on Slurm, no task is there for what nothing reads."""
    for trial in found.trials:
        if state_of_run(trial, found.stage, volume).word != 'done':
            for job, _ in jobs_of(found.stage, trial.config, volume):
                take_patiently(job, trial.config, volume)


def _submit(found: Sweep, nodes: Sequence[Node], volume: str, parallel: int) -> int:
    def is_done(node: Node) -> bool:
        config = node.trial.config
        return (state_of(node.job, config, volume).word in ('done', 'not needed')
                or take_patiently(node.job, config, volume) is not None)

    planned = arrays.arrays_of(nodes, is_done)
    numbers = arrays.submit(planned, found, volume, parallel)
    for array, number in zip(planned, numbers):
        count = f'{len(array.nodes)} task' + ('s' if len(array.nodes) > 1 else '')
        echo(f'{array.job}: submitted as Slurm array {number}, {count}')
    echo(f'report: submitted as Slurm job {numbers[-1]}; the page will be in '
         f'{os.path.join(found.folder, "report")}')
    return 0


def _task(options: argparse.Namespace, config: Config, volume: str) -> int:
    """A job of a run on Slurm, after the outputs that other runs have made for it are linked."""
    for job, words in jobs_of(options.stage or 2, config, volume):
        if job.name == options.task:
            parser = argparse.ArgumentParser()
            if job.add_options:
                job.add_options(parser)
            given = parser.parse_args(words)
            given.force = given.restart = False
            return execute(chain.BY_NAME[job.name], config, volume, given)
        take_patiently(job, config, volume)
    raise ConfigError(f'sweep: --task {options.task}: not a job of the chain')
