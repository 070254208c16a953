"""What an imported stage means for the jobs that would train it."""

import os

from stackgan.errors import InputError

from .contract import look_at, read_manifest
from .outputs import run_folder

IMPORTER = 'import-checkpoint'


def imported_from(config, volume, stage):
    """The path that a stage ('stage1', 'stage2') of this run was imported from, or None."""
    request = request_of_output(os.path.join(volume, run_folder(config, stage)))
    return request['settings'].get('from') if request.get('job') == IMPORTER else None


def request_of_output(folder):
    """What the maker of a finished output, whole or damaged, was asked; {} where none is told."""
    manifest = look_at(folder).manifest
    return manifest['request'] if manifest else {}


def brings_stage1(config, volume):
    """Whether Stage-I of this run is only what an imported Stage-II brings."""
    return (imported_from(config, volume, 'stage2') is not None
            and read_manifest(os.path.join(volume, run_folder(config, 'stage1'))) is None)


def no_training(config, volume, stage):
    """Why a stage is not trained: `not_needed` of the training jobs. Never over an import.

    Raises InputError for an import whose files are not all there.
    """
    path = imported_from(config, volume, stage)
    output = look_at(os.path.join(volume, run_folder(config, stage)))
    if path and not output.is_whole:
        raise InputError(f'train-{stage}: {run_folder(config, stage)} was imported from {path} and '
                         f'is damaged ({output.describe()}); import it again, '
                         f'or: clean train-{stage}')
    if path:
        return (f'{run_folder(config, stage)} was imported from {path}; to train it here, choose '
                f'another run.name or: '
                f'clean train-{stage}')
    if stage == 'stage1' and brings_stage1(config, volume):
        return ('{} was imported and brings its own Stage-I; to train one here, choose another '
                'run.name or: clean train-stage2'.format(run_folder(config, 'stage2')))
    return None
