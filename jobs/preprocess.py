"""Raw images and captions to fixed-size arrays."""

import logging
import os

from stackgan.config.loading import to_dict
from stackgan.files import read_json

from .engine.contract import Input, Job

logger = logging.getLogger(__name__)


def _inputs(config, volume):
    maker = 'make-dataset' if config.make_dataset else None
    return [Input('raw', config.data.raw, maker,
                  'put the raw dataset there, as archives or unpacked (docs/datasets.md, '
                  'docs/own-data.md), or name its folder with data.raw')]


def _settings(config):
    settings = to_dict(config.data)
    for machine_only in ('raw', 'workers'):       # change nothing of the output
        del settings[machine_only]
    return {'data': settings}


def _run(work):
    from stackgan.data.preprocessing import preprocess
    from stackgan.data.report import remark_on_counts
    preprocess(work.inputs['raw'], work.folder, work.config.data)
    if not work.config.make_dataset:              # the synthetic dataset is none of the published
        remark = remark_on_counts(read_json(os.path.join(work.folder, 'report.json')),
                                  work.config.data.layout)
        if remark:
            logger.info(remark)


JOB = Job(
    name='preprocess',
    summary='crop and resize the images, split the set, check captions, make a contact sheet',
    output=lambda config: f'prepared/{config.data.name}',
    inputs=_inputs,
    settings=_settings,
    run=_run,
    uses_tensorflow=False,
)
