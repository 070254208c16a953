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
        raise InputError('train-%s: %s was imported from %s and is damaged (%s); import it again, '
                         'or: clean train-%s' % (stage, run_folder(config, stage), path,
                                                 output.describe(), stage))
    if path:
        return ('%s was imported from %s; to train it here, choose another run.name or: '
                'clean train-%s' % (run_folder(config, stage), path, stage))
    if stage == 'stage1' and brings_stage1(config, volume):
        return ('%s was imported and brings its own Stage-I; to train one here, choose another '
                'run.name or: clean train-stage2' % run_folder(config, 'stage2'))
    return None
