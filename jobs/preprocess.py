"""Turns raw images and captions into arrays of fixed size."""

import logging
import os
from typing import Any, Dict, Sequence

from stackgan.config import Config
from stackgan.config.loading import to_dict
from stackgan.files import read_json

from .engine.contract import Input, Job, Work
from .engine.outputs import raw_folder

logger = logging.getLogger(__name__)


def _inputs(config: Config, volume: str) -> Sequence[Input]:
    maker = 'make-dataset' if config.make_dataset else None
    return [Input('raw', raw_folder(config), maker,
                  'put the raw dataset there, as archives or unpacked (docs/datasets.md, '
                  'docs/own-data.md), or set data.raw to its folder')]


def _settings(config: Config) -> Dict[str, Any]:
    settings = to_dict(config.data)
    for other in ('raw', 'workers', 'licence'):   # do not change the output
        del settings[other]
    return {'data': settings}


def _run(work: Work) -> None:
    from stackgan.data.preprocessing import preprocess
    from stackgan.data.report import remark_on_counts
    preprocess(work.inputs['raw'], work.folder, work.config.data)
    if not work.config.make_dataset:              # painted birds is not a published dataset
        remark = remark_on_counts(read_json(os.path.join(work.folder, 'report.json')),
                                  work.config.data.layout)
        if remark:
            logger.info(remark)


JOB = Job(
    name='preprocess',
    summary='crop and resize the images, split the dataset, check captions, make a contact sheet',
    output=lambda config: f'prepared/{config.data.name}',
    inputs=_inputs,
    settings=_settings,
    run=_run,
    uses_tensorflow=False,
)
