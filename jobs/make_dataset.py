"""Paints the built-in synthetic dataset "painted birds" from a seed, in the CUB layout."""

from typing import Optional

from stackgan.config import Config
from stackgan.config.loading import to_dict

from .engine.contract import Job, Work
from .engine.outputs import raw_folder


def _not_needed(config: Config, volume: str) -> Optional[str]:
    return None if config.make_dataset else 'this configuration uses a dataset of your own'


def _run(work: Work) -> None:
    from stackgan.data.painted import make_dataset
    settings = work.config.make_dataset
    assert settings is not None                   # else the job is not needed
    make_dataset(work.folder, settings.images, settings.image_size, settings.seed,
                 every=settings.all_combinations)


JOB = Job(
    name='make-dataset',
    summary='paint the built-in synthetic dataset "painted birds" (images, boxes, captions, '
            'attributes)',
    output=raw_folder,
    inputs=lambda config, volume: (),
    settings=lambda config: to_dict(config.make_dataset),
    not_needed=_not_needed,
    run=_run,
    uses_tensorflow=False,
)
