"""Training: what a step does to which network, exact resume, stops, divergence.

Where networks of any kind would do, they are the fakes of small_networks, which are built and
trained in a fraction of the time.
"""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import small_networks
import tensorflow.compat.v1 as tf
from digests import digest, digest_of
from toy import ROOT, NeverStop, make_embeddings, make_prepared, tiny_config

from stackgan.checkpoints import Checkpoints, read_facts, variables_of
from stackgan.data.batches import Batches
from stackgan.data.prepared import ArrayFile, Split, open_dataset
from stackgan.errors import InputError, StackganError
from stackgan.losses import generator_loss
from stackgan.networks.layers import ForwardMode
from stackgan.platforms.session import resolve, session_config
from stackgan.training import loop, observer
from stackgan.training.gan_pairs import batch_placeholders, stage1_pairs, stage2_pairs
from stackgan.training.graph import build_step, check_ownership
from stackgan.training.schedule import ema_decay, learning_rate, total_steps
from stackgan.training.stages import train_stage
from stackgan.training.trainable import Plan, Trainable

STEPS = 'stage1.epochs=4', 'train.ema_decay=0.9'              # 12 steps of 4 images
STEPS2 = 'stage2.epochs=1.5', 'train.ema_decay=0.9'           # 9 steps of 2 images
# Everything that the paper does not have.
OPTIONS = ('train.loss=hinge', 'train.gradient_penalty=r1', 'train.gradient_penalty_weight=0.01',
           'train.gradient_penalty_every_steps=2', 'train.augment_translation=0.125',
           'train.augment_cutout=0.3', 'train.augment_target=0.5',
           'train.augment_adapts_over_images=40', 'train.mode_seeking_weight=0.1',
           'stage2.low_resolution_consistency_half_life_steps=2', 'model.stage2_residual=true',
           'stage2.super_resolution_weight=2', 'stage2.super_resolution_noise=0.3',
           'stage2.super_resolution_scatter=1.5', 'model.stage2_skip_connections=true',
           'model.stage2_residual_blocks=1', 'stage2.generator_learning_rate=1e-4')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    prepared = make_prepared(folder / 'prepared')
    return prepared, make_embeddings(folder / 'embeddings', prepared)


@pytest.fixture
def small(monkeypatch):
    small_networks.use(monkeypatch.setattr)


@pytest.fixture(scope='module')
def stage1_folder(data, tmp_path_factory):
    """Of a training with small networks."""
    folder = str(tmp_path_factory.mktemp('stage1'))
    with pytest.MonkeyPatch.context() as patch:
        small_networks.use(patch.setattr)
        train_stage(1, tiny_config(*STEPS), data[0], data[1], folder, NeverStop())
    return folder


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


# Whole trainings.

def command(stage, folder, data, settings, *more):
    return ([sys.executable, os.path.join(ROOT, 'tests', 'train_toy.py'), str(stage), folder]
            + list(data) + list(more) + ['--'] + list(settings))


def start(arguments, pause='', networks='small'):
    environment = dict(os.environ, PYTHONPATH=ROOT, TOY_PAUSE=pause, TOY_NETWORKS=networks)
    return subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, universal_newlines=True)


def outcome(folder):
    """Everything a training leaves that must not depend on interruptions."""
    checkpoint = os.path.join(Checkpoints(folder + '/checkpoints', None).last(), 'model')
    reader = tf.train.load_checkpoint(checkpoint)
    variables = {name: digest_of(reader.get_tensor(name).tobytes()) for name, _ in
                 tf.train.list_variables(checkpoint)}
    with open(folder + '/stats.jsonl') as stream:
        stats = [json.loads(line) for line in stream]
    for line in stats:
        line.pop('images_per_second', None)
    samples = {name: digest(os.path.join(folder, 'samples', name))
               for name in sorted(os.listdir(folder + '/samples'))}
    return variables, stats, samples, sorted(os.listdir(folder + '/checkpoints'))


def wait_for_step(process, folder, step):
    """Waits until the training has written a line of stats for a step, or has ended."""
    while process.poll() is None:
        try:
            if '"step": %d}' % step in open(folder + '/stats.jsonl').read():
                return
        except OSError:
            pass
        time.sleep(0.01)


DIES_IN_A_CHECKPOINT = '''
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


@pytest.mark.parametrize('stage, networks, settings', [
    (1, 'real', ('stage1.epochs=2', 'train.ema_decay=0.9')), (2, 'small', STEPS2 + OPTIONS)])
def test_killed_training_equals_an_uninterrupted_one(data, stage1_folder, tmp_path, stage,
                                                     networks, settings):
    """Killed between two steps, and Stage-II again while it writes a checkpoint.

    A process each: what ran before in this one decides how many threads TensorFlow has.
    """
    more = [stage1_folder] if stage == 2 else []
    straight, killed = str(tmp_path / 'straight'), str(tmp_path / 'killed')
    checkpoints = os.path.join(killed, 'checkpoints')
    os.makedirs(straight), os.makedirs(killed)
    process = start(command(stage, straight, data, settings, *more), networks=networks)
    assert process.wait() == 0, process.stdout.read()
    again = command(stage, killed, data, settings, *more)
    process = start(again, '0.5 train' if stage == 2 else '0.8 train', networks)
    wait_for_step(process, killed, 4)
    time.sleep(random.uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    if stage == 2:
        process = start([again[0], '-c', DIES_IN_A_CHECKPOINT] + again[2:])
        assert process.communicate() and process.returncode == -signal.SIGKILL
        assert sorted(os.listdir(checkpoints)) == ['.00000006', '00000003']
    process = start(again, networks=networks)
    text = process.communicate()[0]
    assert process.returncode == 0, text
    assert 'resuming from step' in text
    for mine, want in zip(outcome(killed), outcome(straight)):
        assert mine == want
    assert last_files(killed) == last_files(straight)
    assert '.00000006' not in os.listdir(checkpoints)


def last_files(folder):
    last = Checkpoints(folder + '/checkpoints', None).last()
    return {name: digest(os.path.join(last, name)) for name in os.listdir(last)}


def test_sigterm_saves_and_the_rest_follows(data, tmp_path):
    folder = str(tmp_path)
    settings = STEPS + ('train.checkpoint_every_steps=1000', 'stage1.epochs=2000')
    process = start(command(1, folder, data, settings))
    wait_for_step(process, folder, 4)
    process.send_signal(signal.SIGTERM)
    text = process.communicate()[0]
    assert process.returncode == 130 and 'interrupted' in text, text
    step = read_facts(Checkpoints(folder + '/checkpoints', None).last())['step']
    assert 4 <= step < 6000


def test_finished_training_can_be_extended(data, small, stage1_folder, tmp_path):
    def train(epochs):
        train_stage(1, tiny_config('stage1.epochs=%d' % epochs, STEPS[1]), data[0], data[1],
                    str(tmp_path), NeverStop())

    train(2)
    train(4)
    assert outcome(str(tmp_path))[0] == outcome(stage1_folder)[0]
    with pytest.raises(InputError, match='trained for 12 steps, more than the 6 .*stage1.epochs'):
        train(2)


def test_keeps_the_newest_and_the_best(data, small, tmp_path):
    config = tiny_config('stage1.epochs=4', 'train.checkpoint_every_steps=1',
                         'train.keep_checkpoints=2')
    train_stage(1, config, data[0], data[1], str(tmp_path), NeverStop())
    store = Checkpoints(str(tmp_path / 'checkpoints'), 2)
    steps = [read_facts(path)['step'] for path in store.all()]
    with open(str(tmp_path / 'stats.jsonl')) as stream:
        distances = {line['step']: line['sliced_wasserstein'] for line in map(json.loads, stream)
                     if 'sliced_wasserstein' in line}
    best = min(distances, key=distances.get)
    assert read_facts(store.best())['step'] == best
    assert steps == sorted({best, 11, 12})


def test_stage2_starts_from_stage1_with_its_statistics(data, small, stage1_folder, tmp_path):
    config = tiny_config(*STEPS2)
    train_stage(2, config, data[0], data[1], str(tmp_path), NeverStop(), stage1_folder)
    path = Checkpoints(stage1_folder + '/checkpoints', None).last() + '/model'
    theirs = tf.train.load_checkpoint(path)
    ours = tf.train.load_checkpoint(
        Checkpoints(str(tmp_path / 'checkpoints'), None).last() + '/model')
    names = [name for name in variables_of(os.path.dirname(path))
             if name.startswith('stage1/generator')]
    assert any('moving_variance' in name for name in names)
    for name in names:
        assert np.array_equal(ours.get_tensor(name), theirs.get_tensor('moving_average/' + name))


def test_a_checkpoint_of_other_dimensions_is_refused(data, small, stage1_folder, tmp_path):
    config = tiny_config('model.condition_dim=12', *STEPS2)
    with pytest.raises(InputError, match=r'other dimensions: .*stage1/generator/\S+ \[.*wanted'):
        train_stage(2, config, data[0], data[1], str(tmp_path), NeverStop(), stage1_folder)


def test_divergence_names_the_step_and_the_last_good_checkpoint(data, small, tmp_path):
    """One image's embeddings overflow the exponential of the conditioning augmentation."""
    split, folder = Split(open_dataset(data[0]), 'train'), str(tmp_path / 'training')
    config = tiny_config('train.checkpoint_every_steps=1', *STEPS)
    order = Batches(split, ArrayFile(data[1] + '/train.npy'), 1, 4, config.model, 2, 0)
    image = order.indices(2)[0]                          # first seen in the third step
    rows = np.load(data[1] + '/train.npy')
    rows[split.caption_starts[image]:split.caption_starts[image + 1]] = 1e6
    os.makedirs(str(tmp_path / 'embeddings')), os.makedirs(folder)
    np.save(str(tmp_path / 'embeddings' / 'train.npy'), rows)
    np.save(str(tmp_path / 'embeddings' / 'test.npy'), np.load(data[1] + '/test.npy'))
    with pytest.raises(StackganError, match=r'is (nan|inf) at step 3, the training has diverged; '
                                            r'the last good checkpoint is \S+/00000002'):
        train_stage(1, config, data[0], str(tmp_path / 'embeddings'), folder, NeverStop())
    last = Checkpoints(folder + '/checkpoints', None).last()
    reader = tf.train.load_checkpoint(last + '/model')
    assert all(np.isfinite(reader.get_tensor(name)).all() for name in variables_of(last))


class Exhausted(Trainable):
    """A training whose first step finds no memory."""

    plan = Plan('train-stage2', 'images', 64, 9, 3, 1, None, 1, 1, 'stage2.epochs=3', '')

    def __init__(self):
        with tf.control_dependencies([tf.py_func(self.allocate, [], [])]):
            self.update = tf.no_op()
        self.losses = {'loss': tf.get_variable('loss', [], use_resource=True)}

    def allocate(self):
        raise MemoryError('OOM when allocating tensor\nwith more lines')      # TensorFlow's error

    def feeds(self, first):
        yield {}

    def facts(self):
        return {}


def test_a_step_without_memory_names_the_batch_size_to_try(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        with pytest.raises(StackganError) as raised:
            loop.run(Exhausted(), str(tmp_path), session, NeverStop())
    assert 'OOM when allocating tensor' in str(raised.value) and '\n' not in str(raised.value)
    assert 'a step of 64 images' in str(raised.value) and 'try stage2.batch_size=32' in str(
        raised.value)


def test_a_job_takes_no_more_of_a_gpu_than_it_may(monkeypatch):
    listed = [types.SimpleNamespace(name='/physical_device:GPU:0')]
    monkeypatch.setattr(tf.config.experimental, 'list_physical_devices',
                        lambda kind: listed if kind == 'GPU' else [])
    settings = tiny_config('platform.deterministic=false', 'platform.precision=float32',
                           'platform.gpu_memory_mib=3000').platform
    options = session_config(resolve(settings)).gpu_options
    assert options.allow_growth
    assert [list(each.memory_limit_mb) for each in options.experimental.virtual_devices] == [[3000]]
    for other in (dataclasses.replace(settings, device='cpu'),
                  dataclasses.replace(settings, gpu_memory_mib=None)):
        assert not session_config(resolve(other)).gpu_options.experimental.virtual_devices


def test_records(stage1_folder):
    with open(stage1_folder + '/options.json') as stream:
        options = json.load(stream)
    assert options['config']['run']['seed'] == 0 and options['versions']['tensorflow']
    with open(stage1_folder + '/stats.jsonl') as stream:
        stats = [json.loads(line) for line in stream]
    logged = [line for line in stats if 'stage1/discriminator' in line]
    assert [line['step'] for line in logged] == [2, 4, 6, 8, 10, 12]
    assert logged[-1]['epoch'] == 4 and logged[0]['learning_rate/generator'] == 2e-4
    assert sorted(os.listdir(stage1_folder + '/samples')) == [
        '%08d.png' % step for step in (0, 4, 8, 12)]
    events = [event for name in os.listdir(stage1_folder + '/events')
              for event in tf.train.summary_iterator(
                  os.path.join(stage1_folder, 'events', name))]
    tags = {value.tag for event in events for value in event.summary.value}
    assert {'stage1/kl', 'sliced_wasserstein', 'epoch'} <= tags


def test_captions_that_repeat_are_shown_with_other_noise():
    class Repeating:
        caption_starts = np.array([0, 2, 4, 6])

        def items(self):
            return [{'captions': ['a', 'b']}] * 3 + [{'captions': ['a', 'a']}]

    assert observer._captions(Repeating(), [0, 1, 2, 3]) == [
        ('a', 0, 0), ('b', 3, 0), ('a', 4, 1), ('a', 6, 2)]
