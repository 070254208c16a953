"""Checkpoints: whole or absent, all or nothing, newest and best, in both lanes."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from logged import logged
from toy import ROOT, NeverStop, make_embeddings, make_prepared, tiny_config

from stackgan.checkpoints import Checkpoints, ema_of, read_facts, restore, variables_of
from stackgan.errors import InputError
from stackgan.files import files_below
from stackgan.training.stages import train_stage


@pytest.fixture
def saved(tmp_path):
    """(folder, save): save(step, value, distance) writes variables `a` and `b/c` of a value."""
    with tf.Graph().as_default(), tf.Session() as session:
        a = tf.get_variable('a', [3], use_resource=True)
        tf.get_variable('b/c', [2, 2], use_resource=True)
        saver = tf.train.Saver(tf.global_variables())
        session.run(tf.global_variables_initializer())

        def save(step, value=1.0, distance=None, keep=2):
            session.run(a.assign([value] * 3))
            return Checkpoints(str(tmp_path), keep).save(session, saver, step,
                                                         {'distance': distance})
        yield str(tmp_path), save


def load(path, shapes, is_part=False):
    """Restores variables of given names and shapes and returns their values."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.get_variable(name, shape, use_resource=True)
                     for name, shape in shapes.items()]
        session.run(tf.global_variables_initializer())
        restore(session, tf.train.Saver(variables), variables, path, is_part)
        return session.run(variables)


def test_round_trip(saved):
    path = saved[1](7, value=4.0)
    assert read_facts(path)['step'] == 7
    assert np.array_equal(load(path, {'a': [3], 'b/c': [2, 2]})[0], [4, 4, 4])
    assert variables_of(path) == {'a': [3], 'b/c': [2, 2]}


@pytest.mark.parametrize('shapes, message', [
    ({'a': [3]}, 'unexpected: b/c'),
    ({'a': [3], 'b/c': [2, 2], 'd': [1]}, 'missing: d'),
    ({'a': [4], 'b/c': [2, 2]}, r'another shape: a \[3\] \(wanted \[4\]\)')])
def test_all_or_nothing(saved, shapes, message):
    path = saved[1](1)
    with pytest.raises(InputError, match=message):
        load(path, shapes)


def test_a_part_may_be_read(saved):
    assert load(saved[1](1, value=2.0), {'a': [3]}, is_part=True)[0][0] == 2


def test_newest_and_best_are_kept(saved):
    folder, save = saved
    for step, distance in ((1, 5.0), (2, 3.0), (3, 4.0), (4, 3.0), (5, 9.0), (6, 8.0)):
        save(step, distance=distance)
    store = Checkpoints(folder, 2)
    assert [os.path.basename(path) for path in store.all()] == ['00000004', '00000005',
                                                                '00000006']
    assert store.best().endswith('4') and store.last().endswith('6')


def test_what_a_kill_left_half_written_is_no_checkpoint(saved):
    folder, save = saved
    whole = save(1)
    os.makedirs(os.path.join(folder, '.00000002'))
    os.makedirs(os.path.join(folder, '00000003'))               # without its facts
    store = Checkpoints(folder, 2)
    assert store.all() == [whole]
    assert not os.path.exists(os.path.join(folder, '.00000002'))


@pytest.mark.parametrize('damage', ['remove data', 'cut index', 'remove facts'])
def test_a_damaged_checkpoint_is_named(saved, damage):
    path = saved[1](1)
    if damage == 'remove data':
        os.unlink(os.path.join(path, 'model.data-00000-of-00001'))
    elif damage == 'cut index':
        open(os.path.join(path, 'model.index'), 'w').close()
    else:
        os.unlink(os.path.join(path, 'checkpoint.json'))
    with pytest.raises(InputError, match='00000001'):
        read_facts(path)
        load(path, {'a': [3], 'b/c': [2, 2]})


def test_averages_stand_in_for_their_variables(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        for name in ('g/w', 'moving_average/g/w', 'g/other'):
            tf.get_variable(name, [1], use_resource=True)
        session.run(tf.global_variables_initializer())
        path = Checkpoints(str(tmp_path), None).save(
            session, tf.train.Saver(tf.global_variables()), 1, {})
        generated = [v for v in tf.global_variables() if v.op.name.startswith('g/')]
        assert {name: v.op.name for name, v in ema_of(generated, path).items()} == {
            'moving_average/g/w': 'g/w', 'g/other': 'g/other'}


DIES_WHILE_IT_REMOVES = '''
import os, shutil, signal, sys
from stackgan import checkpoints
def remove_one_file_and_die(path, ignore_errors=False):
    if os.path.isdir(path):
        os.unlink(os.path.join(path, sorted(os.listdir(path))[int(sys.argv[2])]))
        os.kill(os.getpid(), signal.SIGKILL)
checkpoints.shutil.rmtree = remove_one_file_and_die
checkpoints.Checkpoints(sys.argv[1], keep=1)._remove_old()
'''


@pytest.mark.parametrize('file', [0, 1, 2])
def test_a_kill_while_old_ones_are_removed_leaves_no_half_one(saved, file):
    folder, save = saved
    for step in (1, 2, 3):
        save(step, keep=None)
    done = subprocess.run([sys.executable, '-c', DIES_WHILE_IT_REMOVES, folder, str(file)],
                          env=dict(os.environ, PYTHONPATH=ROOT))
    assert done.returncode == -signal.SIGKILL
    before = files_below(folder)
    store = Checkpoints(folder, None)                       # to read
    assert store.halves() == {} and [len(os.listdir(path)) for path in store.all()] == [3, 3]
    assert files_below(folder) == before
    with logged() as lines:
        store.clean()
    assert lines == [] and sorted(os.listdir(folder)) == ['00000002', '00000003']


@pytest.mark.parametrize('file', ['checkpoint.json', 'model.index', 'model.data-00000-of-00001'])
def test_half_ones_are_told_and_never_used(saved, file):
    """As a kill left them before removal began with the name, and as a disk may leave them."""
    folder, save = saved
    for step in (1, 2, 30):
        save(step, distance=5.0, keep=None)
    paths = Checkpoints(folder, None).all()
    for path in (paths[0], paths[2]):
        os.unlink(os.path.join(path, file))
    store = Checkpoints(folder, 2)
    assert store.all() == [paths[1]] and store.last() == store.best() == paths[1]
    assert sorted(store.halves()) == [paths[0], paths[2]]
    with logged() as lines:
        store.clean()
    assert f'without {file[:11]}' in lines[0] and 'removed' in lines[0] and len(lines) == 2
    assert not os.path.exists(paths[0]) and os.path.exists(paths[2])      # no removal left that
    save(30)
    assert store.halves() == {} and store.last() == paths[2]


def test_opening_to_read_makes_nothing(tmp_path):
    store = Checkpoints(str(tmp_path / 'nowhere'), None)
    assert store.all() == [] and store.last() is None and store.best() is None
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize('text', ['[]', '{}', '{"step": "7"}', 'null', '{"step": 1'])
def test_odd_facts_are_told(saved, text):
    path = saved[1](1)
    with open(os.path.join(path, 'checkpoint.json'), 'w') as stream:
        stream.write(text)
    with pytest.raises(InputError, match='00000001: not a checkpoint'):
        read_facts(path)


# The other lane: scripts/test.sh names its interpreter in STACKGAN_OTHER_PYTHON.

DRAW = '''
import sys
sys.path[:0] = [{!r}, {!r}]
import numpy as np
from toy import tiny_config
from stackgan.platforms.cores import prepare_environment
prepare_environment(tiny_config().platform)
from stackgan.networks import stage1
from stackgan.sampling.sample_request import noise_of
from stackgan.sampling.sampler import Sampler
folder, out = sys.argv[1:]
with Sampler(folder, 'last', 4, tiny_config().platform) as sampler:
    noise = noise_of(['one', 'two', 'three', 'four'], [0] * 4, 1, sampler.dims)
    rows = np.random.RandomState(0).standard_normal((4, 16)).astype(np.float32)
    feed = {{sampler.graph.embeddings: rows}}
    feed.update(zip(sampler.graph.noise, noise))
    images = sampler.session.run(sampler.graph.images, feed)
np.savez(out, **{{str(side): value for side, value in images.items()}})
'''.format(ROOT, os.path.join(ROOT, 'tests'))


def generate(python, folder, out):
    done = subprocess.run([python, '-c', DRAW, folder, out], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    return dict(np.load(out))


def test_the_other_lane_draws_the_same_images_and_trains_on(tmp_path, other_python):
    prepared = make_prepared(tmp_path / 'prepared')
    embeddings = make_embeddings(tmp_path / 'embeddings', prepared)
    folders = [str(tmp_path / name) for name in ('stage1', 'stage2')]
    for folder in folders:
        os.makedirs(folder)
    settings = ['stage1.epochs=2', 'stage2.epochs=0.5', 'train.ema_decay=0.9']
    train_stage(1, tiny_config(*settings), prepared, embeddings, folders[0], NeverStop())
    train_stage(2, tiny_config(*settings), prepared, embeddings, folders[1], NeverStop(),
                folders[0])
    ours = generate(sys.executable, folders[1], str(tmp_path / 'ours.npz'))
    theirs = generate(other_python, folders[1], str(tmp_path / 'theirs.npz'))
    assert set(ours) == set(theirs) == {'64', '256'}
    for side in ours:
        scale = np.abs(ours[side]).max()               # small: these networks are hardly trained
        assert np.abs(ours[side] - theirs[side]).max() < min(1e-3, 0.01 * scale), side
    longer = [other_python,
              os.path.join(ROOT, 'tests', 'train_toy.py'), '1', folders[0], prepared, embeddings,
              '--', 'stage1.epochs=3', 'train.ema_decay=0.9']
    done = subprocess.run(longer, env=dict(os.environ, PYTHONPATH=ROOT), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0 and 'resuming from step 6 of 9' in done.stdout, done.stdout
