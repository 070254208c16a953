"""A volume and a configuration written before keys were renamed and files became short.

`earlier_version/` has a complete configuration file and the manifests of a finished chain, each
with those of its files that asking for its state reads.
"""

import json
import os

import pytest
from toy import ROOT

from jobs.engine import chain
from jobs.engine.contract import folder_of, state_of
from stackgan.config import load_config
from stackgan.files import read_json, write_json

HERE = os.path.join(ROOT, 'tests', 'earlier_version')


@pytest.fixture
def volume(tmp_path):
    with open(os.path.join(HERE, 'volume.json'), encoding='utf-8') as stream:
        for name, output in json.load(stream).items():
            folder = os.path.join(str(tmp_path), name)
            os.makedirs(folder)
            write_json(os.path.join(folder, 'manifest.json'), output['manifest'])
            for file, text in output['files'].items():
                with open(os.path.join(folder, file), 'w', encoding='utf-8', newline='') as stream:
                    stream.write(text)
    return str(tmp_path)


@pytest.mark.parametrize('path', [os.path.join(HERE, 'smoke.yaml'),
                                  os.path.join(ROOT, 'configs', 'smoke.yaml')])
def test_the_chain_is_done(volume, path):
    config = load_config(path)
    states = {job.name: state_of(job, config, volume) for job in chain.JOBS}
    assert len(states) > 9 and {state.word for state in states.values()} == {'done'}, states


def test_a_renamed_setting_that_changed_is_told_by_its_new_name(volume):
    config = load_config(os.path.join(HERE, 'smoke.yaml'), ['stage2.likeness_coefficient=1',
                                                            'make_dataset.picture_size=100'])
    state = state_of(chain.BY_NAME['train-stage2'], config, volume)
    assert (state.word, state.reason) == (
        'stale', 'stage2.low_resolution_consistency 10.0 -> 1.0')
    state = state_of(chain.BY_NAME['make-dataset'], config, volume)
    assert (state.word, state.reason) == ('stale', 'image_size 128 -> 100')


def test_a_setting_that_an_earlier_version_did_not_have_had_its_default(volume):
    config = load_config(os.path.join(HERE, 'smoke.yaml'))
    job = chain.BY_NAME['train-stage1']
    path = os.path.join(folder_of(job, config, volume), 'manifest.json')
    manifest = read_json(path)
    del manifest['request']['settings']['train.weight_decay']        # 0 by default
    write_json(path, manifest)
    assert state_of(job, config, volume).word == 'done'
    changed = load_config(os.path.join(HERE, 'smoke.yaml'), ['train.weight_decay=0.5'])
    assert state_of(job, changed, volume).reason == 'train.weight_decay 0.0 -> 0.5'
