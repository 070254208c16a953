"""Trains Stage-II: 256x256 images from captions and the images of Stage-I."""

from .engine.contract import Input, Job, Work
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
    train_stage(2, work.config, work.inputs['prepared'], work.inputs['embeddings'], work.folder,
                work.stop, work.inputs['stage1'], work.inputs.get('text-encoder'),
                loggers_of(work, 'stage2'), work.workers)


JOB = Job(
    name='train-stage2',
    summary='train Stage-II (256x256) on top of Stage-I; resumes where it was interrupted',
    output=lambda config: run_folder(config, 'stage2'),
    inputs=lambda config, volume: ([prepared_input(config), embeddings_input(config),
                                    Input('stage1', run_folder(config, 'stage1'), 'train-stage1')]
                                   + image_encoder_inputs(config, volume)),
    settings=lambda config: training_settings(config, 'stage2'),
    not_needed=lambda config, volume: no_training(config, volume, 'stage2'),
    growing=('stage2.epochs',),
    precious=True,
    resumes=True,
    takes_workers=True,
    records=STAGE_RECORDS,
    run=_run,
)
