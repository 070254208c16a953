"""What an imported stage means for the jobs that would train it."""

import os

from jobs.contract import read_manifest
from jobs.prepared import run_folder

IMPORTER = 'import-checkpoint'


def imported_from(config, volume, stage):
    """The path that a stage ('stage1', 'stage2') of this run was imported from, or None."""
    manifest = read_manifest(os.path.join(volume, run_folder(config, stage)))
    if manifest and manifest['request']['job'] == IMPORTER:
        return manifest['request']['settings']['from']
    return None


def brings_stage1(config, volume):
    """Whether Stage-I of this run is only what an imported Stage-II brings."""
    return (imported_from(config, volume, 'stage2') is not None
            and read_manifest(os.path.join(volume, run_folder(config, 'stage1'))) is None)


def no_training(config, volume, stage):
    """Why a stage is not trained: `not_needed` of the training jobs. Never over an import."""
    path = imported_from(config, volume, stage)
    if path:
        return ('%s was imported from %s; to train it here, choose another run.name or: '
                'clean train-%s' % (run_folder(config, stage), path, stage))
    if stage == 'stage1' and brings_stage1(config, volume):
        return ('%s was imported and brings its own Stage-I; to train one here, choose another '
                'run.name or: clean train-stage2' % run_folder(config, 'stage2'))
    return None
