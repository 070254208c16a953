"""The embedded dataset "painted birds", drawn from a seed in the CUB layout."""

from jobs.contract import Job
from stackgan.config.loading import to_dict


def _not_needed(config, volume):
    return None if config.make_dataset else 'this configuration uses a dataset of yours'


def _run(work):
    from stackgan.data.painted import make_dataset
    settings = work.config.make_dataset
    make_dataset(work.folder, settings.images, settings.image_size, settings.seed, work.say)


JOB = Job(
    name='make-dataset',
    summary='draw the embedded dataset "painted birds" (pictures, boxes, captions, attributes)',
    output=lambda config: config.data.raw,
    inputs=lambda config, volume: (),
    settings=lambda config: to_dict(config.make_dataset),
    not_needed=_not_needed,
    run=_run,
    uses_tensorflow=False,
)
