"""Checkpoints: whole or absent, all or nothing, newest and best."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import (Checkpoints, averages_of, read_facts, restore, variables_of)
from stackgan.errors import InputError


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
    ({'a': [3]}, 'not expected: b/c'),
    ({'a': [3], 'b/c': [2, 2], 'd': [1]}, 'missing: d'),
    ({'a': [4], 'b/c': [2, 2]}, r'of other dimensions: a \[3\] \(wanted \[4\]\)')])
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
        drawn = [v for v in tf.global_variables() if v.op.name.startswith('g/')]
        assert {name: v.op.name for name, v in averages_of(drawn, path).items()} == {
            'moving_average/g/w': 'g/w', 'g/other': 'g/other'}
