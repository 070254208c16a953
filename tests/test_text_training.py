"""Training and use of the text encoder: batches, exact resume, retrieval, embeddings."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from text_toy import TEXT, train
from toy import ROOT, NeverStop, make_prepared, tiny_config

from stackgan.checkpoints import Checkpoints
from stackgan.data.prepared import Split, open_dataset, shard_name
from stackgan.errors import InputError, Interrupted, StackganError
from stackgan.files import write_json
from stackgan.text import image_encoder
from stackgan.text.alphabet import encode_captions
from stackgan.text.encoder import (
    ImageEncoder,
    TextEncoder,
    embed_dataset,
    link_precomputed_embeddings,
)
from stackgan.text.finishing import save, whitened
from stackgan.text.options import read_options
from stackgan.text.pairs import Pairs
from stackgan.text.retrieval import score
from stackgan.text.whitening import image_means, whitening
from stackgan.training.image_encoder import train_image_encoder
from stackgan.training.schedule import half_cosine


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    return make_prepared(tmp_path_factory.mktemp('data') / 'prepared', images=24)


@pytest.fixture(scope='module')
def encoder_folder(prepared, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('encoder'))
    train(folder, prepared, 'text.steps=100')
    return folder


def test_learning_rate_is_half_a_cosine():
    assert half_cosine(2.0, 0, 100) == 2.0 and abs(half_cosine(2.0, 50, 100) - 1.0) < 1e-9
    assert 0 < half_cosine(2.0, 99, 100) < 1e-3


def test_a_batch_has_distinct_classes_and_own_captions(prepared):
    split = Split(open_dataset(prepared), 'train')
    pairs = Pairs(split)
    codes_of_class = {}
    for item in split.items():
        for row in encode_captions(item['captions']):
            codes_of_class[row.tobytes()] = item['class_id']
    seen = set()
    for step in range(30):
        codes, images = pairs.batch(4, 0, step)
        assert images.shape == (4, 64, 64, 3) and images.dtype == np.uint8
        classes = [codes_of_class[row.tobytes()] for row in codes]
        assert len(set(classes)) == 4
        for image, number in zip(images, classes):           # the image is of that class
            colour = image.reshape(-1, 3).astype(int)
            means = [np.abs(colour - wanted).sum(1).min() for wanted in
                     ((200, 40, 40), (40, 180, 60), (50, 60, 200), (210, 200, 50))]
            assert int(np.argmin(means)) == number
        seen.update(row.tobytes() for row in codes)
    assert len(seen) > 40
    again = pairs.batch(4, 0, 7)
    assert np.array_equal(pairs.batch(4, 0, 7)[1], again[1])
    assert not np.array_equal(pairs.batch(4, 1, 7)[1], again[1])


def test_learns_to_find_the_class(encoder_folder):
    with open(encoder_folder + '/retrieval.json') as stream:
        retrieval = json.load(stream)
    for name in ('caption_to_class', 'caption_to_image_top1', 'precision_at_50'):
        figure = retrieval[name]
        assert figure['chance'] == 0.25 or name == 'precision_at_50'
        assert figure['value'] > 0.9, name


def test_records(encoder_folder):
    with open(encoder_folder + '/stats.jsonl') as stream:
        stats = [json.loads(line) for line in stream]
    assert [line['step'] for line in stats] == list(range(10, 101, 10))
    assert stats[-1]['loss'] < stats[0]['loss']
    with open(encoder_folder + '/options.json') as stream:
        options = json.load(stream)
    assert options['cell'] == 'gru' and options['embedding_dim'] == 16


def test_embeddings_are_standardised_over_the_training_captions(prepared, encoder_folder, tmp_path):
    embed_dataset(prepared, encoder_folder, str(tmp_path), tiny_config().platform)
    rows = {name: np.load(str(tmp_path / (name + '.npy'))) for name in ('train', 'test')}
    assert rows['train'].shape == (72, 16) and rows['train'].dtype == np.float32
    assert np.abs(rows['train'].mean(0)).max() < 1e-3
    assert np.allclose(rows['train'].std(0), 1, atol=1e-3)
    split = Split(open_dataset(prepared), 'test')
    captions = [caption for item in split.items() for caption in item['captions']]
    with TextEncoder(encoder_folder, tiny_config().platform) as encoder:
        assert np.array_equal(encoder.embed(captions), rows['test'])      # in caption order


def test_whitened_embeddings_are_the_trained_ones_and_a_linear_map(prepared, encoder_folder,
                                                                   tmp_path):
    """Folded into the last layer: outputs of the trained network, mapped here, are the same."""
    folder, platform = str(tmp_path / 'whitened'), tiny_config().platform
    shutil.copytree(encoder_folder, folder)
    shutil.rmtree(folder + '/encoder')
    pairs = Pairs(Split(open_dataset(prepared), 'train'))
    last = Checkpoints(folder + '/checkpoints', None).last()
    with TextEncoder(folder, platform, last) as text:
        captions = text.embed(pairs.captions)
    map_ = whitening(captions, pairs.image_of_caption)
    variables, wanted = whitened(pairs, last, folder, platform)
    assert np.allclose(wanted, image_means(map_.of(captions), pairs.image_of_caption)[0], atol=1e-3)
    variables.update(train_image_encoder(
        pairs, wanted, folder, tiny_config(*TEXT, 'text.image_steps=2').text, read_options(folder),
        platform, NeverStop()))
    save(variables, last, folder)
    with TextEncoder(folder, platform) as text:
        assert np.allclose(text.embed(pairs.captions), map_.of(captions), atol=1e-3)


def test_the_image_encoder_learns_what_the_embeddings_say(prepared, encoder_folder, tmp_path):
    """Of images that it learned from: nearer to their own than the mean of all is."""
    folder, platform = str(tmp_path / 'encoder'), tiny_config().platform
    shutil.copytree(encoder_folder, folder)
    pairs = Pairs(Split(open_dataset(prepared), 'train'))
    wanted = np.random.RandomState(1).standard_normal((24, 16)).astype(np.float32)
    settings = tiny_config(*TEXT, 'text.image_steps=60', 'text.learning_rate=2e-2').text
    last = Checkpoints(folder + '/checkpoints', None).last()
    save(train_image_encoder(pairs, wanted, folder, settings, read_options(folder), platform,
                             NeverStop()), last, folder)
    with ImageEncoder(folder, platform) as image:
        found = image.embed(pairs.centres(np.arange(24)))
    error = np.square(found - wanted).mean()
    assert error < 0.9 * wanted.var(), error / wanted.var()


def test_an_embedding_does_not_depend_on_the_others(encoder_folder):
    captions = ['a red square', 'a blue one', 'something else ' * 9] * 30
    with TextEncoder(encoder_folder, tiny_config().platform) as encoder:
        together = encoder.embed(captions)
        assert np.array_equal(encoder.embed(captions[1:2])[0], together[1])
        assert np.array_equal(encoder.embed(captions[80:]), together[80:])
        assert encoder.embed([]).shape == (0, 16)


# What a generator learns from the image encoder.

def test_a_speck_pleases_the_largest_response_and_not_the_root_mean_square():
    speck = np.full((1, 8, 8, 3), -0.5, np.float32)
    speck[0, 3, 4] = 2.0
    with tf.Graph().as_default(), tf.Session() as session:
        found = {name: session.run(pool(tf.constant(speck)))
                 for name, pool in image_encoder.POOLINGS.items()}
    assert np.array_equal(found['max'], np.full((1, 3), 2.0))
    assert np.allclose(found['root-mean-square'], np.sqrt(4.0 / 64 + 1e-4), rtol=1e-5)


def test_the_image_encoder_pools_as_its_options_say(prepared, encoder_folder, tmp_path):
    """An encoder that does not say, as the first ones, has the largest responses."""
    folder, features = str(tmp_path / 'encoder'), []
    shutil.copytree(encoder_folder, folder)
    images = np.load(os.path.join(prepared, 'train', shard_name(76, 0)))[:2, 6:70, 6:70]
    options = json.load(open(folder + '/options.json'))
    del options['image_pooling']
    for said in ({'image_pooling': 'root-mean-square'}, {'image_pooling': 'max'}, {}):
        write_json(folder + '/options.json', dict(options, **said))
        with ImageEncoder(folder, tiny_config().platform) as encoder:
            features.append(encoder.embed(images))
    assert np.array_equal(features[1], features[2])
    assert not np.allclose(features[0], features[1])


def test_brought_embeddings_are_handed_on(tmp_path):
    prepared = make_prepared(tmp_path / 'prepared')
    facts = json.load(open(prepared + '/dataset.json'))
    facts['embedding_dim'] = 5
    json.dump(facts, open(prepared + '/dataset.json', 'w'))
    for name in ('train', 'test'):
        np.save(prepared + f'/{name}/embeddings.npy',
                np.random.RandomState(0).rand(36, 5).astype(np.float32))
    out = tmp_path / 'out'
    out.mkdir()
    with pytest.raises(InputError, match='5 numbers, .*use --set model.embedding_dim=5'):
        link_precomputed_embeddings(prepared, str(out), 1024)
    link_precomputed_embeddings(prepared, str(out), 5)
    assert np.array_equal(np.load(str(out / 'test.npy')),
                          np.load(prepared + '/test/embeddings.npy'))
    assert json.load(open(str(out / 'embed.json'))) == {'embedding_dim': 5, 'source': 'brought'}
    np.save(prepared + '/test/embeddings.npy', np.zeros((35, 5), np.float32))
    with pytest.raises(InputError, match=r'shape \(35, 5\), expected \(36, 5\)'):
        link_precomputed_embeddings(prepared, str(out), 5)


# Interruptions.

def start(folder, prepared, *settings, pause=''):
    command = [sys.executable, os.path.join(ROOT, 'tests', 'train_toy_text.py'), folder, prepared]
    return subprocess.Popen(command + TEXT + list(settings), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, universal_newlines=True,
                            env=dict(os.environ, PYTHONPATH=ROOT, TOY_PAUSE=pause))


def variables(folder):
    path = Checkpoints(folder + '/encoder', None).last() + '/model'
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name).tobytes() for name, _ in tf.train.list_variables(path)}


def wait_for_checkpoint(process, folder, step):
    path = os.path.join(folder, 'checkpoints', '%08d' % step)
    while process.poll() is None and not os.path.exists(path):
        time.sleep(0.01)


@pytest.mark.outermost
def test_a_killed_training_equals_an_uninterrupted_one(prepared, tmp_path):
    straight, killed = str(tmp_path / 'straight'), str(tmp_path / 'killed')
    os.makedirs(straight), os.makedirs(killed)
    process = start(straight, prepared, 'text.steps=40')
    assert process.communicate() and process.returncode == 0
    process = start(killed, prepared, 'text.steps=40', pause='0.8 train')
    wait_for_checkpoint(process, killed, 20)
    process.kill()
    process.communicate()
    process = start(killed, prepared, 'text.steps=40')
    text = process.communicate()[0]
    assert process.returncode == 0 and 'resuming from step 20 of 40' in text, text
    assert variables(killed) == variables(straight)
    losses = []
    for folder in (straight, killed):
        with open(folder + '/stats.jsonl') as stream:
            losses.append([(line['step'], line['loss']) for line in map(json.loads, stream)])
    assert losses[0] == losses[1]


class StopInImageEncoder(NeverStop):
    """A stop that is requested a few steps after the image encoder's own training has begun."""

    def __init__(self, folder):
        self.folder, self.left = folder, 3

    @property
    def requested(self):
        self.left -= os.path.isdir(self.folder + '/image-encoder')
        return self.left < 0


@pytest.mark.outermost
def test_a_training_resumes_in_its_image_encoder(prepared, tmp_path):
    settings = ['text.steps=2', 'text.whitening=true', 'text.image_steps=8',
                'text.image_pooling=root-mean-square']
    straight, stopped = str(tmp_path / 'straight'), str(tmp_path / 'stopped')
    os.makedirs(straight), os.makedirs(stopped)
    train(straight, prepared, *settings)
    with pytest.raises(Interrupted):
        train(stopped, prepared, *settings, stop=StopInImageEncoder(stopped))
    steps = Checkpoints(stopped + '/image-encoder/checkpoints', None).last()
    assert 0 < int(os.path.basename(steps)) < 8 and not os.path.exists(stopped + '/encoder')
    lines = train(stopped, prepared, *settings)
    assert any('resuming from step' in line and 'of 8' in line for line in lines)
    assert variables(stopped) == variables(straight)
    assert read_options(stopped)['image_pooling'] == 'root-mean-square'


@pytest.mark.outermost
def test_sigterm_saves(prepared, tmp_path):
    process = start(str(tmp_path), prepared, 'text.steps=100000')
    wait_for_checkpoint(process, str(tmp_path), 20)
    process.send_signal(signal.SIGTERM)
    text = process.communicate()[0]
    assert process.returncode == 130 and 'a signal at step' in text, text
    step = int(text.split('a signal at step ')[1].split()[0])
    assert Checkpoints(str(tmp_path / 'checkpoints'), None).last().endswith('%08d' % step)


def test_divergence_names_the_step(prepared, tmp_path, monkeypatch):
    batch_of_pairs = Pairs.batch

    def poisoned(self, size, seed, step):
        codes, images = batch_of_pairs(self, size, seed, step)
        return codes, images.astype(np.float32) * (np.nan if step == 25 else 1)
    monkeypatch.setattr(Pairs, 'batch', poisoned)
    monkeypatch.setattr('stackgan.training.text_encoder.tf.placeholder',
                        _float_placeholder(tf.placeholder))
    with pytest.raises(StackganError, match=r'loss is nan at step 26, the training has diverged; .*'
                                            r'00000020. Lower text.learning_rate'):
        train(str(tmp_path), prepared, 'text.steps=40')


def _float_placeholder(placeholder):
    """Lets images be fed as floats, so that a test can make one of them no number."""
    def make(dtype, shape, name=None):
        return placeholder(tf.float32 if name == 'images' else dtype, shape, name)
    return make


def test_one_class_only_is_refused(prepared, tmp_path):
    single = make_prepared(tmp_path / 'single')
    np.save(single + '/train/class_ids.npy', np.zeros(12, np.int32))
    with pytest.raises(InputError, match='all training images are of one class'):
        train(str(tmp_path / 'out'), single, 'text.steps=2')


# Figures.

def test_perfect_and_random_features_score_one_and_chance():
    labels = np.repeat(np.arange(4), 25)
    perfect = np.eye(4)[labels].astype(np.float32)
    figures = score(perfect, labels, [(perfect, labels)])
    for name, figure in figures.items():
        assert figure['value'] == 1.0 and figure['chance'] < 1, name
    random = np.random.RandomState(0)
    noise = random.standard_normal((4000, 16)).astype(np.float32)
    images = random.standard_normal((100, 16)).astype(np.float32)
    guesses = score(images, labels, [(noise, np.repeat(labels, 40))])
    assert abs(guesses['caption_to_image_top1']['value'] - 0.25) < 0.03
    assert abs(guesses['caption_to_image_top5']['value']
               - guesses['caption_to_image_top5']['chance']) < 0.04
