"""The built-in synthetic dataset "painted birds", painted from a seed in the CUB layout."""

from stackgan.config.loading import to_dict

from .engine.contract import Job


def _not_needed(config, volume):
    return None if config.make_dataset else 'this configuration uses a dataset of yours'


def _run(work):
    from stackgan.data.painted import make_dataset
    settings = work.config.make_dataset
    make_dataset(work.folder, settings.images, settings.image_size, settings.seed)


JOB = Job(
    name='make-dataset',
    summary='paint the built-in synthetic dataset "painted birds" (images, boxes, captions, '
            'attributes)',
    output=lambda config: config.data.raw or f'raw/{config.data.name}',
    inputs=lambda config, volume: (),
    settings=lambda config: to_dict(config.make_dataset),
    not_needed=_not_needed,
    run=_run,
    uses_tensorflow=False,
)
