"""Settings and records of the training jobs."""

from typing import TYPE_CHECKING, Any, Dict, List

from stackgan import __version__
from stackgan.config import Config
from stackgan.config.loading import to_dict
from stackgan.errors import InputError
from stackgan.platforms.ascend_options import DIAGNOSTIC

from .contract import Input, Work, flat
from .outputs import judge_inputs

if TYPE_CHECKING:
    from stackgan.training.loggers import TrainingLogger

RECORDING = ('log_every_steps', 'sample_every_steps', 'checkpoint_every_steps',
             'keep_checkpoints', 'loggers')      # affect what is kept, not what is trained
# Keys of `model` that Stage-I does not depend on.
OF_STAGE2 = ('stage2_residual', 'stage2_skip_connections', 'stage2_sub_pixel',
             'stage2_residual_blocks')
# What earlier versions did not have.
LATER = ('condition_sigma_limit', 'stage1_modulation', 'stage1_encoder_features')
AUXILIARY_RECORDS = ('stats.jsonl',)
STAGE_RECORDS = AUXILIARY_RECORDS + ('events/*', 'samples/*', 'options.json', 'mlflow.json')


def training_settings(config: Config, stage: str) -> Dict[str, Any]:
    """The settings that a stage's training depends on."""
    settings = {'model': to_dict(config.model), 'train': to_dict(config.train),
                stage: to_dict(getattr(config, stage)), 'run': {'seed': config.run.seed},
                'platform': precision(config)}
    for name in RECORDING + ('batch_size',):      # each stage has a batch size of its own
        del settings['train'][name]
    for name in ('generator_learning_rate', 'discriminator_learning_rate'):
        settings['train'][name] = settings[stage].pop(name)     # where earlier versions have them
    for name in LATER:                            # so that runs from before these keys stay done
        if not settings['model'][name]:
            del settings['model'][name]
    if stage == 'stage1':
        for name in OF_STAGE2:
            del settings['model'][name]
    return settings


def loggers_of(work: Work, stage: str) -> List['TrainingLogger']:
    """What else gets the records of a training (train.loggers)."""
    from stackgan.training.loggers import open_loggers
    settings = flat(training_settings(work.config, stage))
    return open_loggers(work.config.train.loggers or (), work.volume,
                        f'{work.config.run.name}/{stage}', dict(settings, version=__version__))


def image_encoder_inputs(config: Config, volume: str) -> List[Input]:
    """The text encoder with its image encoder, if a training uses the latter."""
    users = {'train.caption_matching_weight': config.train.caption_matching_weight,
             'train.caption_similarity_weight': config.train.caption_similarity_weight,
             'model.stage1_encoder_features': config.model.stage1_encoder_features}
    used = [name for name, value in users.items() if value]
    found = judge_inputs(config, volume) if used else []
    if used and not found:
        raise InputError(f'{used[0]} needs a text encoder that is trained here, with an image '
                         'encoder; must be 0 or false with published or precomputed embeddings')
    return found


def precision(config: Config) -> Dict[str, Any]:
    """The platform settings that change results."""
    found = {'deterministic': config.platform.deterministic,
             'precision': config.platform.precision}
    if config.platform.loss_scale is not None:    # so that runs from before this key stay done
        found['loss_scale'] = config.platform.loss_scale
    npu_options = {name: value for name, value in (config.platform.npu_options or {}).items()
                   if name not in DIAGNOSTIC}
    if npu_options:
        found['npu_options'] = npu_options
    if config.platform.worker_batch_norm == 'own' and config.platform.workers != 1:
        found['worker_batch_norm'] = 'own'        # then results depend on the number of workers
        found['workers'] = config.platform.workers
    return found
