"""A volume with both bundles of a run of random weights."""

import os
from functools import lru_cache

from export_toy import finished_stage, finished_text_encoder, run
from serve_toy import RUN, SETTINGS, finish
from toy import TINY, make_prepared, tiny_config

from jobs import export
from jobs.engine.outputs import prepared_folder, run_folder
from stackgan.files import write_json_lines
from stackgan.sampling.sample_request import SampleRequest
from stackgan.sampling.sampler import Sampler
from stackgan.text.encoder import TextEncoder

CONFIG = SETTINGS[len(TINY):] + ['data.licence=CC BY 4.0']


def make_bundles(folder):
    """Returns the folder."""
    config = tiny_config(*CONFIG)
    finish(folder, 'preprocess', prepared_folder, lambda work: make_prepared(work.folder))
    finished_text_encoder(folder)
    finished_stage(folder, 2)
    finish(folder, 'score', lambda config: run_folder(config, 'scores'), _write_scores)
    for options in ({}, {'bundle': 'full'}, {'bundle': 'small'}):
        assert run(export.JOB, folder, config, **options) == 0
    return folder


def _write_scores(work):
    common = {'deviation': None, 'images': 12, 'protocol': 'fid/scorer', 'stage': 2}
    write_json_lines(os.path.join(work.folder, 'scores.jsonl'), [
        dict(common, set=name, value=value) for name, value in (('generated', 61.5),
                                                               ('real', 4.25))])


def bundle_path(volume, kind='bundle'):
    return str(volume / 'runs' / RUN / kind / (RUN + '.zip'))


def by_checkpoint(volume, captions, seed):
    """[N, 256, 256, 3] uint8 by TensorFlow, from the checkpoints."""
    encoder, sampler = _opened(volume / 'runs' / RUN)
    return sampler.generate([SampleRequest(*each, 0, {})
                             for each in zip(captions, encoder.embed(captions))], seed)[256]


@lru_cache(maxsize=1)
def _opened(run_folder):
    platform = tiny_config().platform
    return (TextEncoder(str(run_folder / 'text-encoder'), platform),
            Sampler(str(run_folder / 'stage2'), 'last', 1, platform))
