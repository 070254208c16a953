"""One flipped byte in what a job reads: told before anything that was made of it is kept."""

import os
import shutil

import numpy as np
import pytest
from test_contract import make_job, run
from volume_toy import flip, make_output, make_volume, run_job, toy_config

from jobs import train_scorer, train_stage1, train_stage2
from jobs.engine.contract import Input, state_of
from stackgan import integrity
from stackgan.data.prepared import ArrayFile, load_array
from stackgan.errors import InputError
from stackgan.integrity import check_file, check_soon, copy_checked, damaged_files, settle
from stackgan.manifests import look_at

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


@pytest.mark.parametrize('name', [
    'prepared/toy/train/images-076-00001.npy', 'runs/toy/embeddings/train.npy',
    'prepared/toy/test/images-076-00000.npy', 'prepared/toy/train/class_ids.npy',
    'prepared/toy/test/items.jsonl'])
def test_a_training_tells_of_what_it_learns_from(volume, capsys, name):
    shutil.rmtree(stage(volume))
    flip(os.path.join(volume, name), -2)
    maker = 'embed' if 'embeddings' in name else 'preprocess'
    assert state_of(JOB, toy_config(), volume).word == 'missing'     # sizes tell nothing
    assert run_job(JOB, volume) == 2
    message = capsys.readouterr().err
    assert name in message and f'{maker} --force' in message and 'Traceback' not in message
    assert not os.path.exists(stage(volume))
    partial = stage(volume) + '.partial/checkpoints'
    assert not os.path.exists(partial) or os.listdir(partial) == []  # learned nothing that stays
    flip(os.path.join(volume, name), -2)                             # made again
    if name.endswith('1.npy') or 'embeddings' in name:
        assert run_job(JOB, volume) == 0


def test_a_scorer_tells_of_what_it_learns_from(volume, capsys):
    """As the text encoder does: both are fitted by the same loop."""
    config = toy_config('scorer.steps=3', 'scorer.batch_size=2', 'scorer.checkpoint_every_steps=2')
    for number in (0, 1):
        flip(os.path.join(volume, 'prepared/toy/test/images-304-0000%d.npy' % number), 9000)
    assert run_job(train_scorer.JOB, volume, config) == 2
    assert 'images-304-0000' in capsys.readouterr().err
    partial = os.path.join(volume, 'prepared/toy-scorer.partial/checkpoints')
    assert not os.path.exists(partial) or os.listdir(partial) == []


def test_a_training_reads_only_the_sizes_that_it_uses(volume):
    """Stage-I: 304 px images may be damaged, or be as large as they like."""
    shutil.rmtree(stage(volume))
    flip(os.path.join(volume, 'prepared/toy/train/images-304-00000.npy'))
    assert run_job(JOB, volume) == 0


def test_stage2_tells_of_a_damaged_checkpoint_of_stage1(volume, capsys):
    flip(os.path.join(stage(volume), 'checkpoints/00000006/model.data-00000-of-00001'), 50)
    assert run_job(train_stage2.JOB, volume) == 2
    message = capsys.readouterr().err
    assert '00000006/model.data-00000-of-00001 has other bytes' in message
    assert 'train-stage1 --force' in message


def test_older_checkpoints_and_records_stop_nobody(volume):
    """What a job does not read may be damaged: `verify` tells."""
    for name in ('checkpoints/00000003/model.data-00000-of-00001', 'samples/00000000.png'):
        flip(os.path.join(stage(volume), name), 50)
    reader = make_job('reader', 'b', inputs=lambda config, volume: [
        Input('stage', 'runs/toy/stage1', 'train-stage1')])
    assert run(reader, volume) == 0


def test_any_job_reads_its_smaller_inputs_first(tmp_path, capsys):
    def write(folder):
        for name in ('a.json', 'deep/b.txt'):
            os.makedirs(os.path.join(folder, 'deep'), exist_ok=True)
            with open(os.path.join(folder, name), 'w') as stream:
                stream.write('{"a": 1}')
    make_output(tmp_path, 'export', 'first', write)
    reader = make_job('reader', 'b', inputs=lambda config, volume: [
        Input('first', 'first', 'export')])
    flip(str(tmp_path / 'first' / 'deep' / 'b.txt'))
    assert run(reader, tmp_path) == 2
    assert 'b.txt has other bytes' in capsys.readouterr().err
    assert not [name for name in os.listdir(str(tmp_path)) if name in ('b', 'b.partial')]
    flip(str(tmp_path / 'first' / 'deep' / 'b.txt'))
    assert run(reader, tmp_path) == 0


@pytest.fixture
def array(tmp_path):
    """Path of an array in a finished output."""
    make_output(tmp_path, 'embed', 'out', lambda folder: np.save(
        os.path.join(folder, 'a.npy'), np.arange(4000, dtype=np.float32).reshape(1000, 4)))
    integrity.forget()
    return str(tmp_path / 'out' / 'a.npy')


def test_an_array_is_read_in_the_background(array):
    file = ArrayFile(array)
    assert file.read(3).tolist() == [12, 13, 14, 15]
    settle()
    assert check_soon(array) is file.check                          # once for all who read it
    flip(array, 999)
    os.utime(array)                                                 # another state: read again
    file = ArrayFile(array)
    with pytest.raises(InputError, match='a.npy has other bytes .* embed --force'):
        file.read(3)
        settle()
    with pytest.raises(InputError, match='a.npy has other bytes'):
        file.read(4)
    integrity.forget()
    settle()


def test_files_without_a_manifest_are_taken_as_they_are(tmp_path):
    path = str(tmp_path / 'deep' / 'a.npy')
    os.makedirs(os.path.dirname(path))
    np.save(path, np.ones((2, 2)))
    check_file(path)
    assert check_soon(path) is None and load_array(path).sum() == 4
    (tmp_path / 'manifest.json').write_text('{"of": "someone else"}')
    check_file(path)
    assert ArrayFile(path).read(0).tolist() == [1, 1]


def test_a_file_that_is_replaced_while_it_is_read_stops_nobody(array, monkeypatch):
    """Who reads it has the old one open: a dataset may be made anew beside a training."""
    file = ArrayFile(array)
    read = integrity.digest_of_blocks

    def replace_and_read(path, *more):
        np.save(path + '.new.npy', np.zeros((1000, 4), np.float32))
        os.replace(path + '.new.npy', path)
        return read(path, *more)
    monkeypatch.setattr(integrity, 'digest_of_blocks', replace_and_read)
    assert file.read(3).tolist() == [12, 13, 14, 15]
    settle()
    assert file.read(3).tolist() == [12, 13, 14, 15]
    os.unlink(array)
    assert check_soon(array) is None
    integrity.forget()


def test_a_stop_does_not_wait(array):
    """A signal saves at once, whatever is still to be read."""
    class Requested:
        requested = True
    with integrity._lock:
        check = integrity.Check(array, ('0' * 64, 'embed'))         # that nobody performs
        integrity._checks['never'] = check
    settle(Requested())
    check.perform()
    with pytest.raises(InputError, match='other bytes'):
        settle(Requested())
    integrity.forget()


def test_copies_and_lists(array):
    folder = os.path.dirname(array)
    files = look_at(folder).manifest['files']
    assert damaged_files(folder, files) == {}
    target = os.path.join(folder, 'copy')
    assert copy_checked(array, target, files['a.npy']['sha256']) and os.path.exists(target)
    assert copy_checked(array, target, None)
    flip(array)
    assert not copy_checked(array, target, files['a.npy']['sha256'])
    assert not os.path.exists(target)
    assert list(damaged_files(folder, files)) == ['a.npy']
    os.unlink(array)
    assert damaged_files(folder, files) == {'a.npy': 'cannot be read (No such file or directory)'}
