"""Whole trainings: exact resume, stops, divergence, what they leave.

Where networks of any kind would do, they are the fakes of small_networks.
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
from toy import ROOT, NeverStop, make_training_data, tiny_config

from stackgan.checkpoints import Checkpoints, read_facts, variables_of
from stackgan.data.batches import Batches
from stackgan.data.prepared import ArrayFile, Split, open_dataset
from stackgan.errors import InputError, StackganError
from stackgan.platforms.session import resolve, session_config
from stackgan.training import loop, observer
from stackgan.training.stages import train_stage
from stackgan.training.text_encoder import train_text_encoder
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
           'model.stage1_modulation=true', 'model.stage1_encoder_features=true',
           'model.condition_sigma_limit=1', 'model.stage2_residual_blocks=1',
           'stage2.finetune_stage1=true',
           'stage2.generator_learning_rate=1e-4')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp('data'))


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


@pytest.fixture(scope='module')
def text_encoder(data, tmp_path_factory):
    """Of a training of two steps."""
    folder = str(tmp_path_factory.mktemp('text-encoder'))
    config = tiny_config('text.steps=2', 'text.filters=[4, 4, 4]', 'text.image_filters=4')
    train_text_encoder(data[0], folder, config.text, config.model.embedding_dim, 0,
                       config.platform, NeverStop())
    return folder


@pytest.fixture(scope='module')
def real_stage1(data, text_encoder, tmp_path_factory):
    """Of a training with the real networks, those of OPTIONS."""
    folder = str(tmp_path_factory.mktemp('real'))
    train_stage(1, tiny_config('stage1.epochs=1', 'train.ema_decay=0.9',
                               'model.stage1_modulation=true',
                               'model.stage1_encoder_features=true'), data[0], data[1], folder,
                NeverStop(), text_encoder=text_encoder)
    return folder


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


@pytest.mark.parametrize('stage, settings, kills', [(1, STEPS + OPTIONS, ((4, 0.6), (8, 0.9))),
                                                    (2, STEPS2 + OPTIONS, ((4, 0.8),))])
def test_killed_training_equals_an_uninterrupted_one(data, real_stage1, text_encoder, tmp_path,
                                                     monkeypatch, stage, settings, kills):
    """A process each: what ran before in this one decides how many threads TensorFlow has."""
    monkeypatch.setenv('TOY_TEXT_ENCODER', text_encoder)
    more = [real_stage1] if stage == 2 else []
    straight, killed = str(tmp_path / 'straight'), str(tmp_path / 'killed')
    os.makedirs(straight), os.makedirs(killed)
    process = start(command(stage, straight, data, settings, *more), networks='real')
    assert process.wait() == 0, process.stdout.read()
    again = command(stage, killed, data, settings, *more)
    for step, share in kills:
        process = start(again, f'{share:g} train', 'real')
        wait_for_step(process, killed, step)
        time.sleep(random.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    process = start(again, networks='real')
    text = process.communicate()[0]
    assert process.returncode == 0, text
    assert 'resuming from step' in text
    for mine, want in zip(outcome(killed), outcome(straight)):
        assert mine == want


def test_features_of_an_image_encoder_need_one(data, tmp_path):
    with pytest.raises(InputError, match='stage1_encoder_features needs a text encoder'):
        train_stage(1, tiny_config('model.stage1_encoder_features=true'), data[0], data[1],
                    str(tmp_path), NeverStop())


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


def test_a_kill_while_a_checkpoint_is_written(data, tmp_path):
    """The training resumes from the checkpoint before it, to the same bits."""
    settings = ['stage1.epochs=3', 'train.ema_decay=0.9']               # 9 steps
    killed, straight = str(tmp_path / 'killed'), str(tmp_path / 'straight')
    checkpoints = os.path.join(killed, 'checkpoints')
    os.makedirs(killed), os.makedirs(straight)
    python, _, *arguments = command(1, killed, data, settings)
    process = start([python, '-c', DIES_IN_A_CHECKPOINT] + arguments)
    assert process.communicate() and process.returncode == -signal.SIGKILL
    assert sorted(os.listdir(checkpoints)) == ['.00000006', '00000003']
    for folder in (killed, straight):
        process = start(command(1, folder, data, settings))
        text = process.communicate()[0]
        assert process.returncode == 0, text
    assert last_files(killed) == last_files(straight)
    assert '.00000006' not in os.listdir(checkpoints)


def last_files(folder):
    """{name: digest} of the last checkpoint, of step 9."""
    last = Checkpoints(folder + '/checkpoints', None).last()
    assert last.endswith('00000009')
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
