"""Imports a checkpoint of hanzhanggit/StackGAN or of the Ascend port as a finished stage."""

import argparse
import os
import shutil
from typing import Any, Dict, Iterator, Tuple

from stackgan.config import Config
from stackgan.errors import InputError
from stackgan.files import read_json, user_path

from .engine.contract import REQUEST, Input, Job, Work
from .engine.imported import IMPORTER, request_of_output
from .engine.outputs import run_folder

LAYOUTS, COMPATS = ('auto', 'original', 'port'), ('ascend-port',)
ENDINGS = ('.index', '.meta', '.data-00000-of-00001')


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--stage', type=int, choices=(1, 2), help='the stage it belongs to')
    parser.add_argument('--from', type=user_path, dest='source', metavar='PATH',
                        help='the checkpoint, without .index, or a folder that holds just one')
    parser.add_argument('--layout', choices=LAYOUTS, default='auto',
                        help='whose variable names it has: original (hanzhanggit/StackGAN) or '
                             'port (the Ascend port) (default: auto)')
    parser.add_argument('--compat', choices=COMPATS,
                        help='generate images exactly as that code does; the stage can then '
                             'generate, but not be trained')


def _variant(job: Job, options: argparse.Namespace) -> Job:
    """The job for these options."""
    if options.stage is None or options.source is None:
        missing = 'stage' if options.stage is None else 'from'
        raise InputError(f'import-checkpoint: --{missing} is missing; pass --stage 1 or 2 and '
                         '--from PATH')
    path, file = _find(os.path.abspath(options.source))

    def output(config: Config) -> str:
        return run_folder(config, f'stage{options.stage}')

    def not_needed(config: Config, volume: str) -> None:
        """Never; but raises InputError rather than overwrite a training, even an unfinished one."""
        for maker in _makers(os.path.join(volume, output(config))):
            if maker != IMPORTER:
                raise InputError(f'{output(config)} was made by {maker}; choose another run.name, '
                                 f'or remove it first: clean train-stage{options.stage}')

    def settings(config: Config) -> Dict[str, Any]:
        return {'stage': options.stage, 'from': path, 'layout': options.layout,
                'compat': options.compat}

    def run(work: Work) -> None:
        from stackgan.published.importing import import_checkpoint
        try:
            work.notes.update(import_checkpoint(path, options.stage, options.layout,
                                                options.compat, work.config, work.folder))
        except InputError:
            shutil.rmtree(work.folder)         # or a training would take it for unfinished work
            raise

    return job._replace(output=output, settings=settings, run=run, not_needed=not_needed,
                        inputs=lambda config, volume: [Input('checkpoint', file)])


def _makers(folder: str) -> Iterator[str]:
    """The jobs that made an output's folder and its .partial folder."""
    if os.path.isdir(folder):
        yield request_of_output(folder).get('job', 'an unknown job')
    try:
        yield read_json(os.path.join(folder + '.partial', REQUEST))['job']
    except (OSError, ValueError, KeyError, TypeError):
        pass


def _find(path: str) -> Tuple[str, str]:
    """(path as for a tf.train.Saver, one of its files). Raises InputError if there is none."""
    if os.path.isdir(path):
        found = sorted(name for name in os.listdir(path) if name.endswith('.index'))
        if len(found) != 1:
            names = ', '.join(found) or 'no .index file'
            raise InputError(f'import-checkpoint: --from {path}: a folder with {names}; name one '
                             'checkpoint')
        path = os.path.join(path, found[0])
    for ending in ENDINGS:
        if path.endswith(ending):
            path = path[:-len(ending)]
    for file in (path + '.index', path):                   # the second: the form before V2
        if os.path.isfile(file):
            return path, file
    raise InputError(f'import-checkpoint: --from {path}: no such checkpoint; its files are '
                     'NAME.index and NAME.data-00000-of-00001, pass it without these endings')


JOB = Job(
    name=IMPORTER,
    summary='import a checkpoint of hanzhanggit/StackGAN or of the Ascend port as a stage',
    output=lambda config: run_folder(config, 'imported'),     # `variant` gives the real one
    inputs=lambda config, volume: (),
    settings=lambda config: {},
    run=None,
    not_needed=lambda config, volume: 'runs only with --stage and --from',
    add_options=_add_options,
    variant=_variant,
)
