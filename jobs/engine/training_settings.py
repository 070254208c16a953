"""Settings and records of the training jobs."""

from typing import Any, Dict

from stackgan.config import Config
from stackgan.config.loading import to_dict

RECORDING = ('log_every_steps', 'sample_every_steps', 'checkpoint_every_steps',
             'keep_checkpoints')      # affect what is kept, not what is trained
OF_STAGE2 = ('stage2_residual',)      # keys of `model` that Stage-I does not depend on
AUXILIARY_RECORDS = ('stats.jsonl',)
STAGE_RECORDS = AUXILIARY_RECORDS + ('events/*', 'samples/*', 'options.json')


def training_settings(config: Config, stage: str) -> Dict[str, Any]:
    """The settings that a stage's training depends on."""
    settings = {'model': to_dict(config.model), 'train': to_dict(config.train),
                stage: to_dict(getattr(config, stage)), 'run': {'seed': config.run.seed},
                'platform': precision(config)}
    for name in RECORDING + ('batch_size',):      # each stage has a batch size of its own
        del settings['train'][name]
    for name in ('generator_learning_rate', 'discriminator_learning_rate'):
        settings['train'][name] = settings[stage].pop(name)     # where earlier versions have them
    if stage == 'stage1':
        for name in OF_STAGE2:
            del settings['model'][name]
    return settings


def precision(config: Config) -> Dict[str, Any]:
    """The platform settings that change results."""
    found = {'deterministic': config.platform.deterministic,
             'mixed_precision': config.platform.mixed_precision}
    if config.platform.loss_scale is not None:    # so that runs from before this key stay done
        found['loss_scale'] = config.platform.loss_scale
    if config.platform.npu_options:
        found['npu_options'] = config.platform.npu_options
    return found
