"""`python -m jobs`: runs one job or the whole chain, and shows the state of the outputs."""

import argparse
import os
import shlex
import sys
from typing import Any, Dict, List, NoReturn, Optional, Sequence, Set, Tuple

import stackgan
from stackgan.config import Config, load_config
from stackgan.config.loading import marked_yaml
from stackgan.config.places import SHIPPED, find_config
from stackgan.errors import ConfigError, Interrupted, StackganError
from stackgan.files import user_path
from stackgan.printing import echo, echo_error, printable, show
from stackgan.progress import duration

from .. import sample_pretrained, serve
from . import (
    chain,
    cleaning,
    completion,
    compose,
    docker_runner,
    inspecting,
    kubernetes,
    kubernetes_queue,
    logs,
    slurm,
    verify,
)
from .contract import Job, state_of
from .execution import execute, exit_code_of, explain
from .replacing import check_chain, replaced_by
from .submitting import steps_of
from .sweeps import command as sweeps

EXAMPLES = '''examples:
  python -m jobs run --config configs/painted-birds.yaml        the whole chain
  python -m jobs train-stage1 --config configs/birds.yaml --set train.batch_size=16
  python -m jobs sample --caption "a small red bird with black wings"
  python -m jobs sweep --grid train.batch_size=16,32            runs that differ, ranked by a score
  python -m jobs status                                         which outputs are done or stale
  python -m jobs verify                                         find damaged files

exit codes: 0 done or up to date, 1 failed, 2 bad configuration or input,
            3 this machine lacks something, 130 interrupted (what is done is kept)'''


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command line and returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == 'completion':
            return _completion(parser, options)
        if options.command == 'inspect':
            return inspecting.inspect_folder(options)
        options.set = _settings_of_environment() + options.set
        if getattr(options, 'workers', None) is not None:
            options.set.append(f'platform.workers={options.workers}')
        config = load_config(find_config(options.config), options.set)
        volume = _volume(options.data)
        return options.act(options, config, volume)
    except StackganError as error:
        echo_error(f'{options.command}: error: {error}')
        return error.exit_code
    except OSError as error:
        echo_error(f'{options.command}: error: {explain(error, _volume_of(options), None)}')
        return exit_code_of(error, _volume_of(options))
    except KeyboardInterrupt:
        return Interrupted.exit_code


def _volume_of(options: argparse.Namespace) -> str:
    """The volume as it was named; of a command that has none, the current folder."""
    return getattr(options, 'data', os.curdir)


def _volume(path: str) -> str:
    if not path:
        raise ConfigError('--data is empty; pass the folder of the data volume')
    return os.path.abspath(path)


class _Parser(argparse.ArgumentParser):
    """Escapes control characters in its error messages."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        '--config', metavar='FILE', type=user_path,
        default=os.environ.get('STACKGAN_CONFIG') or 'painted-birds',
        help='configuration: a YAML file, or the name of one in configs/ '
             '(default: $STACKGAN_CONFIG, else painted-birds)')
    common.add_argument('--set', metavar='KEY=VALUE', action='append', default=[],
                        help='override one key, e.g. train.batch_size=8; may be repeated '
                             '(and overrides $STACKGAN_SET)')
    common.add_argument('--data', metavar='DIR', type=user_path,
                        default=os.environ.get('STACKGAN_DATA') or 'data',
                        help='the data volume (default: $STACKGAN_DATA, else ./data)')
    running = argparse.ArgumentParser(add_help=False)
    running.add_argument('--dry-run', action='store_true',
                         help='print the complete configuration, with values that are not '
                              'defaults marked, and the jobs that would run; run nothing')
    parser = _Parser(
        prog=_program(),
        description='StackGAN: text-to-image synthesis as a chain of batch jobs.', epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version',
                        version='stackgan ' + stackgan.__version__)
    commands = parser.add_subparsers(dest='command', metavar='COMMAND',
                                     parser_class=argparse.ArgumentParser)
    commands.required = True
    _add_run(commands, [common, running])
    _add_others(commands, [common])
    for job in chain.JOBS + chain.ON_REQUEST:
        one = commands.add_parser(job.name, parents=[common, running], help=job.summary,
                                  description=_sentence(job.summary))
        one.add_argument('--force', action='store_true', help='run even if up to date')
        one.add_argument('--restart', action='store_true',
                         help='discard unfinished work of this job, or replace a finished '
                              'training, and start over (same as its name in $STACKGAN_RESTART)')
        if job.takes_workers:
            one.add_argument('--workers', metavar='N',
                             help='processes that do the work together on this machine, or auto: '
                                  'one a card (same as --set platform.workers=N)')
            one.add_argument('--hosts', metavar='HOST[:PORT],...',
                             help='machines that do the work together, such as node1:20000,node2 '
                                  'or node[1-4]; give the same command on each')
            one.add_argument('--rank', metavar='N', type=int,
                             help='number of this machine in --hosts, from 0, where its addresses '
                                  'do not tell')
        if job.add_options:
            job.add_options(one)
        one.set_defaults(act=_one, job=job)
    return parser


def _add_run(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    names = ', '.join(chain.NAMES)
    run = commands.add_parser(
        'run', parents=parents, help='bring the whole chain up to date',
        description='Runs all jobs that are not up to date, in order.')
    run.add_argument('--until', metavar='JOB', choices=chain.NAMES,
                     help=f'run only this job and those it needs: {names}')
    run.add_argument('--on', choices=('auto', 'docker', 'local'), default='auto',
                     help='docker: in the containers of compose.yaml; local: in this Python; auto '
                          '(the default): docker if Docker is reachable and the images are '
                          'available')
    run.add_argument('--restart', metavar='JOB', action='append', default=[], choices=chain.NAMES,
                     help='allow this job to replace a finished training; may be repeated')
    run.set_defaults(act=_run)
    submit = commands.add_parser(
        'submit', parents=parents, help='submit the chain to Slurm or Kubernetes',
        description='Submits each job of the chain that is not up to date, held until those it '
                    'needs are done. `resources` in the configuration sets what each is given.')
    submit.add_argument('--on', choices=('slurm', 'kubernetes'), required=True,
                        help='slurm: one batch job for each job; kubernetes: one Job whose pod '
                             'runs them in order')
    submit.add_argument('--until', metavar='JOB', choices=chain.NAMES,
                        help='submit only this job and those it needs')
    submit.add_argument('--restart', metavar='JOB', action='append', default=[],
                        choices=chain.NAMES,
                        help='slurm: allow this job to replace a finished training; may be '
                             'repeated')
    submit.set_defaults(act=_submit)
    sweep = commands.add_parser(
        'sweep', parents=parents, help='train and compare runs with different settings',
        description=sweeps.DESCRIPTION, epilog=sweeps.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    sweeps.add_options(sweep)
    sweep.set_defaults(act=sweeps.sweep)


def _add_others(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """The commands that are neither `run` nor a job."""
    names = ', '.join(chain.NAMES)
    status = commands.add_parser(
        'status', parents=parents, help='show which outputs are done, stale or missing',
        description='Shows the state of the output of every job, and why it is not up to date.')
    status.set_defaults(act=_status)
    logs = commands.add_parser('logs', parents=parents, help="show a job's log",
                               description="Shows the log of a job's last run.")
    logs.add_argument('job', metavar='JOB', choices=chain.NAMES, help=f'one of {names}')
    logs.add_argument('--follow', action='store_true', help='follow the log while the job runs')
    logs.set_defaults(act=_logs)
    verifying = commands.add_parser(
        'verify', parents=parents, help='read every byte of the outputs and name damaged files',
        description='Compares every file of finished outputs with the digest in manifest.json. '
                    'The exit code is 1 if one is damaged or missing.')
    verify.add_options(verifying, chain.NAMES)
    verifying.set_defaults(act=_verify)
    clean = commands.add_parser(
        'clean', parents=parents, help='remove containers, and the outputs of the jobs you name',
        description='Removes the containers of the project, and the outputs of the jobs you name, '
                    'finished or not. No other data is removed.')
    clean.add_argument('jobs', metavar='JOB', nargs='*',
                       choices=chain.NAMES + ([],),     # argparse checks the empty list too
                       help=f'a job whose output to remove: {names}')
    clean.set_defaults(act=_clean)
    serving = commands.add_parser(
        'serve', parents=parents, help='a web page and API that generate images from sentences',
        description='Serves a web page and an API that generate images with the runs on the '
                    'volume, which is only read.')
    serve.add_options(serving)
    serving.set_defaults(act=serve.serve)
    inspection = commands.add_parser(
        'inspect', help='tell which layout a folder of images and captions is in',
        description='Tells which layout a folder of images and captions is in, counts and odd '
                    'files, makes a sheet of ten images with their captions, and prints the '
                    'configuration that fits. The folder is only read.')
    inspecting.add_options(inspection)
    completing = commands.add_parser(
        'completion', help='print the shell completion of this command line',
        description='Prints the completion script for bash or zsh. To use it: '
                    'source <(stackgan completion bash)')
    completing.add_argument('shell', choices=completion.SHELLS)


def _sentence(summary: str) -> str:
    return summary[:1].upper() + summary[1:] + '.'


def _program() -> str:
    """How this program was started: as the installed command, or as a module."""
    called = os.path.basename(sys.argv[0])
    return called if called == 'stackgan' else 'python -m jobs'


def _completion(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    known = sorted(name[:-5] for name in os.listdir(SHIPPED) if name.endswith('.yaml'))
    show(completion.script(parser, options.shell, known), end='')
    return 0


def _settings_of_environment() -> List[str]:
    """The settings in $STACKGAN_SET, separated by spaces, which also reach into containers."""
    text = os.environ.get('STACKGAN_SET', '')
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f'STACKGAN_SET={text}: {error}')


def _one(options: argparse.Namespace, config: Config, volume: str) -> int:
    if getattr(options, 'pretrained', None):
        return sample_pretrained.sample_pretrained(options, config)
    if options.dry_run:
        job = options.job.variant(options.job, options)
        _dry_run(config, volume, [job])
        for line in job.preview(config, volume):
            show(line)
        return 0
    return execute(options.job, config, volume, options)


def _run(options: argparse.Namespace, config: Config, volume: str) -> int:
    if options.dry_run:
        return _dry_run(config, volume, chain.until(options.until, config, volume))
    environment = compose.variables(find_config(options.config), options.set, volume)
    where, why = _choose(options, environment, config, volume)
    echo(f'run: {where}, because {why}' if why else f'run: {where}')
    if where == 'docker':
        return docker_runner.run_chain(config, volume, options.until, environment,
                                       options.restart)
    return chain.run_chain(config, volume, options.until, _handed_on(options, volume),
                           options.restart)


def _submit(options: argparse.Namespace, config: Config, volume: str) -> int:
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


def _logs(options: argparse.Namespace, config: Config, volume: str) -> int:
    job, other = chain.BY_NAME[options.job], slurm.log_of(options.job, config, volume)
    if other or logs.paths_of(job, config, volume) or not kubernetes_queue.show_log(
            job.name, config, volume, options.follow):
        logs.show(job, config, volume, options.follow, other)
    return 0


def _verify(options: argparse.Namespace, config: Config, volume: str) -> int:
    return verify.verify([chain.BY_NAME[name] for name in options.jobs], config, volume)


def _clean(options: argparse.Namespace, config: Config, volume: str) -> int:
    code = cleaning.clean_containers(
        compose.variables(find_config(options.config), options.set, volume))
    for name in options.jobs:
        cleaning.clean_output(chain.BY_NAME[name], config, volume)
    return code


def _dry_run(config: Config, volume: str, jobs: Sequence[Job]) -> int:
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


def _status(options: argparse.Namespace, config: Config, volume: str) -> int:
    show(printable(f'configuration {options.config}, volume {volume}'))
    chain.print_table(['JOB', 'STATE', 'OUTPUT', 'DETAIL'], chain.rows_of_status(
        config, volume, slurm.queued(config, volume), kubernetes_queue.states(config, volume)))
    return 0
