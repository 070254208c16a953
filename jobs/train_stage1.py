"""Trains Stage-I: 64x64 images from captions."""

from .engine.contract import Job, Work
from .engine.imported import no_training
from .engine.outputs import embeddings_input, prepared_input, run_folder
from .engine.training_settings import (
    STAGE_RECORDS,
    image_encoder_inputs,
    loggers_of,
    training_settings,
)


def _run(work: Work) -> None:
    from stackgan.training.stages import train_stage
    train_stage(1, work.config, work.inputs['prepared'], work.inputs['embeddings'], work.folder,
                work.stop, text_encoder=work.inputs.get('text-encoder'),
                loggers=loggers_of(work, 'stage1'), channel=work.workers)


JOB = Job(
    name='train-stage1',
    summary='train Stage-I (64x64); resumes where it was interrupted',
    output=lambda config: run_folder(config, 'stage1'),
    inputs=lambda config, volume: ([prepared_input(config), embeddings_input(config)]
                                   + image_encoder_inputs(config, volume)),
    settings=lambda config: training_settings(config, 'stage1'),
    not_needed=lambda config, volume: no_training(config, volume, 'stage1'),
    growing=('stage1.epochs',),
    precious=True,
    resumes=True,
    takes_workers=True,
    records=STAGE_RECORDS,
    run=_run,
)
