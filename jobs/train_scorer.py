"""Trains the classifier that scores pictures of a dataset."""

from jobs.contract import Job
from jobs.prepared import prepared_input, scorer_folder
from jobs.training import FITTING_RECORDS, precision
from stackgan.config.loading import to_dict


def _settings(config):
    scorer = to_dict(config.scorer)
    for name in ('checkpoint_every_steps', 'minimum_accuracy'):    # change nothing of the scorer
        del scorer[name]
    return {'scorer': scorer, 'platform': precision(config)}


def _run(work):
    from stackgan.scoring.scorer_training import train_scorer
    train_scorer(work.inputs['prepared'], work.folder, work.config.scorer, work.config.platform,
                 work.say, work.stop)


JOB = Job(
    name='train-scorer',
    summary='train the classifier that scores pictures of the dataset',
    output=scorer_folder,
    inputs=lambda config, volume: [prepared_input(config)],
    settings=_settings,
    goes_on=True,
    records=FITTING_RECORDS,
    run=_run,
)
