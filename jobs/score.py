"""Scores of generated images, beside those of real ones."""

import argparse
import logging
import os
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

from stackgan.config import Config
from stackgan.config.loading import to_dict
from stackgan.errors import InputError
from stackgan.files import digest_of, read_json_lines, user_path
from stackgan.integrity import is_undamaged

from .engine.contract import Input, Job, Work, flat, read_manifest
from .engine.outputs import (
    embeddings_input,
    judge_inputs,
    prepared_input,
    run_folder,
    scorer_folder,
)
from .engine.training_settings import precision

if TYPE_CHECKING:
    from stackgan.scoring.running import Digests

logger = logging.getLogger(__name__)

WEIGHTS = {'stackgan-weights': 'stackgan_weights', 'imagenet-weights': 'imagenet_weights',
           'judge': 'judge', 'clip': 'clip'}


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--image-folder', type=user_path, metavar='DIR',
                        help='score the images in this folder instead of generated ones')
    parser.add_argument('--every-checkpoint', action='store_true',
                        help='score every kept checkpoint that has no scores yet')
    parser.add_argument('--stage', type=int, choices=(1, 2), default=2,
                        help='1: score the images of Stage-I (default: 2)')


def _variant(job: Job, options: argparse.Namespace) -> Job:
    """The job for these options: --image-folder and --stage 1 have outputs of their own."""
    if options.image_folder is not None:
        if options.every_checkpoint:
            raise InputError('score: --image-folder and --every-checkpoint cannot be combined; use '
                             'one of them')
        return _folder_job(job, os.path.abspath(options.image_folder), options.force)
    stage = f'stage{options.stage}'

    def output(config: Config) -> str:
        return run_folder(config, 'scores' if options.stage == 2 else 'scores-stage1')

    def inputs(config: Config, volume: str) -> Sequence[Input]:
        return _inputs(config, volume, stage)

    def run(work: Work) -> None:
        _score_checkpoints(work, options.stage, options.every_checkpoint, options.force)

    def is_complete(folder: str, config: Config, volume: str) -> bool:
        return not options.every_checkpoint or _has_every_checkpoint(
            folder, os.path.join(volume, run_folder(config, stage)))

    return job._replace(output=output, inputs=inputs, run=run, is_complete=is_complete)


def _folder_job(job: Job, folder: str, afresh: bool) -> Job:
    def output(config: Config) -> str:
        return run_folder(config, 'scores-' + digest_of(folder)[:8])

    def inputs(config: Config, volume: str) -> Sequence[Input]:
        return [prepared_input(config), _scorer_input(config),
                Input('pictures', folder, hint='pass a folder of images to --image-folder')
                ] + [each for each in _weights_inputs(config, volume) if each.name != 'clip']

    def settings(config: Config) -> Dict[str, Any]:
        return dict(_settings(config), image_folder=folder)

    return job._replace(output=output, inputs=inputs, settings=settings,
                        run=lambda work: _score_folder(work, afresh))


def _inputs(config: Config, volume: str, stage: str = 'stage2') -> Sequence[Input]:
    return [prepared_input(config), embeddings_input(config),
            Input('stage', run_folder(config, stage), 'train-' + stage), _scorer_input(config)
            ] + judge_inputs(config, volume) + _weights_inputs(config, volume)


def _scorer_input(config: Config) -> Input:
    return Input('scorer', scorer_folder(config), 'train-scorer')


def _weights_inputs(config: Config, volume: str) -> List[Input]:
    """The networks of the user that the configuration names."""
    found = []
    for name, key in sorted(WEIGHTS.items()):
        path = getattr(config.score, key)
        if path is not None:
            if os.path.exists(os.path.join(volume, path + '.index')):    # of a checkpoint's files
                path += '.index'
            found.append(Input(name, path, hint=f'put it there, or change score.{key}'))
    return found


def _settings(config: Config) -> Dict[str, Any]:
    score = to_dict(config.score)
    for key in WEIGHTS.values():                     # they are inputs
        del score[key]
    return {'score': score, 'scorer': {'minimum_accuracy': config.scorer.minimum_accuracy},
            'platform': precision(config)}


def _score_checkpoints(work: Work, stage: int, every: bool, afresh: bool = False) -> None:
    from stackgan.checkpoints import Checkpoints, read_facts
    from stackgan.platforms.parts import Parts
    from stackgan.scoring.running import CheckpointToScore, score_checkpoints
    folder = work.inputs['stage']
    store = Checkpoints(os.path.join(folder, 'checkpoints'), None)
    chosen = store.best() if work.config.score.checkpoint == 'best' else store.last()
    if chosen is None:
        raise InputError(f'{folder}: no checkpoint there; train that stage first')
    digests, training = _digests_of_checkpoints(folder), _training(folder, stage)
    for path in list(store.halves()) + store.all():
        if os.path.basename(path) not in digests:
            logger.info(f'{path} is not a complete checkpoint of this training and is not scored')
    to_score = [CheckpointToScore(
        path, os.path.relpath(path, work.volume), read_facts(path)['step'], stage,
        {'checkpoint': digests[os.path.basename(path)], 'training': training,
         'platform': precision(work.config)})
        for path in (store.all() if every else [chosen]) if os.path.basename(path) in digests]
    if not to_score:
        raise InputError(f'{chosen} is not a checkpoint of this training; train that stage again')
    score_checkpoints(to_score, work.inputs, work.folder, _earlier(work, afresh), work.config,
                      _digests(work), Parts(work.workers))


def _score_folder(work: Work, afresh: bool) -> None:
    from stackgan.platforms.parts import Parts
    from stackgan.scoring.running import score_folder
    main = os.path.join(work.volume, run_folder(work.config, 'scores'))
    earlier = [] if afresh else [main] + _earlier(work, afresh)
    score_folder(work.inputs['pictures'], work.inputs, work.folder, earlier, work.config,
                 _digests(work), Parts(work.workers))


def _digests(work: Work) -> 'Digests':
    from stackgan.scoring.running import Digests
    contents = {name: _manifest(work.inputs[name])['content']
                for name in ('prepared', 'embeddings') if name in work.inputs}
    return Digests(contents['prepared'], contents.get('embeddings'))


def _manifest(folder: str) -> Dict[str, Any]:
    """The manifest of an input. Raises InputError if the input has been damaged meanwhile."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise InputError(f'{folder}: the output is damaged; make it again')
    return manifest


def _earlier(work: Work, afresh: bool) -> List[str]:
    """[the finished output that this work will replace], to reuse its scores; else []."""
    finished = work.folder[:-len('.partial')]
    if afresh or not read_manifest(finished):
        return []
    if not is_undamaged(os.path.join(finished, 'scores.jsonl')):
        logger.info(f'{finished}/scores.jsonl is damaged, so its scores are not reused')
        return []
    return [finished]


def _digests_of_checkpoints(folder: str) -> Dict[str, str]:
    """{name: digest of the variables} of each complete checkpoint of a finished stage."""
    files: Dict[str, Dict[str, str]] = {}
    for path, facts in _manifest(folder)['files'].items():
        parts = path.split('/')
        if parts[0] == 'checkpoints' and len(parts) == 3:
            files.setdefault(parts[1], {})[parts[2]] = facts['sha256']
    return {name: digest_of({file: digest for file, digest in digests.items()
                             if file.startswith('model.')})
            for name, digests in files.items()
            if {'checkpoint.json', 'model.index'} <= set(digests)
            and any(file.startswith('model.data-') for file in digests)}


def _training(folder: str, stage: int) -> str:
    """Digest of a training's request without its length."""
    request = _manifest(folder)['request']
    settings = flat(request['settings'])
    settings.pop(f'stage{stage}.epochs', None)       # an imported one has no such key
    return digest_of([settings, request['inputs']])


def _has_every_checkpoint(folder: str, stage_folder: str) -> bool:
    """Whether each checkpoint of a finished stage is in the finished scores.jsonl."""
    try:
        scored = {os.path.basename(line['checkpoint'])
                  for line in read_json_lines(os.path.join(folder, 'scores.jsonl'))
                  if line['checkpoint']}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return scored >= set(_digests_of_checkpoints(stage_folder))


JOB = Job(
    name='score',
    summary='score generated images beside real ones, or those of --image-folder DIR',
    output=lambda config: run_folder(config, 'scores'),
    inputs=_inputs,
    settings=_settings,
    run=lambda work: _score_checkpoints(work, 2, False),
    records=('events/*',),
    takes_workers=True,
    timed={'scores.jsonl': ('seconds',)},
    add_options=_add_options,
    variant=_variant,
)
