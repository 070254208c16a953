"""A step of training: what it does to which network.

Where networks of any kind would do, they are the fakes of small_networks, which are built and
trained in a fraction of the time.
"""

import numpy as np
import pytest
import small_networks
import tensorflow.compat.v1 as tf
from toy import make_training_data, tiny_config

from stackgan.data.batches import Batches
from stackgan.data.prepared import ArrayFile, Split, open_dataset
from stackgan.losses import generator_loss
from stackgan.networks.layers import ForwardMode
from stackgan.training.gan_pairs import batch_placeholders, stage1_pairs, stage2_pairs
from stackgan.training.graph import build_step, check_ownership
from stackgan.training.schedule import ema_decay, learning_rate, total_steps


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp('data'))


# The schedule.

def test_length_and_learning_rate():
    assert total_steps(600, 8855, 64) == 83016
    assert total_steps(0.5, 10, 4) == 2
    rates = [learning_rate(2e-4, step, 64, 640, 50) for step in (0, 499, 500, 999, 1000)]
    assert rates == [2e-4, 2e-4, 1e-4, 1e-4, 5e-5]


def test_the_moving_average_reaches_back_over_a_twentieth_at_most():
    assert ema_decay(0.995, 0) == 0.0
    assert ema_decay(0.995, 980) == 0.98              # over some 50 steps
    assert ema_decay(0.995, 10 ** 6) == 0.995


# One step.

CACHE = {}


def one_step(data, stage, *overrides, real=False):
    """`OneStep` with the weights it was made with; graphs are slow to build, so they are kept.

    Its networks are small, or the real ones.
    """
    key = (stage, overrides, real)
    if key not in CACHE:
        with pytest.MonkeyPatch.context() as patch:
            if not real:
                small_networks.use(patch.setattr)
            CACHE[key] = OneStep(data, stage, *overrides)
    CACHE[key].reset()
    return CACHE[key]


def real_stage2(data):
    """With the options whose effect depends on the networks."""
    return one_step(data, 2, 'model.stage2_residual=true', 'stage2.super_resolution_weight=3',
                    real=True)


class OneStep:
    """A step of a stage on one batch, with everything to look at."""

    def __init__(self, data, stage, *overrides):
        config = tiny_config('train.ema_decay=null', *overrides)
        size = 4 if stage == 1 else 2
        split = Split(open_dataset(data[0]), 'train')
        batch = Batches(split, ArrayFile(data[1] + '/train.npy'), stage, size, config.model, 2,
                        0).make(0)
        with tf.Graph().as_default():
            tf.set_random_seed(1)
            holders = batch_placeholders(size, stage, config.model)
            self.pairs = (stage1_pairs(holders, config.model) if stage == 1
                          else stage2_pairs(holders, config.model, config.stage2))
            self.graph = build_step(self.pairs, holders, config.train)
            self.generator_losses = [generator_loss(each.discriminate(each.fake, each.embeddings,
                                                                    ForwardMode(True)))
                                     for each in self.pairs]
            self.variables = {v.op.name: v for v in tf.global_variables()}
            self.restarts = {name: tf.placeholder(v.dtype, v.shape)
                             for name, v in self.variables.items()}
            self.restart = tf.group(*[v.assign(self.restarts[name])
                                      for name, v in self.variables.items()])
            self.session = tf.Session()
            self.session.run(tf.global_variables_initializer())
            self.first_values = self.values()
        self.feed = {p: v for p, v in zip(holders, batch) if p is not None}

    def reset(self):
        self.session.run(self.restart, {self.restarts[name]: value
                                        for name, value in self.first_values.items()})

    def reopen(self, config):
        self.session.close()
        self.session = tf.Session(graph=self.graph.step.graph, config=config)
        self.reset()

    def values(self):
        return self.session.run(self.variables)

    def run(self, generator_rate, discriminator_rate):
        feed = dict(self.feed)
        feed[self.graph.generator_learning_rate] = generator_rate
        feed[self.graph.discriminator_learning_rate] = discriminator_rate
        feed[self.graph.ema_decay] = 0.75
        return self.session.run([self.graph.losses, self.graph.step], feed)[0]

    def changed(self, before):
        after = self.values()
        return {name for name in before if not np.array_equal(before[name], after[name])}


def networks(names):
    return {'/'.join(name.split('/')[:2]) for name in names if name.startswith('stage')}


def test_generator_sees_the_discriminator_as_just_updated(data):
    one = one_step(data, 1, real=True)
    stale = one.session.run(one.generator_losses[0], one.feed)
    reported = one.run(0.0, 1e-2)['stage1/generator_fake']
    fresh = one.session.run(one.generator_losses[0], one.feed)      # generator has not moved
    assert abs(reported - fresh) < 1e-5
    assert abs(reported - stale) > 1e-2


def test_each_learning_rate_moves_its_own_network(data):
    one = one_step(data, 1, real=True)
    moving = {name for name in one.values() if '/moving_' in name}
    before = one.values()
    one.run(1e-3, 0.0)
    assert networks(one.changed(before) - moving) == {'stage1/generator'}
    before = one.values()
    one.run(0.0, 1e-3)
    # Adam goes on along the generator's past gradients only where its rate is not zero.
    assert networks(one.changed(before) - moving) == {'stage1/discriminator'}


def test_statistics_move_once_a_step(data):
    one = one_step(data, 1, real=True)
    project = 'stage1/generator/project/moving_variance'
    assert (one.values()[project] == 1).all()
    one.run(0.0, 0.0)
    first = one.values()[project]
    batch_variance = (first - 0.9) / 0.1
    one.run(0.0, 0.0)                                   # same batch, same weights
    assert np.allclose(one.values()[project], 0.9 * first + 0.1 * batch_variance, rtol=1e-4)


def test_generator_statistics_are_those_of_its_batch(data):
    """The dense layer's mean, from its definition: mean of the projected inputs."""
    one = one_step(data, 1, real=True)
    values, batch = one.values(), one.graph.batch
    embeddings, z, noise = (one.feed[getattr(batch, name)]
                            for name in ('embeddings', 'z', 'noise1'))
    both = embeddings.dot(values['stage1/generator/condition/weights'])
    both = np.where(both > 0, both, 0.2 * both)
    condition = both[:, :8] + np.exp(both[:, 8:]) * noise
    projected = np.concatenate([condition, z], 1).dot(values['stage1/generator/project/weights'])
    one.run(0.0, 0.0)
    assert np.allclose(one.values()['stage1/generator/project/moving_mean'],
                       0.1 * projected.mean(axis=0), atol=1e-5)


def test_frozen_stage1_does_not_move(data):
    one = real_stage2(data)
    before = one.values()
    one.run(1e-3, 1e-3)
    changed = one.changed(before)
    assert networks(changed) == {'stage2/generator', 'stage2/discriminator'}
    assert not any(name.startswith('stage1/discriminator') for name in before)


def test_finetuned_stage1_moves_at_its_share(data):
    one = one_step(data, 2, 'stage2.finetune_stage1=true')
    before = one.values()
    one.run(1e-3, 1e-3)
    after = one.values()
    assert networks(one.changed(before)) == {
        'stage1/generator', 'stage1/discriminator', 'stage2/generator', 'stage2/discriminator'}
    for stage, rate in ((1, 1e-4), (2, 1e-3)):           # Adam's first step has the rate's length
        name = 'stage%d/generator/image/weights' % stage
        assert abs(np.abs(after[name] - before[name]).max() - rate) < 0.02 * rate


@pytest.mark.parametrize('coefficient', [0.0, 3.0])
def test_likeness_is_part_of_the_generators_loss(data, coefficient):
    one = one_step(data, 2, f'stage2.low_resolution_consistency={coefficient:g}')
    losses = one.run(0.0, 0.0)
    rest = losses['stage2/generator'] - (losses['stage2/generator_fake'] + losses['stage2/kl'])
    assert ('stage2/low_resolution_consistency' in losses) == bool(coefficient)
    assert abs(rest - losses.get('stage2/low_resolution_consistency', 0.0)) < 1e-5
    assert bool(rest > 1e-2) == bool(coefficient)


def test_residual_stage2_starts_where_stage1_ends(data):
    """Its images before the first step, shrunk again, are nearly Stage-I's."""
    one = real_stage2(data)
    losses = one.run(0.0, 0.0)
    assert losses['stage2/low_resolution_consistency'] < 10.0 * 0.01
    before = one.values()['stage2/generator/image/weights']
    assert not before.any()
    one.run(1e-3, 0.0)
    assert one.values()['stage2/generator/image/weights'].all()


def test_super_resolution_compares_real_images_with_what_becomes_of_them_reduced(data):
    """Before the first step they are enlarged again, so the difference is what enlarging loses."""
    one = real_stage2(data)
    losses = one.run(0.0, 0.0)
    real = one.feed[one.graph.batch.images] / 127.5 - 1.0
    small = real.reshape(2, 64, 4, 64, 4, 3).mean((2, 4))
    again = small.repeat(4, 1).repeat(4, 2)                 # not smoothed, so not quite the same
    assert abs(losses['stage2/super_resolution'] / 3 / np.abs(again - real).mean() - 1) < 0.1
    parts = [losses[f'stage2/{name}'] for name in ('generator_fake', 'kl', 'super_resolution',
                                                   'low_resolution_consistency')]
    assert abs(losses['stage2/generator'] - sum(parts)) < 1e-4


def test_without_an_adversarial_loss_no_discriminator_is_trained(data):
    one = one_step(data, 2, 'stage2.super_resolution_weight=3', 'stage2.adversarial_weight=0')
    before = one.values()
    losses = one.run(1e-3, 1e-3)
    assert networks(one.changed(before)) == {'stage2/generator'}
    assert losses['stage2/discriminator'] == losses['stage2/generator_fake'] == 0
    parts = [losses[f'stage2/{name}'] for name in ('kl', 'super_resolution',
                                                   'low_resolution_consistency')]
    assert abs(losses['stage2/generator'] - sum(parts)) < 1e-4


def test_low_resolution_consistency_fades(data):
    one = one_step(data, 2, 'stage2.low_resolution_consistency=8',
                   'stage2.low_resolution_consistency_half_life_steps=2')
    values = [one.run(0.0, 0.0)['stage2/low_resolution_consistency'] for _ in range(5)]
    assert np.allclose(values, values[0] * np.array([1, 1, 0.5, 0.5, 0.25]), rtol=1e-5)


def test_penalty_is_computed_every_so_many_steps_and_weighs_more(data):
    once, lazy = [one_step(data, 1, 'train.gradient_penalty=r1',
                           f'train.gradient_penalty_every_steps={every}') for every in (1, 3)]
    penalty = once.run(0.0, 0.0)['stage1/gradient_penalty']
    found = [lazy.run(0.0, 0.0)['stage1/gradient_penalty'] for _ in range(4)]
    assert penalty > 0 and np.allclose(found, [3 * penalty, 0, 0, 3 * penalty], rtol=1e-3)


@pytest.mark.newest      # 1.15 runs one at a time
@pytest.mark.parametrize('stage, options', [
    (1, ('train.gradient_penalty=r1', 'train.augment_translation=0.125',
         'train.augment_target=0.6', 'train.mode_seeking_weight=1')),
    (2, ('stage2.finetune_stage1=true', 'stage2.super_resolution_weight=3',
         'stage2.super_resolution_noise=0.4', 'stage2.low_resolution_consistency=8'))])
def test_operations_that_run_at_once_give_the_same(data, stage, options):
    one, found = one_step(data, stage, *options, real=True), []
    for at_once in (1, 8):
        one.reopen(tf.ConfigProto(inter_op_parallelism_threads=at_once,
                                  use_per_session_threads=True))
        losses = [one.run(1e-3, 1e-3) for _ in range(3)]
        found.append(dict(one.values(), losses=losses[-1][f'stage{stage}/generator']))
    for name, value in found[0].items():
        assert np.array_equal(value, found[1][name]), name


def test_weight_decay_adds_the_weights_to_the_gradient(data):
    """Adam's first moment after one step is half the gradient."""
    name = 'stage1/generator/up1/%s'
    moments = []
    for decay in (0.0, 0.25):
        one = one_step(data, 1, *([f'train.weight_decay={decay:g}'] if decay else []))
        weights = one.values()[name % 'weights']
        one.run(1e-5, 0.0)
        moments.append({leaf: one.values()['optimizer/stage1/generator/%s/adam' % (name % leaf)]
                        for leaf in ('weights', 'gamma')})
    assert np.allclose(moments[1]['weights'] - moments[0]['weights'], 0.5 * 0.25 * weights,
                       atol=1e-6)
    assert np.allclose(moments[1]['gamma'], moments[0]['gamma'], atol=1e-6)


def test_a_variable_of_two_networks_is_refused(data):
    one = one_step(data, 1, real=True)
    with one.session.graph.as_default():
        twice = one.pairs[0]._replace(generator_scope='stage1')
        with pytest.raises(ValueError, match='belongs to two networks'):
            check_ownership([twice])


def test_a_variable_of_no_network_is_refused(data):
    one = one_step(data, 1, real=True)
    with one.session.graph.as_default():
        check_ownership(one.pairs)
        tf.get_variable('stage1/generator_of_another/weights', [3])
        with pytest.raises(ValueError, match='generator_of_another/weights belongs to no network'):
            check_ownership(one.pairs)


def test_moving_average(data):
    one = one_step(data, 1, 'train.ema_decay=0.9')
    one.session.run(one.graph.start_ema)
    name = 'stage1/generator/up1/weights'
    start = one.values()[name]
    one.run(1e-3, 1e-3)
    values = one.values()
    assert np.allclose(values['moving_average/' + name], 0.75 * start + 0.25 * values[name],
                       atol=1e-7)
