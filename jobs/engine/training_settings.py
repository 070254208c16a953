"""What the training jobs share."""

from stackgan.config.loading import to_dict

RECORDING = ('log_every_steps', 'sample_every_steps', 'checkpoint_every_steps',
             'keep_checkpoints')      # change what is kept, not what is trained
AUXILIARY_RECORDS = ('stats.jsonl',)            # no job works with records
STAGE_RECORDS = AUXILIARY_RECORDS + ('events/*', 'samples/*', 'options.json')


def training_settings(config, stage):
    """The settings that a stage's training depends on."""
    settings = {'model': to_dict(config.model), 'train': to_dict(config.train),
                stage: to_dict(getattr(config, stage)), 'run': {'seed': config.run.seed},
                'platform': precision(config)}
    for name in RECORDING + ('batch_size',):      # of the batch size the stage has its own
        del settings['train'][name]
    return settings


def precision(config):
    """The part of the platform's settings that changes results."""
    found = {'deterministic': config.platform.deterministic,
             'mixed_precision': config.platform.mixed_precision}
    if config.platform.loss_scale is not None:    # so that runs from before it had a key stay done
        found['loss_scale'] = config.platform.loss_scale
    if config.platform.npu_options:
        found['npu_options'] = config.platform.npu_options
    return found
