"""The scorer: its network, what is held out, that it learns, resume, what a weak one is told."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from logged import logged
from test_text_training import wait_for_checkpoint
from toy import COLOURS, ROOT, NeverStop, make_prepared, tiny_config

from stackgan.checkpoints import Checkpoints
from stackgan.data.prepared import Split, open_dataset
from stackgan.errors import StackganError
from stackgan.networks.layers import TESTING
from stackgan.scoring.extractors import check_learned, open_scorer, read_scorer
from stackgan.scoring.scorer_network import scorer
from stackgan.scoring.views import real_image, resized, resized_as_tf1
from stackgan.training.scorer import accuracy, hold_out, train_scorer

SCORER = ['scorer.split=train', 'scorer.side=32', 'scorer.filters=4', 'scorer.blocks=2',
          'scorer.batch_size=8', 'scorer.learning_rate=1e-2', 'scorer.held_out_share=0.3',
          'scorer.checkpoint_every_steps=10', 'scorer.steps=60']


def train(folder, prepared, *settings, **more):
    config = tiny_config(*(SCORER + list(settings)))
    os.makedirs(folder, exist_ok=True)
    with logged() as lines:
        train_scorer(prepared, folder, config.scorer, config.platform,
                     more.get('stop', NeverStop()))
    return lines


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    return make_prepared(tmp_path_factory.mktemp('data') / 'prepared', images=24)


@pytest.fixture(scope='module')
def trained(prepared, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('scorer'))
    return folder, train(folder, prepared)


@pytest.mark.parametrize('side, filters, blocks', [(32, 4, 1), (64, 8, 3), (75, 4, 2)])
def test_width_and_depth(side, filters, blocks):
    with tf.Graph().as_default():
        seen = scorer(tf.zeros([2, side, side, 3]), 7, filters, blocks, TESTING)
        assert seen.logits.shape.as_list() == [2, 7]
        assert seen.features.shape.as_list() == [2, 8 * filters * blocks]
        scopes = {v.op.name.split('/')[1] for v in tf.global_variables()}
        assert {'block%d' % n for n in range(1, blocks + 1)} < scopes
        assert all(v.op.name.startswith('scorer/') for v in tf.global_variables())


def test_some_of_each_class_are_held_out_and_never_all():
    labels = np.repeat([0, 1, 2, 3], [10, 5, 2, 1])
    held_out = hold_out(labels, 0.2, 0)
    assert [held_out[labels == label].sum() for label in range(4)] == [2, 1, 1, 0]
    assert np.array_equal(hold_out(labels, 0.2, 0), held_out)
    assert not np.array_equal(hold_out(labels, 0.2, 1), held_out)
    assert [hold_out(labels, 0.9, 0)[labels == label].sum() for label in range(4)] == [9, 4, 1, 0]


def test_it_learns_and_says_how_well(prepared, trained):
    folder, lines = trained
    with open(folder + '/scorer.json') as stream:
        facts = json.load(stream)
    assert facts['classes'] == 4 and facts['class_names'] == list(COLOURS)
    assert (facts['pictures'], facts['held_out_pictures']) == (16, 8)
    assert facts['accuracy'] >= 0.85 and 'chance 25.0 %' in lines[-1]
    test = Split(open_dataset(prepared), 'test')             # the same colours, other images
    platform = tiny_config().platform
    share = accuracy(folder, test, test.class_ids, np.arange(24), platform)
    assert share >= 0.85
    wrong = accuracy(folder, test, (test.class_ids + 1) % 4, np.arange(24), platform)
    assert wrong <= 1 - share


@pytest.mark.outermost
def test_it_learns_the_classes_of_its_split(prepared, tmp_path):
    data = str(tmp_path / 'data')
    shutil.copytree(prepared, data)
    np.save(data + '/test/class_ids.npy', np.arange(24, dtype=np.int32) % 4 // 2 + 1)
    train(str(tmp_path / 'out'), data, 'scorer.split=test', 'scorer.steps=2')
    facts = read_scorer(str(tmp_path / 'out'))
    assert facts['classes'] == 2 and facts['class_names'] == list(COLOURS)[1:3]


@pytest.mark.outermost
def test_the_accuracy_is_not_that_of_images_it_learned(prepared, tmp_path):
    """Labels that mean nothing can be learned by heart; the held-out ones then show chance."""
    shuffled = make_prepared(tmp_path / 'shuffled', images=48)
    path = shuffled + '/train/class_ids.npy'
    labels = np.random.RandomState(0).permutation(np.load(path))
    np.save(path, labels)
    folder = str(tmp_path / 'scorer')
    lines = train(folder, shuffled, 'scorer.steps=40', 'scorer.minimum_accuracy=0.8')
    assert json.load(open(folder + '/scorer.json'))['accuracy'] < 0.6
    assert 'it has not learned, so its scores will be refused' in lines[-1]


def test_a_scorer_that_has_not_learned_may_not_score():
    check_learned({'accuracy': 0.5, 'chance': 0.25}, 0.5)
    with pytest.raises(StackganError, match=r'accuracy of 49.0 % on held-out .* at least 50 % '
                                            r'is required \(scorer.minimum_accuracy\)'):
        check_learned({'accuracy': 0.49, 'chance': 0.25}, 0.5)


def test_an_image_is_seen_as_itself_whatever_its_batch(prepared, trained):
    test = Split(open_dataset(prepared), 'test')
    with open_scorer(trained[0], tiny_config().platform) as network:
        views = [network.prepare(real_image(test, index)) for index in range(20)]
        logits, features = network.run(views)
        alone = network.run(views[17:18])
    assert logits.shape == (20, 4) and features.shape == (20, 64)
    assert np.allclose(alone[0][0], logits[17], atol=1e-5)
    assert np.allclose(alone[1][0], features[17], atol=1e-5)


@pytest.mark.parametrize('classes, text', [
    (np.zeros(12, np.int32), 'there are 1 classes'),
    (np.arange(12, dtype=np.int32), 'there are 12 classes, each of one image')])
def test_a_dataset_that_can_have_no_scorer(tmp_path, classes, text):
    data = make_prepared(tmp_path / 'data')
    np.save(data + '/train/class_ids.npy', classes)
    lines = train(str(tmp_path / 'out'), data)
    assert lines[-1].startswith('no scorer is trained') and text in lines[-1]
    with pytest.raises(StackganError, match=text):
        check_learned(read_scorer(str(tmp_path / 'out')), 0.0)


# Views.

def test_real_images_are_seen_in_the_middle(prepared):
    test = Split(open_dataset(prepared), 'test')
    shard = np.load(prepared + '/test/images-304-00000.npy')
    assert np.array_equal(real_image(test, 3), shard[3, 24:280, 24:280])
    assert np.array_equal(real_image(test, 3, 0, 48), shard[3, :256, 48:])


def test_resizing_averages_where_it_shrinks():
    checks = np.indices((64, 64)).sum(0)[..., np.newaxis] % 2 * np.full(3, 255)
    small = resized(checks.astype(np.uint8), 16)
    assert small.shape == (16, 16, 3) and np.abs(small[2:-2, 2:-2].astype(int) - 127).max() <= 8
    assert resized(small, 16) is small


@pytest.mark.parametrize('shape', [(256, 256), (37, 50), (299, 299), (5, 700)])
def test_resizing_as_tensorflow_1(shape):
    pixels = np.random.RandomState(0).randint(0, 256, shape + (3,)).astype(np.uint8)
    with tf.Graph().as_default(), tf.Session() as session:
        expected = session.run(tf.image.resize_bilinear(pixels[np.newaxis].astype(np.float32),
                                                        [299, 299]))[0]
    assert np.abs(resized_as_tf1(pixels, 299) - expected).max() < 2e-2


# Interruptions.

def start(folder, prepared, *settings, pause=''):
    command = [sys.executable, os.path.join(ROOT, 'tests', 'train_toy_scorer.py'), folder, prepared]
    return subprocess.Popen(command + SCORER + list(settings), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, universal_newlines=True,
                            env=dict(os.environ, PYTHONPATH=ROOT, TOY_PAUSE=pause))


def variables(folder):
    path = Checkpoints(folder + '/network', None).last() + '/model'
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name).tobytes() for name, _ in tf.train.list_variables(path)}


@pytest.mark.outermost
def test_a_killed_training_equals_an_uninterrupted_one(prepared, tmp_path):
    straight, killed = str(tmp_path / 'straight'), str(tmp_path / 'killed')
    os.makedirs(straight), os.makedirs(killed)
    process = start(straight, prepared, 'scorer.steps=30')
    assert process.communicate() and process.returncode == 0
    process = start(killed, prepared, 'scorer.steps=30', pause='0.8 train')
    wait_for_checkpoint(process, killed, 10)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = start(killed, prepared, 'scorer.steps=30')
    text = process.communicate()[0]
    assert process.returncode == 0 and 'resuming from step' in text, text
    assert variables(killed) == variables(straight)
