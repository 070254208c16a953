"""The order of the chain follows from what each job reads."""

import pytest
from toy import tiny_config

from jobs import train_stage1
from jobs.engine import chain
from stackgan.errors import InputError


def check(jobs, config, volume):
    names = [job.name for job in jobs]
    for job in jobs:
        for each in job.inputs(config, volume):
            if each.made_by:
                assert names.index(each.made_by) < names.index(job.name)
    return names


@pytest.mark.parametrize('order', [1, -1])
def test_it_does_not_depend_on_how_jobs_are_listed(tmp_path, monkeypatch, order):
    monkeypatch.setattr(chain, 'JOBS', chain.JOBS[::order])
    config, volume = tiny_config(), str(tmp_path)
    names = check(chain.until(None, config, volume), config, volume)
    assert sorted(names) == sorted(job.name for job in chain.JOBS)
    assert check(chain.until('sample', config, volume), config, volume) == [
        'make-dataset', 'preprocess', 'train-text-encoder', 'embed', 'train-stage1', 'train-stage2',
        'sample']


def test_what_is_on_request_brings_what_it_needs_alone(tmp_path):
    names = [job.name for job in chain.until('convert-om', tiny_config(), str(tmp_path))]
    assert names[-2:] == ['export', 'convert-om'] and 'score' not in names


@pytest.mark.parametrize('key, value', [
    ('train.caption_matching_weight', '1'), ('train.caption_similarity_weight', '1'),
    ('model.stage1_encoder_features', 'true')])
def test_a_training_that_uses_the_image_encoder_waits_for_it(tmp_path, key, value):
    def names(*settings):
        inputs = train_stage1.JOB.inputs(tiny_config(*settings), str(tmp_path))
        return [each.name for each in inputs]

    assert 'text-encoder' not in names()
    assert 'text-encoder' in names(f'{key}={value}')
    with pytest.raises(InputError, match=f'{key} needs a text encoder that is trained here'):
        names(f'{key}={value}', 'text.source=published', 'text.weights=encoder.t7')
