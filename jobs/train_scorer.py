"""Trains the classifier whose inception score and FID rate images of a dataset."""

from typing import Any, Dict

from stackgan.config import Config
from stackgan.config.loading import to_dict

from .engine.contract import Job, Work
from .engine.outputs import prepared_input, scorer_folder
from .engine.training_settings import AUXILIARY_RECORDS, precision


def _settings(config: Config) -> Dict[str, Any]:
    scorer = to_dict(config.scorer)
    for name in ('checkpoint_every_steps', 'minimum_accuracy'):    # do not change the scorer
        del scorer[name]
    return {'scorer': scorer, 'platform': precision(config)}


def _run(work: Work) -> None:
    from stackgan.training.scorer import train_scorer
    train_scorer(work.inputs['prepared'], work.folder, work.config.scorer, work.config.platform,
                 work.stop)


JOB = Job(
    name='train-scorer',
    summary='train the classifier that scores images of the dataset',
    output=scorer_folder,
    inputs=lambda config, volume: [prepared_input(config)],
    settings=_settings,
    resumes=True,
    records=AUXILIARY_RECORDS,
    run=_run,
)
