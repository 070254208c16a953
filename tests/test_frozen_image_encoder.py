"""The trained image encoder in the training of a GAN: caption matching, features to look at."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from text_toy import train
from toy import NeverStop, make_prepared, tiny_config

from stackgan.data.prepared import shard_name
from stackgan.text.encoder import ImageEncoder, embed_dataset
from stackgan.training.caption_matching import caption_matching
from stackgan.training.frozen_image_encoder import read_image_encoder
from stackgan.training.stages import train_stage


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    return make_prepared(tmp_path_factory.mktemp('data') / 'prepared', images=24)


@pytest.fixture(scope='module')
def encoder_folder(prepared, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('encoder'))
    train(folder, prepared, 'text.steps=100')
    return folder


def test_caption_matching_is_the_softmax_of_cosines(prepared, encoder_folder):
    """From what the encoder makes of the same images, at 64 px and enlarged to 256 px."""
    images = np.load(os.path.join(prepared, 'train', shard_name(76, 0)))[:4, 6:70, 6:70]
    embeddings = np.random.RandomState(3).standard_normal((4, 16)).astype(np.float32)
    platform = tiny_config().platform
    with ImageEncoder(encoder_folder, platform) as encoder:
        features = encoder.embed(images)
    cosines = 10 * (features / np.linalg.norm(features, axis=1, keepdims=True)).dot(
        (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).T)
    want = sum(np.mean(np.log(np.exp(scores).sum(1)) - np.diag(scores))
               for scores in (cosines, cosines.T))
    with tf.Graph().as_default(), tf.Session() as session:
        encoder = read_image_encoder(encoder_folder, platform)
        small = tf.constant(images / 127.5 - 1.0, tf.float32)
        large = tf.constant(images.repeat(4, 1).repeat(4, 2) / 127.5 - 1.0, tf.float32)
        terms = [caption_matching(each, tf.constant(embeddings), encoder)
                 for each in (small, large)]
        losses = [each.contrast for each in terms]
        assert not tf.global_variables()                  # so none is trained or stored
        session.run(tf.local_variables_initializer())
        slope = tf.gradients(losses[0], small)[0]
        found, way, distances = session.run([losses, slope, [each.distance for each in terms]])
        step = 0.02 * way / np.linalg.norm(way)           # down the slope, as a generator goes
        up, down = [session.run(losses[0], {small: images / 127.5 - 1.0 + each})
                    for each in (step, -step)]
    assert np.allclose(found, want, rtol=1e-4)
    assert np.allclose(distances, 1 - np.diag(cosines).mean() / 10, rtol=1e-4)
    assert np.isclose(np.linalg.norm(way), (up - down) / 0.04, rtol=0.02)


def test_the_maps_of_a_frozen_encoder_are_those_its_features_come_from(prepared, encoder_folder):
    images = np.load(os.path.join(prepared, 'train', shard_name(76, 0)))[:64, 6:70, 6:70]
    platform = tiny_config().platform
    with ImageEncoder(encoder_folder, platform) as encoder:
        graph = encoder.session.graph
        rectified = [op.outputs[0] for op in graph.get_operations() if op.type == 'LeakyRelu']
        padded = np.resize(images, (64,) + images.shape[1:])
        want = encoder.session.run(rectified[1:], {graph.get_tensor_by_name('images:0'): padded})
    with tf.Graph().as_default(), tf.Session() as session:
        maps = read_image_encoder(encoder_folder, platform).maps(
            tf.constant(padded / 127.5 - 1.0, tf.float32), tf.float32)
        session.run(tf.local_variables_initializer())
        found = session.run(maps)
    assert [each.shape[1] for each in found] == [16, 8, 4]
    for each, other in zip(found, want):
        assert np.allclose(each, other, atol=1e-5)


def test_checkpoints_do_not_hold_the_image_encoder_of_a_training(
        prepared, encoder_folder, tmp_path):
    embed_dataset(prepared, encoder_folder, str(tmp_path), tiny_config().platform)
    config = tiny_config('train.caption_matching_weight=2', 'train.caption_similarity_weight=3',
                         'model.stage1_encoder_features=true', 'stage1.epochs=0.5')
    (tmp_path / 'stage1').mkdir()
    last = train_stage(1, config, prepared, str(tmp_path), str(tmp_path / 'stage1'), NeverStop(),
                       text_encoder=encoder_folder)
    with open(str(tmp_path / 'stage1' / 'stats.jsonl')) as stream:
        lines = [line for line in map(json.loads, stream) if 'stage1/caption_matching' in line]
    assert lines and all(0 < line['stage1/caption_matching'] < 100
                         and 0 < line['stage1/caption_similarity'] < 6 for line in lines)
    stored = dict(tf.train.list_variables(last + '/model'))
    assert not [name for name in stored if 'image_encoder' in name]
    # The discriminator was trained on what it makes of 16 px: 8 channels beside its own 16.
    assert stored['stage1/discriminator/down3/weights'] == [4, 4, 16 + 8, 32]
