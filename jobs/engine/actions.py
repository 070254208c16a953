"""What the commands do: each gets the options, the configuration and the path of the volume.

A function imports what it needs when it is called: see `command_line`.
"""

import argparse
from typing import Dict, List, Optional, Sequence, Set, Tuple

from stackgan.config import Config
from stackgan.config.loading import marked_yaml
from stackgan.config.places import find_config
from stackgan.errors import StackganError
from stackgan.printing import echo, printable, show
from stackgan.progress import duration

from . import chain
from .contract import Job, state_of


def one(options: argparse.Namespace, config: Config, volume: str) -> int:
    """One job. With `--pretrained`, the one that needs no volume."""
    if getattr(options, 'pretrained', None):
        from ..sample_pretrained import sample_pretrained
        return sample_pretrained(options, config)
    if options.dry_run:
        job = options.job.variant(options.job, options)
        _dry_run(config, volume, [job])
        for line in job.preview(config, volume):
            show(line)
        return 0
    from .execution import execute
    return execute(options.job, config, volume, options)


def run(options: argparse.Namespace, config: Config, volume: str) -> int:
    """The whole chain, or up to a job."""
    if options.dry_run:
        return _dry_run(config, volume, chain.until(options.until, config, volume))
    from . import compose
    environment = compose.variables(find_config(options.config), options.set, volume)
    where, why = _choose(options, environment, config, volume)
    echo(f'run: {where}, because {why}' if why else f'run: {where}')
    if where == 'docker':
        from . import docker_runner
        return docker_runner.run_chain(config, volume, options.until, environment,
                                       options.restart)
    return chain.run_chain(config, volume, options.until, _handed_on(options, volume),
                           options.restart)


def submit(options: argparse.Namespace, config: Config, volume: str) -> int:
    """Hands the chain to a scheduler."""
    from . import kubernetes, kubernetes_queue, slurm
    from .replacing import check_chain
    from .submitting import steps_of
    jobs = chain.until(options.until, config, volume)
    if options.on == 'kubernetes':
        kubernetes.check(config, options.restart)
        found = kubernetes.manifests(jobs, config)
        if options.dry_run:
            show(kubernetes.text_of(found), end='')
        else:
            show(kubernetes_queue.submit(found, config, volume))
        return 0
    restart = check_chain(jobs, config, volume, options.restart)
    steps, arguments = steps_of(jobs, config, volume), _handed_on(options, volume)
    if options.dry_run:
        for step in steps:
            show(f'# {step.job.name}' + (f', after {", ".join(step.after)}' if step.after else ''))
            show(slurm.script_of(step, config, volume, arguments, step.job.name in restart))
        return 0
    for name, number in slurm.submit(steps, config, volume, arguments, restart).items():
        echo(f'{name}: submitted as Slurm job {number}')
    if not steps:
        echo('submit: everything is up to date')
    return 0


def _handed_on(options: argparse.Namespace, volume: str) -> List[str]:
    """The options that say which configuration and volume, for a job in another process."""
    arguments = ['--config', find_config(options.config), '--data', volume]
    for text in options.set:
        arguments += ['--set', text]
    return arguments


def _choose(options: argparse.Namespace, environment: Dict[str, str], config: Config,
            volume: str) -> Tuple[str, Optional[str]]:
    """('docker' or 'local', why; None if the user chose it)."""
    if options.on != 'auto':
        return options.on, None
    from . import compose, docker_runner
    jobs = chain.until(options.until, config, volume)
    hidden = docker_runner.out_of_sight(jobs, config, volume)
    if hidden:
        return 'local', hidden
    try:
        client, project = docker_runner.connect(), compose.Project(environment)
        with docker_runner.engine_errors('the search for images'):
            reason = docker_runner.can_have_images(client, project, [job.name for job in jobs])
    except StackganError as error:
        reason = str(error)
    if reason:
        return 'local', reason
    return 'docker', 'Docker is reachable and the images are available'


def logs(options: argparse.Namespace, config: Config, volume: str) -> int:
    """The log of a job, from here or from a scheduler."""
    from . import kubernetes_queue, slurm
    from . import logs as logs_of_jobs
    job, other = chain.BY_NAME[options.job], slurm.log_of(options.job, config, volume)
    if other or logs_of_jobs.paths_of(job, config, volume) or not kubernetes_queue.show_log(
            job.name, config, volume, options.follow):
        logs_of_jobs.show(job, config, volume, options.follow, other)
    return 0


def verify(options: argparse.Namespace, config: Config, volume: str) -> int:
    """Reads every byte of the outputs."""
    from .verify import verify as verify_outputs
    return verify_outputs([chain.BY_NAME[name] for name in options.jobs], config, volume)


def clean(options: argparse.Namespace, config: Config, volume: str) -> int:
    """Removes containers and outputs."""
    from . import cleaning, compose
    code = cleaning.clean_containers(
        compose.variables(find_config(options.config), options.set, volume))
    for name in options.jobs:
        cleaning.clean_output(chain.BY_NAME[name], config, volume)
    return code


def _dry_run(config: Config, volume: str, jobs: Sequence[Job]) -> int:
    from .replacing import replaced_by
    show(marked_yaml(config))
    rows, replaced = [], replaced_by(jobs, config, volume)
    will_run: Set[str] = set()
    for job in jobs:
        state = state_of(job, config, volume)
        plan, reason = state.word, state.reason
        if state.word == 'done':
            changing = [each.made_by for each in job.inputs(config, volume)
                        if each.made_by and each.made_by in will_run]
            if changing:
                plan, reason = 'would run', 'after ' + ', '.join(changing)
        elif state.word != 'not needed':
            plan = 'would run'
        if plan == 'would run':
            will_run.add(job.name)
        if job.name in replaced:
            plan = 'needs --restart'
            reason += f'; a finished training of {duration(replaced[job.name].seconds)}'
        rows.append([job.name, plan, state.word if state.word != 'done' else '', reason])
    chain.print_table(['JOB', 'PLAN', 'STATE', 'WHY'], rows)
    return 0


def status(options: argparse.Namespace, config: Config, volume: str) -> int:
    """The state of the output of every job."""
    from . import kubernetes_queue, slurm
    show(printable(f'configuration {options.config}, volume {volume}'))
    chain.print_table(['JOB', 'STATE', 'OUTPUT', 'DETAIL'], chain.rows_of_status(
        config, volume, slurm.queued(config, volume), kubernetes_queue.states(config, volume)))
    return 0
