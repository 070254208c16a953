"""What a training writes beside its steps: order, errors, bytes of checkpoints, kills."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from digests import digest
from toy import ROOT, make_embeddings, make_prepared

from stackgan.checkpoints import Checkpoints
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


KILLED = '''
import os, signal, sys
sys.path.append("tests")
from toy import tiny_config
from stackgan.platforms.cores import prepare_environment
prepare_environment(tiny_config().platform)             # before TensorFlow is loaded
from stackgan.training.snapshot import Snapshots
write = Snapshots.write
def write_or_die(self, snapshot, prefix):
    write(self, snapshot, prefix)
    if "00000006" in prefix:
        os.kill(os.getpid(), signal.SIGKILL)
Snapshots.write = write_or_die
import train_toy
train_toy.main(sys.argv[1:])
'''


def test_a_kill_while_a_checkpoint_is_written(tmp_path):
    """The training resumes from the checkpoint before it, to the same bits."""
    prepared = make_prepared(tmp_path / 'prepared')
    embeddings = make_embeddings(tmp_path / 'embeddings', prepared)
    folders = [str(tmp_path / name) for name in ('killed', 'straight')]
    settings = ['stage1.epochs=3', 'train.ema_decay=0.9']               # 9 steps

    def train(folder, *script):
        """A process each: what ran before in this one decides how many threads TensorFlow has."""
        arguments = ['1', folder, prepared, embeddings, '--'] + settings
        return subprocess.run([sys.executable] + list(script) + arguments, cwd=ROOT, timeout=300,
                              env=dict(os.environ, PYTHONPATH=ROOT)).returncode

    for folder in folders:
        os.makedirs(folder)
    assert train(folders[0], '-c', KILLED) == -signal.SIGKILL
    checkpoints = os.path.join(folders[0], 'checkpoints')
    assert sorted(os.listdir(checkpoints)) == ['.00000006', '00000003']
    outcomes = []
    for folder in folders:
        assert train(folder, os.path.join('tests', 'train_toy.py')) == 0
        last = Checkpoints(folder + '/checkpoints', None).last()
        outcomes.append({name: digest(os.path.join(last, name)) for name in os.listdir(last)})
    assert last.endswith('00000009') and outcomes[0] == outcomes[1]
    assert '.00000006' not in os.listdir(checkpoints)
