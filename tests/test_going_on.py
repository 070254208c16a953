"""A finished training that lost a file goes on from its whole checkpoints; nothing starts anew."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from toy import ROOT
from volume_toy import ARGUMENTS, damage_manifest, flip, make_volume, run_job, toy_config

from jobs import train_stage1, train_stage2
from jobs.chain import run_chain
from jobs.contract import read_manifest, state_of
from stackgan.files import files_below

JOB = train_stage1.JOB


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A volume with a finished Stage-I."""
    volume = make_volume(tmp_path_factory.mktemp('trained'))
    assert run_job(JOB, volume) == 0
    return volume


@pytest.fixture
def volume(trained, tmp_path):
    return shutil.copytree(trained, str(tmp_path / 'volume'))


def stage(volume):
    return os.path.join(volume, 'runs', 'toy', 'stage1')


def checkpoints(volume):
    """{file: bytes} of the finished checkpoints."""
    folder = os.path.join(stage(volume), 'checkpoints')
    found = {}
    for name in files_below(folder):
        with open(os.path.join(folder, name), 'rb') as stream:
            found[name] = stream.read()
    return found


def steps_logged(volume):
    with open(os.path.join(stage(volume), 'log.txt')) as stream:
        return [line for line in stream if 'goes on from step' in line]


def lose(volume, name, how='remove'):
    path = os.path.join(stage(volume), name)
    if how == 'remove':
        os.unlink(path)
    else:
        with open(path, 'r+b') as stream:
            stream.truncate(max(os.path.getsize(path) // 2, 0))


@pytest.mark.parametrize('name, how', [
    ('samples/00000000.png', 'remove'), ('stats.jsonl', 'cut'),
    ('checkpoints/00000006/checkpoint.json', 'remove'),
    ('checkpoints/00000006/model.data-00000-of-00001', 'cut')])
def test_a_lost_file_is_named_and_the_training_goes_on(volume, trained, capsys, name, how):
    lose(volume, name, how)
    state = state_of(JOB, toy_config(), volume)
    assert state.word == 'stale' and name in state.reason and 'goes on' in state.reason
    assert run_job(JOB, volume) == 0
    output = capsys.readouterr().out
    assert name in output and 'goes on from its newest whole checkpoint' in output
    step = 3 if name.startswith('checkpoints') else 6
    assert 'goes on from step %d of 6' % step in output
    assert checkpoints(volume) == checkpoints(trained)           # trained to the same bits
    manifest = read_manifest(stage(volume))
    assert manifest['content'] == read_manifest(stage(trained))['content']
    assert state_of(JOB, toy_config(), volume).word == 'done'
    assert run_job(JOB, volume) == 0 and 'up to date' in capsys.readouterr().out


@pytest.mark.parametrize('damage', ['{"files":{}}', None])
def test_without_a_manifest_it_goes_on_too(volume, trained, capsys, damage):
    os.unlink(os.path.join(stage(volume), 'manifest.json'))
    if damage is not None:
        damage_manifest(stage(volume), damage)
    assert 'manifest.json is' in state_of(JOB, toy_config(), volume).reason
    assert run_job(JOB, volume) == 0
    assert 'goes on from step 6 of 6' in capsys.readouterr().out
    assert checkpoints(volume) == checkpoints(trained)
    assert read_manifest(stage(volume))['content'] == read_manifest(stage(trained))['content']


def test_what_it_was_trained_on_must_be_known(volume, capsys):
    """Neither manifest nor request: nothing is done unasked."""
    for name in ('manifest.json', 'request.json'):
        os.unlink(os.path.join(stage(volume), name))
    before = checkpoints(volume)
    assert run_job(JOB, volume) == 2
    message = capsys.readouterr().err
    assert 'manifest.json is missing' in message and '--restart' in message
    assert checkpoints(volume) == before and not os.path.exists(stage(volume) + '.partial')
    assert run_job(JOB, volume, restart=True) == 0
    assert os.path.exists(stage(volume) + '.previous/checkpoints/00000006')


def test_without_a_whole_checkpoint_replacing_wants_restart(volume, capsys):
    for number in ('00000003', '00000006'):
        lose(volume, 'checkpoints/%s/model.index' % number)
    before = checkpoints(volume)
    for force in (False, True):
        assert run_job(JOB, volume, force=force) == 2
        message = capsys.readouterr().err
        assert 'no whole checkpoint is left' in message and '00000003/model.index' in message
        assert checkpoints(volume) == before
    assert sorted(os.listdir(os.path.dirname(stage(volume)))) == [
        'embeddings', 'embeddings.lock', 'stage1', 'stage1.lock']


def test_force_alone_replaces_no_training(volume, capsys):
    before = checkpoints(volume)
    assert run_job(JOB, volume, force=True) == 2
    assert 'is finished and whole' in capsys.readouterr().err
    assert checkpoints(volume) == before and not os.path.exists(stage(volume) + '.previous')
    flip(os.path.join(stage(volume), 'checkpoints/00000006/model.data-00000-of-00001'), 100)
    assert run_job(JOB, volume, force=True) == 0                  # reads all, mends
    output = capsys.readouterr().out
    assert 'model.data-00000-of-00001 has other bytes' in output
    assert 'goes on from step 3 of 6' in output
    assert checkpoints(volume) == before


def test_force_keeps_unfinished_training(volume, capsys):
    longer = toy_config('stage1.epochs=4')
    os.rename(stage(volume), stage(volume) + '.partial')
    os.unlink(stage(volume) + '.partial/manifest.json')
    assert run_job(JOB, volume, longer, force=True) == 0
    assert 'goes on from step 6 of 12' in capsys.readouterr().out


def test_a_longer_training_goes_on_from_what_is_whole(volume, capsys):
    lose(volume, 'samples/00000004.png')
    flip(os.path.join(stage(volume), 'checkpoints/00000006/checkpoint.json'), 5)
    assert run_job(JOB, volume, toy_config('stage1.epochs=4')) == 0
    output = capsys.readouterr().out
    assert 'samples/00000004.png is missing' in output and 'checkpoint.json has other' in output
    assert 'goes on from step 3 of 12' in output


def test_killed_while_it_is_mended(volume, trained, capsys):
    lose(volume, 'checkpoints/00000006/model.index')
    process = subprocess.Popen([sys.executable, '-c', '''
import os, signal, sys
from stackgan import integrity
from jobs import going_on
copy = going_on.copy_checked
def copy_or_die(source, target, digest):
    if "stats" in source:
        os.kill(os.getpid(), signal.SIGKILL)
    return copy(source, target, digest)
going_on.copy_checked = copy_or_die
from jobs.command_line import main
sys.exit(main())''', 'train-stage1', '--data', volume] + ARGUMENTS, cwd=ROOT)
    assert process.wait() == -signal.SIGKILL
    assert os.path.isdir(stage(volume) + '.partial.copy')
    assert not os.path.exists(stage(volume) + '.partial')
    assert run_job(JOB, volume) == 0
    assert 'goes on from step 3 of 6' in capsys.readouterr().out
    assert checkpoints(volume) == checkpoints(trained)
    assert not os.path.exists(stage(volume) + '.partial.copy')


def test_the_chain_mends_and_what_follows_stays_done(volume, monkeypatch, capsys):
    """`run`: Stage-II was trained on Stage-I; a lost record, or checkpoint, changes nothing of it.
    """
    second = train_stage2.JOB._replace(run=lambda work: None, uses_tensorflow=False)
    assert run_job(second, volume) == 0
    monkeypatch.setattr('jobs.chain.JOBS', (JOB, second))
    for name in ('samples/00000000.png', 'checkpoints/00000003/model.index'):
        lose(volume, name)
        waiting = state_of(second, toy_config(), volume)
        assert waiting.word == 'waiting' and name in waiting.reason
        assert run_job(second, volume) == 2
        assert 'run train-stage1 first' in capsys.readouterr().err
        assert run_chain(toy_config(), volume, None, ['--data', volume] + ARGUMENTS) == 0
        output = capsys.readouterr().out
        assert 'run: train-stage1 done' in output and 'train-stage2: up to date' in output


def test_an_output_that_is_not_precious_is_simply_made_again(volume):
    from test_contract import make_job, run
    run(make_job(goes_on=True), volume)
    os.unlink(os.path.join(volume, 'out', 'size.txt'))
    assert run(make_job(goes_on=True), volume) == 0
    assert os.listdir(os.path.join(volume, 'out')).count('size.txt') == 1


def test_a_stage_without_request_of_before(volume):
    """As older versions left it: a manifest alone."""
    os.unlink(os.path.join(stage(volume), 'request.json'))
    with open(os.path.join(stage(volume), 'manifest.json')) as stream:
        manifest = json.load(stream)
    damage_manifest(stage(volume), json.dumps(dict(manifest, content='of an older rule')))
    lose(volume, 'samples/00000000.png')
    assert run_job(JOB, volume) == 0
    assert read_manifest(stage(volume))['content'] == 'of an older rule'
