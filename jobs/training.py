"""What the two training jobs share."""

from stackgan.config.loading import to_dict

RECORDING = ('train.log_every_steps', 'train.sample_every_steps', 'train.checkpoint_every_steps',
             'train.keep_checkpoints')      # change what is kept, not what is trained


def training_settings(config, stage):
    """The settings that a stage's training depends on."""
    settings = {'model': to_dict(config.model), 'train': to_dict(config.train),
                stage: to_dict(getattr(config, stage)), 'run': {'seed': config.run.seed},
                'platform': {'deterministic': config.platform.deterministic,
                             'mixed_precision': config.platform.mixed_precision}}
    del settings['train']['batch_size']      # the stage has its own
    return settings
