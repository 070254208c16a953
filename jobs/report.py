"""One page that shows what a run has made so far."""

from jobs.contract import Input, Job
from jobs.prepared import embeddings_input, prepared_input, run_folder, text_encoder_inputs


def _run(work):
    from stackgan.reporting.page import write_report
    write_report(work.folder, work.inputs, work.config, work.say)


JOB = Job(
    name='report',
    summary='write index.html: contact sheet, loss curves, sample grids, scores, timings',
    output=lambda config: run_folder(config, 'report'),
    inputs=lambda config, volume: [
        prepared_input(config),
        embeddings_input(config),
        Input('stage1', run_folder(config, 'stage1'), 'train-stage1'),
        Input('stage2', run_folder(config, 'stage2'), 'train-stage2'),
        Input('samples', run_folder(config, 'samples'), 'sample'),
        Input('scores', run_folder(config, 'scores'), 'score')
    ] + text_encoder_inputs(config, volume),
    settings=lambda config: {},
    run=_run,
    uses_tensorflow=False,
)
