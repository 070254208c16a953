"""A finished training that lost a file resumes from its whole checkpoints; nothing starts anew."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from glob import glob

import pytest
from digests import digest
from logged import logged
from toy import ROOT
from volume_toy import ARGUMENTS, damage_manifest, flip, make_volume, run_job, toy_config

from jobs import train_stage1, train_stage2
from jobs.engine.chain import run_chain
from jobs.engine.contract import Work, read_manifest, state_of
from stackgan.files import files_below


def pretend(work):
    """Leaves what a training leaves, in no time, and resumes from its newest checkpoint."""
    steps, folder = int(work.config.stage1.epochs * 3), os.path.join(work.folder, 'checkpoints')
    found = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    done = int(found[-1]) if found else 0
    if done:
        logging.getLogger('stackgan').info(f'resuming from step {done} of {steps}')
    os.makedirs(os.path.join(work.folder, 'samples'), exist_ok=True)
    for step in range(done + 3 if done else 0, steps + 1, 3):
        for name in ('samples/%08d.png' % step, 'stats.jsonl', 'options.json') + tuple(
                'checkpoints/%08d/%s' % (step, name) for name in FILES if step):
            path = os.path.join(work.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as stream:
                stream.write('{"step": %d}' % step if name.endswith('checkpoint.json') else
                             '%s at step %d\n' % (name, step) * 20)


FILES = ('checkpoint.json', 'model.index', 'model.data-00000-of-00001')
REAL = train_stage1.JOB
JOB = REAL._replace(run=pretend, uses_tensorflow=False)


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """A volume with a dataset."""
    return make_volume(tmp_path_factory.mktemp('toy'))


@pytest.fixture(scope='module')
def trained(toy, tmp_path_factory):
    """A volume with a Stage-I that pretends to be trained."""
    volume = shutil.copytree(toy, str(tmp_path_factory.mktemp('trained') / 'volume'))
    assert run_job(JOB, volume) == 0
    return volume


@pytest.fixture(scope='module')
def really_trained(toy, tmp_path_factory):
    """A volume with a finished Stage-I."""
    volume = shutil.copytree(toy, str(tmp_path_factory.mktemp('real') / 'volume'))
    assert run_job(REAL, volume) == 0
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
        return [line for line in stream if 'resuming from step' in line]


def lose(volume, name, how='remove'):
    path = os.path.join(stage(volume), name)
    if how == 'remove':
        os.unlink(path)
    else:
        with open(path, 'r+b') as stream:
            stream.truncate(max(os.path.getsize(path) // 2, 0))


@pytest.mark.parametrize('how', ['remove', 'cut'])
@pytest.mark.parametrize('name', [
    'samples/00000000.png', 'stats.jsonl', 'options.json', 'config.yaml'] + [
        'checkpoints/00000006/' + name for name in FILES])
def test_a_lost_file_is_named_and_the_training_goes_on(volume, trained, capsys, name, how):
    resumes(JOB, volume, trained, capsys, name, how)


@pytest.mark.parametrize('name', ['samples/00000000.png', 'checkpoints/00000006/model.index'])
def test_so_it_is_with_a_real_training(really_trained, tmp_path, capsys, name):
    """The first and the last grid are sampled again, so that nothing is lost."""
    volume = shutil.copytree(really_trained, str(tmp_path / 'volume'))
    if name.startswith('samples'):
        lose(volume, 'samples/00000006.png')
    resumes(REAL, volume, really_trained, capsys, name, 'remove')
    grids = [[digest(path) for path in sorted(glob(stage(where) + '/samples/*.png'))]
             for where in (volume, really_trained)]
    assert len(grids[0]) == 3 and grids[0] == grids[1]


def resumes(job, volume, trained, capsys, name, how):
    """Checks what comes of a finished training that lost a file."""
    lose(volume, name, how)
    state = state_of(job, toy_config(), volume)
    assert state.word == 'stale' and name in state.reason and 'resumes' in state.reason
    assert run_job(job, volume) == 0
    output = capsys.readouterr().out
    assert name in output and 'resuming from its newest complete checkpoint' in output
    step = 3 if name.startswith('checkpoints') else 6
    assert 'resuming from step %d of 6' % step in output
    assert checkpoints(volume) == checkpoints(trained)           # trained to the same bits
    manifest = read_manifest(stage(volume))
    assert manifest['content'] == read_manifest(stage(trained))['content']
    assert state_of(job, toy_config(), volume).word == 'done'
    assert run_job(job, volume) == 0 and 'up to date' in capsys.readouterr().out


@pytest.mark.parametrize('damage', ['', '{"files":{}}', '[]', None])
def test_without_a_manifest_it_goes_on_too(volume, trained, capsys, damage):
    os.unlink(os.path.join(stage(volume), 'manifest.json'))
    if damage is not None:
        damage_manifest(stage(volume), damage)
    assert 'manifest.json is' in state_of(JOB, toy_config(), volume).reason
    assert run_job(JOB, volume) == 0
    assert 'resuming from step 6 of 6' in capsys.readouterr().out
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
        lose(volume, f'checkpoints/{number}/model.index')
    before = checkpoints(volume)
    for force in (False, True):
        assert run_job(JOB, volume, force=force) == 2
        message = capsys.readouterr().err
        assert 'no complete checkpoint is left' in message and '00000003/model.index' in message
        assert checkpoints(volume) == before
    assert sorted(os.listdir(os.path.dirname(stage(volume)))) == [
        'embeddings', 'embeddings.lock', 'stage1', 'stage1.lock']


def test_force_alone_replaces_no_training(volume, capsys):
    before = checkpoints(volume)
    assert run_job(JOB, volume, force=True) == 2
    assert 'is finished and complete' in capsys.readouterr().err
    assert checkpoints(volume) == before and not os.path.exists(stage(volume) + '.previous')
    flip(os.path.join(stage(volume), 'checkpoints/00000006/model.data-00000-of-00001'), 100)
    assert run_job(JOB, volume, force=True) == 0                  # reads all, mends
    output = capsys.readouterr().out
    assert 'model.data-00000-of-00001 has other bytes' in output
    assert 'resuming from step 3 of 6' in output
    assert checkpoints(volume) == before


def test_force_keeps_unfinished_training(volume, capsys):
    longer = toy_config('stage1.epochs=4')
    os.rename(stage(volume), stage(volume) + '.partial')
    os.unlink(stage(volume) + '.partial/manifest.json')
    assert run_job(JOB, volume, longer, force=True) == 0
    assert 'resuming from step 6 of 12' in capsys.readouterr().out


def test_a_longer_training_goes_on_from_what_is_whole(volume, capsys):
    lose(volume, 'samples/00000003.png')
    flip(os.path.join(stage(volume), 'checkpoints/00000006/checkpoint.json'), 5)
    assert run_job(JOB, volume, toy_config('stage1.epochs=4')) == 0
    output = capsys.readouterr().out
    assert 'samples/00000003.png is missing' in output and 'checkpoint.json has other' in output
    assert 'resuming from step 3 of 12' in output


def test_killed_while_it_is_mended(volume, trained, capsys):
    lose(volume, 'checkpoints/00000006/model.index')
    process = subprocess.Popen([sys.executable, '-c', '''
import os, signal, sys
from stackgan import integrity
from jobs.engine import resuming
copy = resuming.copy_checked
def copy_or_die(source, target, digest):
    if "stats" in source:
        os.kill(os.getpid(), signal.SIGKILL)
    return copy(source, target, digest)
resuming.copy_checked = copy_or_die
sys.path.append("tests")
import test_resuming
test_resuming.run_job(test_resuming.JOB, sys.argv[1])''', volume], cwd=ROOT)
    assert process.wait() == -signal.SIGKILL
    assert os.path.isdir(stage(volume) + '.partial.copy')
    assert not os.path.exists(stage(volume) + '.partial')
    assert run_job(JOB, volume) == 0
    assert 'resuming from step 3 of 6' in capsys.readouterr().out
    assert checkpoints(volume) == checkpoints(trained)
    assert not os.path.exists(stage(volume) + '.partial.copy')


def test_the_chain_mends_and_what_follows_stays_done(really_trained, tmp_path, monkeypatch, capsys):
    """`run`: Stage-II was trained on Stage-I; a lost record, or checkpoint, changes nothing of it.
    """
    volume = shutil.copytree(really_trained, str(tmp_path / 'volume'))
    second = train_stage2.JOB._replace(run=lambda work: None, uses_tensorflow=False)
    assert run_job(second, volume) == 0
    monkeypatch.setattr('jobs.engine.chain.JOBS', (REAL, second))
    for name in ('samples/00000000.png', 'checkpoints/00000003/model.index'):
        lose(volume, name)
    waiting = state_of(second, toy_config(), volume)
    assert waiting.word == 'waiting' and '00000003/model.index is missing' in waiting.reason
    assert run_job(second, volume) == 2
    assert 'run train-stage1 first' in capsys.readouterr().err
    assert run_chain(toy_config(), volume, None, ['--data', volume] + ARGUMENTS) == 0
    output = capsys.readouterr().out
    assert 'run: train-stage1 done' in output and 'train-stage2: up to date' in output


def test_an_output_that_is_not_precious_is_simply_made_again(volume):
    from test_contract import make_job, run
    run(make_job(resumes=True), volume)
    os.unlink(os.path.join(volume, 'out', 'size.txt'))
    assert run(make_job(resumes=True), volume) == 0
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


def test_half_a_checkpoint_in_a_finished_output_is_not_scored(volume, monkeypatch):
    """As an older version left it when it was killed: the manifest lists what was left."""
    from jobs import score
    from stackgan.scoring import running
    folder = os.path.join(stage(volume), 'checkpoints', '00000003')
    for name in ('model.index', 'model.data-00000-of-00001'):
        os.unlink(os.path.join(folder, name))
    with open(os.path.join(stage(volume), 'manifest.json')) as stream:
        manifest = json.load(stream)
    files = {name: facts for name, facts in manifest['files'].items()
             if os.path.exists(os.path.join(stage(volume), name))}
    damage_manifest(stage(volume), json.dumps(dict(manifest, files=files)))
    assert read_manifest(stage(volume))
    scored = []
    monkeypatch.setattr(running, 'score_checkpoints', lambda found, *rest: scored.extend(found))
    inputs = {'stage': stage(volume), 'prepared': os.path.join(volume, 'prepared', 'toy'),
              'embeddings': os.path.join(volume, 'runs', 'toy', 'embeddings')}
    work = Work(toy_config(), volume, os.path.join(volume, 'runs/toy/scores-stage1.partial'),
                inputs, {}, None, {})
    with logged() as lines:
        score._score_checkpoints(work, 1, every=True)
    assert [os.path.basename(each.path) for each in scored] == ['00000006']
    assert '00000003 is not a complete checkpoint' in lines[0] and len(lines) == 1
    with open(os.path.join(volume, 'scores.jsonl'), 'w') as stream:
        stream.write(json.dumps({'checkpoint': 'runs/toy/stage1/checkpoints/00000006'}) + '\n')
    assert score._has_every_checkpoint(volume, stage(volume))
