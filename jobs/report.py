"""Writes one page that shows the results of a run so far."""

from typing import Sequence

from stackgan.config import Config

from .engine.contract import Input, Job, Work
from .engine.imported import brings_stage1
from .engine.outputs import embeddings_input, prepared_input, run_folder, text_encoder_inputs


def _run(work: Work) -> None:
    from stackgan.reporting.page import write_report
    write_report(work.folder, work.inputs, work.config)


def _inputs(config: Config, volume: str) -> Sequence[Input]:
    stages = ('stage2',) if brings_stage1(config, volume) else ('stage1', 'stage2')
    return [
        prepared_input(config),
        embeddings_input(config),
    ] + [Input(stage, run_folder(config, stage), 'train-' + stage) for stage in stages] + [
        Input('samples', run_folder(config, 'samples'), 'sample'),
        Input('scores', run_folder(config, 'scores'), 'score')
    ] + [each for each in text_encoder_inputs(config, volume) if each.made_by]


JOB = Job(
    name='report',
    summary='write index.html: contact sheet, loss curves, sample grids, scores, timings',
    output=lambda config: run_folder(config, 'report'),
    inputs=_inputs,
    settings=lambda config: {},
    run=_run,
    records=('index.html',),           # which shows when each job ran, and for how long
    uses_tensorflow=False,
)
