"""What a training writes beside its steps: order, errors, bytes of checkpoints."""

import os
import threading

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from digests import digest

from stackgan.training.snapshot import Snapshots
from stackgan.training.writer import Writer


def test_work_is_done_in_order_beside_the_caller():
    done, may_begin = [], threading.Event()
    with Writer() as writer:
        writer.submit(may_begin.wait)
        for number in range(20):
            writer.submit(lambda number=number: done.append((number, threading.get_ident())))
        assert done == []
        may_begin.set()
        writer.wait()
        assert [number for number, _ in done] == list(range(20))
        writer.submit(lambda: done.append((20, 0)))
    assert len(done) == 21 and threading.get_ident() not in {thread for _, thread in done}


def full():
    raise OSError(28, 'No space left on device')


def test_an_error_ends_the_training_and_what_would_follow():
    done = []
    with pytest.raises(OSError, match='No space left'):
        with Writer() as writer:
            writer.submit(full)
            writer.submit(lambda: done.append(1))
            writer.wait()
    with pytest.raises(OSError, match='No space left'):
        with Writer() as writer:
            writer.submit(full)
    with pytest.raises(KeyError):                  # the training's own error comes first
        with Writer() as writer:
            writer.submit(full)
            raise KeyError
    assert done == []


def test_a_snapshot_is_written_as_the_saver_writes(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        weights = tf.get_variable('b/weights', [60, 50], use_resource=True,
                                  initializer=tf.random_normal_initializer())
        tf.get_variable('a', [], tf.int64, tf.zeros_initializer(), use_resource=True)
        step = tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(weights ** 2))
        variables = tf.global_variables()
        snapshots, saver = Snapshots(variables), tf.train.Saver(variables)
        session.run(tf.global_variables_initializer())
        session.run(step)
        snapshot = snapshots.take(session)
        for name in ('saver', 'snapshot'):
            os.makedirs(str(tmp_path / name))
        saver.save(session, str(tmp_path / 'saver' / 'model'), write_meta_graph=False,
                   write_state=False)
        for _ in range(3):
            session.run(step)
        snapshots.write(snapshot, str(tmp_path / 'snapshot' / 'model'))
        assert snapshot.are_finite
        weights.load(np.full((60, 50), np.inf, np.float32), session)
        assert not snapshots.take(session).are_finite
    files = [{name: digest(tmp_path / folder / name)
              for name in os.listdir(str(tmp_path / folder))} for folder in ('saver', 'snapshot')]
    assert len(files[0]) == 2 and files[0] == files[1]
