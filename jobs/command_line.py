"""`python -m jobs`: one job, the whole chain, or the state of things."""

import argparse
import os
import sys

from jobs import chain
from jobs.contract import state_of
from jobs.execution import execute
from stackgan.config import load_config
from stackgan.config.loading import to_yaml
from stackgan.errors import ConfigError, StackganError

CONFIGS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'configs')
EXAMPLES = '''examples:
  python -m jobs run --config configs/painted-birds.yaml        the whole chain
  python -m jobs train-stage1 --config configs/birds.yaml --set train.batch_size=16
  python -m jobs sample --caption "a small red bird with black wings"
  python -m jobs status                                         what is done, stale or missing

exit codes: 0 done or up to date, 1 failed, 2 bad configuration or input,
            3 this machine lacks something, 130 interrupted (what is done is kept)'''


def main(arguments=None):
    """Runs the command line and returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        config = load_config(_find_config(options.config), options.set)
        volume = os.path.abspath(options.data)
        return options.act(options, config, volume)
    except StackganError as error:
        print('%s: error: %s' % (options.command, error), file=sys.stderr)
        return error.exit_code


def _parser():
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        '--config', metavar='FILE', default=os.environ.get('STACKGAN_CONFIG', 'painted-birds'),
        help='configuration: a YAML file, or the name of one in configs/ '
             '(default: $STACKGAN_CONFIG, else painted-birds)')
    common.add_argument('--set', metavar='KEY=VALUE', action='append', default=[],
                        help='override one key, e.g. train.batch_size=8; may be repeated')
    common.add_argument('--data', metavar='DIR', default=os.environ.get('STACKGAN_DATA', 'data'),
                        help='the data volume (default: $STACKGAN_DATA, else ./data)')
    running = argparse.ArgumentParser(add_help=False)
    running.add_argument('--dry-run', action='store_true',
                         help='print the resolved configuration and what would run, then stop')
    parser = argparse.ArgumentParser(
        prog='python -m jobs', description='StackGAN as a chain of batch jobs.', epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', metavar='COMMAND')
    commands.required = True

    run = commands.add_parser('run', parents=[common, running],
                              help='bring the whole chain up to date')
    run.add_argument('--until', metavar='JOB', choices=chain.NAMES,
                     help='stop after this job: %s' % ', '.join(chain.NAMES))
    run.set_defaults(act=_run)
    status = commands.add_parser('status', parents=[common],
                                 help='show what is done, stale or missing')
    status.set_defaults(act=_status)
    for job in chain.JOBS + chain.ON_REQUEST:
        one = commands.add_parser(job.name, parents=[common, running], help=job.summary,
                                  description=job.summary)
        one.add_argument('--force', action='store_true', help='run even when up to date')
        one.add_argument('--restart', action='store_true',
                         help='throw away unfinished work of this job and start anew')
        if job.add_options:
            job.add_options(one)
        one.set_defaults(act=_one, job=job)
    return parser


def _find_config(name):
    if os.path.exists(name) or os.sep in name or name.endswith(('.yaml', '.yml')):
        return name
    path = os.path.join(CONFIGS, name + '.yaml')
    if not os.path.exists(path):
        known = sorted(f[:-5] for f in os.listdir(CONFIGS) if f.endswith('.yaml'))
        raise ConfigError('--config %s: no such file, and configs/ has only %s'
                          % (name, ', '.join(known)))
    return path


def _one(options, config, volume):
    if options.dry_run:
        job = options.job.variant(options.job, options)
        _dry_run(config, volume, [job])
        for line in job.preview(config, volume):
            print(line)
        return 0
    return execute(options.job, config, volume, options)


def _run(options, config, volume):
    if options.dry_run:
        return _dry_run(config, volume, chain.until(options.until))
    arguments = ['--config', _find_config(options.config), '--data', volume]
    for text in options.set:
        arguments += ['--set', text]
    return chain.run_chain(config, volume, options.until, arguments)


def _dry_run(config, volume, jobs):
    print(to_yaml(config))
    rows, running = [], set()
    for job in jobs:
        state = state_of(job, config, volume)
        follows = state.word == 'done' and any(each.made_by in running
                                               for each in job.inputs(config, volume))
        if follows or state.word not in ('done', 'not needed'):
            running.add(job.name)
        rows.append([job.name, 'would run' if job.name in running else state.word,
                     state.word if state.word != 'done' else '',
                     'after what comes before it' if follows else state.reason])
    chain.print_table(['JOB', 'PLAN', 'STATE', 'WHY'], rows)
    return 0


def _status(options, config, volume):
    print('configuration %s, volume %s' % (options.config, volume))
    chain.print_table(['JOB', 'STATE', 'OUTPUT', 'DETAIL'], chain.rows_of_status(config, volume))
    return 0
