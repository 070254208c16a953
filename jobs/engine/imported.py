"""Imported stages, and what they mean for the jobs that would train them."""

import os
from typing import Any, Dict, Optional

from stackgan.config import Config
from stackgan.errors import InputError

from .contract import look_at, read_manifest
from .outputs import run_folder

IMPORTER = 'import-checkpoint'


def imported_from(config: Config, volume: str, stage: str) -> Optional[str]:
    """The path that a stage ('stage1', 'stage2') of this run was imported from, or None."""
    request = request_of_output(os.path.join(volume, run_folder(config, stage)))
    return request['settings'].get('from') if request.get('job') == IMPORTER else None


def request_of_output(folder: str) -> Dict[str, Any]:
    """The request of the job that made an output, even a damaged one; {} without a manifest."""
    manifest = look_at(folder).manifest
    return manifest['request'] if manifest else {}


def brings_stage1(config: Config, volume: str) -> bool:
    """Whether this run has no Stage-I besides the one within an imported Stage-II."""
    return (imported_from(config, volume, 'stage2') is not None
            and read_manifest(os.path.join(volume, run_folder(config, 'stage1'))) is None)


def no_training(config: Config, volume: str, stage: str) -> Optional[str]:
    """`not_needed` of the training jobs: they never replace an imported stage.

    Raises InputError for an import that has lost files.
    """
    path = imported_from(config, volume, stage)
    output = look_at(os.path.join(volume, run_folder(config, stage)))
    if path and not output.is_whole:
        raise InputError(f'train-{stage}: {run_folder(config, stage)} was imported from {path} and '
                         f'is damaged ({output.describe()}); import it again, '
                         f'or: clean train-{stage}')
    if path:
        return (f'{run_folder(config, stage)} was imported from {path}; to train it here, choose '
                f'another run.name or: clean train-{stage}')
    if stage == 'stage1' and brings_stage1(config, volume):
        return (f"{run_folder(config, 'stage2')} was imported and has its own Stage-I; to train "
                'one here, choose another run.name or: clean train-stage2')
    return None
