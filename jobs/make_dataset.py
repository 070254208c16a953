"""Paints the built-in synthetic dataset "painted birds" from a seed, in the CUB layout."""

from typing import Any, Dict, Optional

from stackgan.config import Config
from stackgan.config.loading import to_dict

from .engine.contract import Job, Work
from .engine.outputs import raw_folder


def _not_needed(config: Config, volume: str) -> Optional[str]:
    return None if config.make_dataset else 'this configuration uses a dataset of your own'


def _settings(config: Config) -> Dict[str, Any]:
    settings = dict(to_dict(config.make_dataset) or {})
    if not settings.get('all_combinations'):           # earlier versions do not have it
        settings.pop('all_combinations', None)
    return settings


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
    settings=_settings,
    not_needed=_not_needed,
    run=_run,
    uses_tensorflow=False,
)
