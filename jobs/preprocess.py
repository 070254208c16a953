"""Raw pictures and captions to fixed-size arrays."""

from jobs.contract import Input, Job
from stackgan.config.loading import to_dict


def _inputs(config, volume):
    maker = 'make-dataset' if config.make_dataset else None
    return [Input('raw', config.data.raw, maker)]


def _settings(config):
    settings = to_dict(config.data)
    for machine_only in ('raw', 'workers'):       # change nothing of the output
        del settings[machine_only]
    return {'data': settings}


def _run(work):
    from stackgan.data.preprocessing import preprocess
    preprocess(work.inputs['raw'], work.folder, work.config.data, work.say)


JOB = Job(
    name='preprocess',
    summary='crop and resize the pictures, split the set, check captions, draw a contact sheet',
    output=lambda config: 'prepared/%s' % config.data.name,
    inputs=_inputs,
    settings=_settings,
    run=_run,
    uses_tensorflow=False,
)
