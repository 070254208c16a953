"""`python -m jobs`: runs one job or the whole chain, and shows the state of the outputs.

A command imports what it needs when it is called, and only its own options are set up, so that
`status` answers at once.
"""

import argparse
import functools
import os
import shlex
import sys
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Tuple

import stackgan
from stackgan.config import load_config
from stackgan.config.places import SHIPPED, find_config
from stackgan.errors import ConfigError, Interrupted, StackganError
from stackgan.files import user_path
from stackgan.printing import echo_error, printable, show

from . import actions, chain, completion
from .contract import Job

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
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser(words[0] if words else None)
    options = parser.parse_args(words)
    try:
        if options.command == 'completion':
            return _completion(parser, options)
        if options.command == 'inspect':
            from .inspecting import inspect_folder
            return inspect_folder(options)
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
        from .execution import exit_code_of, explain
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


def _parser(only: Optional[str] = None) -> argparse.ArgumentParser:
    """The parser of the command `only`; of all commands, if it is None or not the name of one."""
    common, running = _common(), argparse.ArgumentParser(add_help=False)
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
    known: Dict[str, Callable[[], None]] = {
        name: functools.partial(add, commands, [common, running] if is_running else [common])
        for name, (add, is_running) in COMMANDS.items()}
    for job in chain.JOBS + chain.ON_REQUEST:
        known[job.name] = functools.partial(_add_job, job, commands, [common, running])
    # `completion` describes all the others.
    for name in [only] if only in known and only != 'completion' else known:
        known[str(name)]()
    return parser


def _common() -> argparse.ArgumentParser:
    """The options of all commands that read a configuration."""
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
    return common


def _add_job(job: Job, commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    one = commands.add_parser(job.name, parents=parents, help=job.summary,
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
    one.set_defaults(act=actions.one, job=job)


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
    run.set_defaults(act=actions.run)


def _add_submit(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
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
    submit.set_defaults(act=actions.submit)


def _add_sweep(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    from .sweeps import command
    sweep = commands.add_parser(
        'sweep', parents=parents, help='train and compare runs with different settings',
        description=command.DESCRIPTION, epilog=command.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_options(sweep)
    sweep.set_defaults(act=command.sweep)


def _add_status(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    status = commands.add_parser(
        'status', parents=parents, help='show which outputs are done, stale or missing',
        description='Shows the state of the output of every job, and why it is not up to date.')
    status.set_defaults(act=actions.status)


def _add_logs(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    logs = commands.add_parser('logs', parents=parents, help="show a job's log",
                               description="Shows the log of a job's last run.")
    logs.add_argument('job', metavar='JOB', choices=chain.NAMES,
                      help=f'one of {", ".join(chain.NAMES)}')
    logs.add_argument('--follow', action='store_true', help='follow the log while the job runs')
    logs.set_defaults(act=actions.logs)


def _add_verify(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    from .verify import add_options
    verifying = commands.add_parser(
        'verify', parents=parents, help='read every byte of the outputs and name damaged files',
        description='Compares every file of finished outputs with the digest in manifest.json. '
                    'The exit code is 1 if one is damaged or missing.')
    add_options(verifying, chain.NAMES)
    verifying.set_defaults(act=actions.verify)


def _add_clean(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    clean = commands.add_parser(
        'clean', parents=parents, help='remove containers, and the outputs of the jobs you name',
        description='Removes the containers of the project, and the outputs of the jobs you name, '
                    'finished or not. No other data is removed.')
    clean.add_argument('jobs', metavar='JOB', nargs='*',
                       choices=chain.NAMES + ([],),     # argparse checks the empty list too
                       help=f'a job whose output to remove: {", ".join(chain.NAMES)}')
    clean.set_defaults(act=actions.clean)


def _add_serve(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    from ..serve import add_options, serve
    serving = commands.add_parser(
        'serve', parents=parents, help='a web page and API that generate images from sentences',
        description='Serves a web page and an API that generate images with the runs on the '
                    'volume, which is only read.')
    add_options(serving)
    serving.set_defaults(act=serve)


def _add_inspect(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    from .inspecting import add_options
    inspection = commands.add_parser(
        'inspect', help='tell which layout a folder of images and captions is in',
        description='Tells which layout a folder of images and captions is in, counts and odd '
                    'files, makes a sheet of ten images with their captions, and prints the '
                    'configuration that fits. The folder is only read.')
    add_options(inspection)


def _add_completion(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    completing = commands.add_parser(
        'completion', help='print the shell completion of this command line',
        description='Prints the completion script for bash or zsh. To use it: '
                    'source <(stackgan completion bash)')
    completing.add_argument('shell', choices=completion.SHELLS)


COMMANDS: Dict[str, Tuple[Callable[..., None], bool]] = {
    # {name: (adds its parser, whether it runs jobs and so takes --dry-run)}, in the order of --help
    'run': (_add_run, True),
    'submit': (_add_submit, True),
    'sweep': (_add_sweep, True),
    'status': (_add_status, False),
    'logs': (_add_logs, False),
    'verify': (_add_verify, False),
    'clean': (_add_clean, False),
    'serve': (_add_serve, False),
    'inspect': (_add_inspect, False),
    'completion': (_add_completion, False),
}


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
