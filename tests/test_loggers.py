"""Trackers that get the records of a training: calls, failures, a real file store of MLflow."""

import json
import os
import sys

import pytest
import tensorflow.compat.v1 as tf
from logged import logged
from toy import NeverStop, tiny_config

from jobs.engine.training_settings import training_settings
from stackgan.errors import ConfigError, Interrupted, MissingRequirement
from stackgan.training.loggers import TrainingLogger, open_loggers
from stackgan.training.loop import run
from stackgan.training.trainable import Plan, Trainable


class Counting(Trainable):
    """Counts to 6; its loss is the number of the step."""

    plan = Plan('train toy', 'images', 4, 6, 3, 2, 3, 3, 2, 'toy.steps=6', '')

    def __init__(self):
        self.update = tf.get_variable('steps', [], initializer=tf.zeros_initializer(),
                                      use_resource=True).assign_add(1.0)
        self.losses = {'loss': self.update + 0.0}

    def feeds(self, first):
        while True:
            yield {}

    def count(self, losses):
        self.loss = losses['loss']

    def note(self, losses):
        return ''

    def summary(self, step, rate):
        return {'loss': self.loss, 'images_per_second': rate}

    def sample(self, session):
        def write(path):
            with open(path, 'wb') as stream:
                stream.write(b'grid')
        return write

    def facts(self):
        return {}


class StopAt(NeverStop):
    """A stop that is requested from a step on."""

    def __init__(self, logger):
        self.logger = logger

    @property
    def requested(self):
        return bool(self.logger.calls and self.logger.calls[-1][0] != 'start')


def train(folder, loggers, stop=None):
    os.makedirs(str(folder), exist_ok=True)
    with tf.Graph().as_default(), tf.Session() as session:
        return run(Counting(), str(folder), session, stop or NeverStop(), loggers)


class Remembering(TrainingLogger):
    def __init__(self):
        self.calls = []

    def start(self, folder, step):
        self.calls.append(('start', step))

    def stats(self, step, values):
        self.calls.append((step, dict(values)))

    def sample(self, step, path):
        with open(path, 'rb') as stream:
            self.calls.append((step, stream.read()))

    def close(self, is_finished):
        self.calls.append(('close', is_finished))


def lines_of(folder):
    with open(str(folder / 'stats.jsonl')) as stream:
        return [json.loads(line) for line in stream]


def test_a_logger_gets_what_is_recorded_in_its_order(tmp_path):
    found = Remembering()
    train(tmp_path, [found])
    stats = [dict(values, step=step) for step, values in found.calls if isinstance(values, dict)]
    assert stats == lines_of(tmp_path) and [each['loss'] for each in stats] == [2, 4, 6]
    assert [call for call in found.calls if not isinstance(call[1], dict)] == [
        ('start', 0), (0, b'grid'), (3, b'grid'), (6, b'grid'), ('close', True)]


def test_a_logger_that_fails_is_let_go_and_the_training_is_not(tmp_path):
    class Unreachable(Remembering):
        def stats(self, step, values):
            super().stats(step, values)
            raise OSError('no route to host\nat all')

    bad, good = Unreachable(), Remembering()
    with logged() as lines:
        last = train(tmp_path, [bad, good])
    assert last.endswith('00000006') and good.calls[-1] == ('close', True)
    assert [line for line in lines if 'Unreachable' in line] == [
        'Unreachable failed and gets no more records of this training: OSError: no route to host '
        'at all']
    assert [call[0] for call in bad.calls] == ['start', 0, 2]


def test_an_interrupted_training_says_so_and_what_is_resumed(tmp_path):
    first = Remembering()
    with pytest.raises(Interrupted):
        train(tmp_path, [first], StopAt(first))
    step = lines_of(tmp_path)[-1]['step'] if (tmp_path / 'stats.jsonl').read_text() else 1
    assert first.calls[-1] == ('close', False)
    second = Remembering()
    train(tmp_path, [second])
    assert second.calls[0][1] >= step > 0 and second.calls[-1] == ('close', True)


def test_a_logger_that_cannot_start_ends_the_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mlflow.tracking', None)
    with pytest.raises(MissingRequirement, match=r"pip install 'stackgan\[mlflow\]', or leave"):
        train(tmp_path, open_loggers(['mlflow'], str(tmp_path), 'toy', {}))


def test_loggers_change_no_result():
    plain, told = tiny_config(), tiny_config('train.loggers=[mlflow]')
    assert told.train.loggers == ('mlflow',) and not plain.train.loggers
    for stage in ('stage1', 'stage2'):
        assert training_settings(plain, stage) == training_settings(told, stage)
    with pytest.raises(ConfigError, match='must be one of mlflow'):
        tiny_config('train.loggers=[wandb]')


def test_a_file_store_of_mlflow(tmp_path, monkeypatch):
    """Interrupted and resumed: one run, with the metrics, grids and parameters."""
    pytest.importorskip('mlflow', reason='mlflow is not installed (of the extra `test`, Python '
                                         '3.12 and later)')
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    from mlflow.tracking import MlflowClient
    volume, folder = tmp_path / 'a volume', tmp_path / 'training'

    def opened():
        return open_loggers(['mlflow'], str(volume), 'birds/stage1',
                            {'train.batch_size': 4, 'data.raw': 'x' * 300, 'ema': None})

    stopping = Remembering()
    with pytest.raises(Interrupted):
        train(folder, opened() + [stopping], StopAt(stopping))
    client = MlflowClient((volume / 'mlruns').as_uri())
    experiment = client.get_experiment_by_name('stackgan').experiment_id
    assert [each.info.status for each in client.search_runs([experiment])] == ['KILLED']
    train(folder, opened())
    found, = client.search_runs([experiment])
    assert found.info.status == 'FINISHED'
    assert found.data.tags['mlflow.runName'] == 'birds/stage1'
    assert found.data.params == {'train.batch_size': '4', 'data.raw': 'x' * 250, 'ema': 'None'}
    history = client.get_metric_history(found.info.run_id, 'loss')
    assert [(each.step, each.value) for each in history] == [
        (line['step'], line['loss']) for line in lines_of(folder)]
    assert sorted(os.path.basename(each.path) for each in client.list_artifacts(
        found.info.run_id, 'samples')) == sorted(os.listdir(str(folder / 'samples')))
    path = volume / 'mlruns' / experiment / found.info.run_id / 'metrics' / 'loss'
    with open(str(path)) as stream:                # as other programs read the store
        assert [line.split()[1:] for line in stream] == [
            [str(each.value), str(each.step)] for each in history]
