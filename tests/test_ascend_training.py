"""Trainings on the NPU platform: what a loss scale changes, overflows, random numbers.

Against a fake npu_bridge, and the vendor's where STACKGAN_NPU_BRIDGE names it (`npu_machine`).
"""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from logged import logged
from npu_checks import check_config
from npu_machine import FAKES, VENDORS
from small_networks import two_networks
from toy import NeverStop, make_embeddings, make_prepared, tiny_config

from stackgan.checkpoints import Checkpoints, variables_of
from stackgan.errors import StackganError
from stackgan.platforms import ascend_loss_scale, session
from stackgan.platforms.overflows import Overflows
from stackgan.training.stages import train_stage

both_releases = pytest.mark.parametrize('npu', FAKES + VENDORS, indirect=True)

STEPS = ['stage1.epochs=1.2', 'stage2.epochs=0.3', 'train.ema_decay=0.9']     # 2 steps, 1 step
NPU = ['platform.deterministic=false', 'platform.threads=1', 'platform.device=npu']
# What draws random numbers in a step.
NUMBERS = ['train.augment_translation=0.25', 'train.augment_cutout=0.25',
           'stage2.super_resolution_weight=1', 'stage2.super_resolution_noise=0.4',
           'stage2.super_resolution_scatter=2']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    prepared = make_prepared(folder / 'prepared', images=6)
    return prepared, make_embeddings(folder / 'embeddings', prepared)


def train(stage, data, folder, settings, *more):
    os.makedirs(str(folder))
    path = train_stage(stage, tiny_config(*(STEPS + settings)), data[0], data[1], str(folder),
                       NeverStop(), *more)
    reader = tf.train.load_checkpoint(path + '/model')
    return {name: reader.get_tensor(name) for name in variables_of(path)}


@pytest.fixture(scope='module')
def on_cpu(data, tmp_path_factory):
    """(folder of Stage-I, variables of Stage-I, of Stage-II), trained on the CPU."""
    folder = tmp_path_factory.mktemp('cpu')
    settings = ['platform.precision=float32']
    first = train(1, data, folder / 'stage1', settings)
    return str(folder / 'stage1'), first, train(2, data, folder / 'stage2', settings,
                                                str(folder / 'stage1'))


@pytest.mark.oldest
@pytest.mark.parametrize('npu, stage, scale', [(FAKES[0], 1, '1024'), (FAKES[1], 2, 'null')] + [
    (vendor, *each) for vendor in VENDORS for each in ((1, '1024'), (1, 'null'), (2, 'null'))],
    indirect=['npu'])
def test_a_loss_scale_changes_nothing_but_the_range(npu, scaled, data, on_cpu, tmp_path,
                                                    monkeypatch, stage, scale):
    """Adam hides a wrong scale from the weights, but its moments are sums of gradients."""
    opened = []
    real = tf.Session

    def recording(*arguments, **options):
        opened.append(options['config'])
        config = session.session_config(session.Resolved('cpu', 1))   # fuses as the CPU does
        return real(*arguments, **dict(options, config=config))

    monkeypatch.setattr(session.tf, 'Session', recording)
    more = [on_cpu[0]] if stage == 2 else []
    ours = train(stage, data, tmp_path / 'npu', NPU + ['platform.loss_scale=' + scale], *more)
    npu_alone = [each for each in opened                     # another session writes checkpoints
                 if each.graph_options.rewrite_options.custom_optimizers]
    assert check_config(npu_alone[-1])['graph_run_mode'] == 1
    assert len(scaled) == 2                                  # discriminator and generator
    assert {each.outer._loss_scale_manager.__class__.__name__ for each in scaled} == {
        'FixedLossScaleManager' if scale == '1024' else 'ExponentialUpdateLossScaleManager'}
    with open(str(tmp_path / 'npu' / 'stats.jsonl')) as stream:
        told = [json.loads(line) for line in stream if 'loss_scale' in line][-1]
    for network in ('discriminator', 'generator'):
        assert told[f'skipped_steps/stage{stage}/{network}'] == 0.0
        assert told[f'loss_scale/stage{stage}/{network}'] == float(
            2 ** 32 if scale == 'null' else 1024)
    theirs = on_cpu[stage]
    assert set(ours) == set(theirs)                          # no variable of the scale
    moments = [name for name in theirs if name.endswith(('/weights/adam', '/weights/adam_1'))]
    assert len(moments) > 30
    for name in moments:
        ratio = np.linalg.norm(ours[name]) / np.linalg.norm(theirs[name])
        assert 0.5 < ratio < 2.0, name               # rounding grows, but not a thousandfold
    if stage == 1:
        goes_on_on_the_cpu(data, tmp_path / 'npu')


def goes_on_on_the_cpu(data, folder):
    """A checkpoint of one machine is one of every machine."""
    with logged() as said:
        train_stage(1, tiny_config(*(STEPS + ['stage1.epochs=2'])), data[0], data[1], str(folder),
                    NeverStop())
    assert any('resuming from step 2 of 3' in line for line in said)
    assert Checkpoints(str(folder / 'checkpoints'), None).last().endswith('00000003')


@pytest.mark.parametrize('stage', [1, 2])
def test_random_numbers_of_a_step_are_fed(npu, data, on_cpu, tmp_path, monkeypatch, stage):
    """The adapter has no operation that draws them. On the CPU the training goes on."""
    drawn, fed, real = [], [], tf.Session.run

    def recording(self, fetches, feed_dict=None, **options):
        names = {each.op.name for each in feed_dict or {} if isinstance(each, tf.Tensor)}
        if 'images' in names:
            fed.append({name for name in names if name.startswith('random_numbers')})
            drawn.extend(node.op for node in self.graph.as_graph_def().node
                         if node.op.startswith('Stateless'))
        return real(self, fetches, feed_dict, **options)

    more = [on_cpu[0]] if stage == 2 else []
    with monkeypatch.context() as patch:
        patch.setattr(tf.Session, 'run', recording)
        train(stage, data, tmp_path / 'npu', NPU + NUMBERS, *more)
    assert fed and {len(names) for names in fed} == {2 if stage == 1 else 7} and not drawn
    with logged() as said:
        train_stage(stage, tiny_config(*(STEPS + NUMBERS + ['stage1.epochs=2', 'stage2.epochs=2'])),
                    data[0], data[1], str(tmp_path / 'npu'), NeverStop(), *more)
    assert any('resuming from step' in line for line in said)


@both_releases
def test_a_step_that_overflows_is_skipped_told_and_the_scale_shrinks(npu):
    with tf.Graph().as_default() as graph, tf.Session() as one:
        factors, step = two_networks(
            lambda optimizer: ascend_loss_scale.with_loss_scale(optimizer, None))
        assert {v.op.name.split('/')[-1] for v in tf.global_variables()} == {
            'discriminator', 'generator', 'Adam', 'Adam_1', 'beta1_power', 'beta2_power'}
        one.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        weights = [v for v in tf.global_variables()
                   if v.op.name.split('/')[2:] in (['discriminator'], ['generator'])]
        told_of, seen = Overflows(graph), []
        for values in ((1e38, 1.0), (1e38, 1.0), (1.0, 1e38), (1.0, 1.0)):   # times 2 ** 32
            one.run(step, dict(zip(factors, values)))
            seen.append((one.run(weights), told_of.summary(one)))
    assert [kept for kept, _ in seen[:2]] == [[1.0, 1.0]] * 2     # neither network stepped
    assert abs(seen[2][0][0] - 0.5) < 1e-6 and seen[2][0][1] == 1.0     # Adam's first step
    assert abs(seen[3][0][1] - 0.5) < 1e-6
    assert [told['skipped_steps/discriminator'] for _, told in seen] == [1.0, 1.0, 0.0, 0.0]
    assert [told['skipped_steps/generator'] for _, told in seen] == [1.0, 1.0, 1.0, 0.0]
    assert [told['loss_scale/discriminator'] for _, told in seen] == [2.0 ** 32] + [2.0 ** 31] * 3


@both_releases
@pytest.mark.parametrize('loss_scale, text', [
    (None, 'at a loss scale of 1, so nothing is learned; train in float32'),
    (8.0, 'at a loss scale of 8, so nothing is learned; lower platform.loss_scale')])
def test_a_training_that_only_skips_stops(npu, monkeypatch, loss_scale, text):
    monkeypatch.setenv('FAKE_NPU_OVERFLOW', 'always')
    with tf.Graph().as_default() as graph, tf.Session() as one, logged() as said:
        factors, step = two_networks(
            lambda optimizer: ascend_loss_scale.with_loss_scale(optimizer, loss_scale))
        one.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        told_of = Overflows(graph)
        with pytest.raises(StackganError, match=text) as caught:
            for _ in range(20):
                for _ in range(10):
                    one.run(step, dict.fromkeys(factors, 1.0))
                told_of.summary(one)
    assert 'discriminator: overflow in each of the last 100 steps' in str(caught.value)
    assert 'discriminator: 10 of 10 steps overflowed and were skipped' in said[0]


def test_other_platforms_have_no_loss_scale_to_tell():
    with tf.Graph().as_default() as graph, tf.Session() as one:
        assert Overflows(graph).summary(one) == {}
