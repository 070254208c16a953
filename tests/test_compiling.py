"""XLA: when a training compiles, what it keeps, and that results stay."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from logged import logged
from test_precision import of_device

from jobs.engine import compile_cache
from stackgan.config.schema import Platform
from stackgan.networks.layers import ForwardMode, conv_norm
from stackgan.networks.stage1 import bottleneck
from stackgan.platforms import session


@pytest.mark.parametrize('device, version, compile, compiles', [
    ('gpu', (2, 21), 'auto', True), ('gpu', (2, 21), 'off', False), ('gpu', (1, 15), 'auto', False),
    ('cpu', (2, 21), 'auto', False)])
def test_trainings_on_a_gpu_compile(monkeypatch, device, version, compile, compiles):
    of_device(monkeypatch, device, version, (8, 0), has_bfloat16=False)
    monkeypatch.setattr(session, 'allow_tf32', lambda allowed: None)
    resolved = session.resolve(Platform(compile=compile))
    assert resolved.compiles == compiles
    levels = [session.session_config(resolved, training)
              .graph_options.optimizer_options.global_jit_level for training in (True, False)]
    assert levels == [tf.OptimizerOptions.ON_1 if compiles else tf.OptimizerOptions.DEFAULT,
                      tf.OptimizerOptions.DEFAULT]


@pytest.mark.parametrize('device, version, at_once', [
    ('cpu', (2, 21), 3), ('cpu', (1, 15), 1), ('gpu', (2, 21), 1)])
def test_operations_run_at_once_where_that_is_faster(monkeypatch, device, version, at_once):
    monkeypatch.setattr(session, 'tf_version', lambda: version)
    config = session.session_config(session.Resolved(device, 3))
    assert config.intra_op_parallelism_threads == 3
    assert config.inter_op_parallelism_threads == at_once


def test_it_is_told_that_the_first_step_compiles():
    for compiles in (True, False):
        with logged() as said, tf.Graph().as_default():
            with session.training_session(session.Resolved('cpu', 1, compiles=compiles)):
                pass
        assert [line for line in said if 'compile' in line] == said[:int(compiles)]


@pytest.mark.skipif(tf.__version__.startswith('1.'), reason='TensorFlow 1.15 does not compile')
def test_samples_are_not_compiled():
    with tf.Graph().as_default():
        with session.not_compiled():
            inside = tf.zeros([]) + 1.0
        assert inside.op.get_attr('_XlaCompile') is False
        with pytest.raises(ValueError):
            (tf.zeros([]) + 1.0).op.get_attr('_XlaCompile')


def block(x):
    """[loss, gradients] of the layers of a generator."""
    with tf.variable_scope('block', reuse=tf.AUTO_REUSE):
        mode = ForwardMode(True, transposed=True)
        y = conv_norm(x, 8, 'up', mode, tf.nn.relu, upsample=True)
        loss = tf.reduce_mean(tf.square(bottleneck(y, 4, 'residual', mode, tf.nn.relu) - 1.0))
        return [loss] + tf.gradients(loss, tf.trainable_variables())


@pytest.mark.skipif(tf.__version__.startswith('1.'), reason='TensorFlow 1.15 does not compile')
def test_compiled_layers_give_the_same():
    with tf.Graph().as_default(), tf.Session() as one:
        tf.set_random_seed(0)
        x = tf.placeholder(tf.float32, [4, 8, 8, 8])
        fetches = block(x), tf.xla.experimental.compile(block, [x])
        one.run(tf.global_variables_initializer())
        feed = {x: np.random.RandomState(0).standard_normal([4, 8, 8, 8])}
        plain, compiled = one.run(fetches, feed)
    assert len(plain) == len(compiled) == 13
    for ours, theirs in zip(plain, compiled):
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(ours).max()


# The cache.

def flags_of(monkeypatch, volume, before=None, has_cache=True, has_driver=True, **settings):
    """$TF_XLA_FLAGS once a job has begun."""
    monkeypatch.delenv(compile_cache.FLAGS, raising=False)
    if before is not None:
        monkeypatch.setenv(compile_cache.FLAGS, before)
    monkeypatch.setattr(compile_cache, '_has_cache', lambda: has_cache)
    monkeypatch.setattr(compile_cache, '_has_driver', lambda: has_driver)
    compile_cache.keep_compiled(Platform(**settings), volume)
    return os.environ.pop(compile_cache.FLAGS, None)


def test_what_is_compiled_is_kept_on_the_volume(monkeypatch):
    ours = '--tf_xla_persistent_cache_directory=/v/cache/xla'
    assert flags_of(monkeypatch, '/v') == ours
    assert flags_of(monkeypatch, '/v', '--tf_xla_clustering_debug') == (
        '--tf_xla_clustering_debug ' + ours)
    elsewhere = '--tf_xla_persistent_cache_directory=/mine'
    assert flags_of(monkeypatch, '/v', elsewhere) == elsewhere
    for settings in ({'compile': 'off'}, {'device': 'cpu'}, {'device': 'npu'},
                     {'has_cache': False}, {'has_driver': False}):
        assert flags_of(monkeypatch, '/v', **settings) is None
    assert flags_of(monkeypatch, '/my volume') is None


def test_the_cache_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(compile_cache, 'MAX_BYTES', 250)
    folder = tmp_path / 'cache' / 'xla'
    folder.mkdir(parents=True)
    for age, name in enumerate(('new', 'middle', 'old', 'oldest')):
        (folder / name).write_bytes(b'x' * 100)
        os.utime(str(folder / name), (1e9 - age, 1e9 - age))
    flags_of(monkeypatch, str(tmp_path))
    assert sorted(os.listdir(str(folder))) == ['middle', 'new']
