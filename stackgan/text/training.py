"""Training of the text encoder against an image encoder (Reed et al., CVPR 2016).

Differs from reedscot/cvpr2016: images instead of fixed features of a pretrained network, with
the image encoder learning along, and so another form of the loss (see `joint_embedding`); Adam
along a half cosine instead of RMSprop with lr * 0.98.
"""

import logging
import os

import tensorflow.compat.v1 as tf

from stackgan.auxiliary_training import Plan, fit, network_of
from stackgan.checkpoints import Checkpoints
from stackgan.data.prepared import Split, open_dataset
from stackgan.errors import InputError
from stackgan.files import write_json
from stackgan.networks.layers import ForwardMode
from stackgan.text.alphabet import MAX_LENGTH, faults_of_captions
from stackgan.text.char_cnn_rnn import text_encoder
from stackgan.text.encoder import ImageEncoder, TextEncoder
from stackgan.text.finishing import finish
from stackgan.text.image_encoder import SIZE, as_floats, image_encoder
from stackgan.text.joint_embedding import joint_embedding_loss
from stackgan.text.options import CHAR_CNN_RNN, OPTIONS
from stackgan.text.pairs import Pairs
from stackgan.text.retrieval import evaluate

logger = logging.getLogger(__name__)

LABEL = 'train-text-encoder'
CHECKPOINTS = 'checkpoints'
KEPT_CHECKPOINTS = 2


def train_text_encoder(
        prepared_folder,     # of the dataset
        folder,              # to write to; may hold the checkpoints of an interrupted training
        settings,            # the `text` section
        embedding_dim,
        seed,
        platform,            # the `platform` section
        stop,                # `deferred()` and `requested`, as jobs.engine.signals.Stop
):
    """Trains, then scores retrieval on the test split.

    Leaves checkpoints/ of the training, encoder/ and options.json (what `TextEncoder` needs),
    stats.jsonl and retrieval.json.
    Raises Interrupted, with everything saved, when a stop is requested.
    """
    dataset = open_dataset(prepared_folder)
    pairs = _training_pairs(dataset)
    batch_size = min(settings.batch_size, len(pairs.members))
    options = {
        'kind': CHAR_CNN_RNN, 'cell': settings.cell, 'filters': list(settings.filters),
        'image_filters': settings.image_filters, 'embedding_dim': embedding_dim,
        'max_length': MAX_LENGTH, 'seed': seed, 'steps': settings.steps, 'batch_size': batch_size,
        'tensorflow': tf.__version__,
    }
    write_json(os.path.join(folder, OPTIONS), options)
    checkpoints = Checkpoints(os.path.join(folder, CHECKPOINTS), KEPT_CHECKPOINTS)
    _train(pairs, checkpoints, folder, settings, options, platform, stop)
    finish(pairs, checkpoints.last(), folder, platform)
    with TextEncoder(folder, platform) as text, ImageEncoder(folder, platform) as image:
        score = evaluate(Pairs(Split(dataset, 'test')), text, image)
    write_json(os.path.join(folder, 'retrieval.json'), score)
    logger.info(_sentence(score))


def _training_pairs(dataset):
    pairs = Pairs(Split(dataset, 'train'))
    if len(pairs.members) < 2:
        raise InputError(f'{dataset.folder}: all training images are of one class; the text '
                         f'encoder learns from '
                         'differences between at least 2')
    for fault in faults_of_captions(pairs.captions):
        logger.info(fault)
    return pairs


def _train(pairs, checkpoints, folder, settings, options, platform, stop):
    batch_size = options['batch_size']
    network, codes, images = build(options)

    def feed(step):
        return dict(zip((codes, images), pairs.batch(batch_size, options['seed'], step)))

    logger.info('%s, %d steps of %d pairs%s' % (
        settings.cell, settings.steps, batch_size,
        ' (as many as there are classes)' if batch_size < settings.batch_size else ''))
    fit(network, Plan(LABEL, 'pairs', 'text', batch_size, settings.steps, settings.learning_rate,
                      settings.checkpoint_every_steps, feed),
        checkpoints, folder, platform, stop)


def build(
        options,             # what options.json holds
):
    """(`Network` of a training step, placeholder of codes, placeholder of images)."""
    batch_size, embedding_dim = options['batch_size'], options['embedding_dim']
    with tf.Graph().as_default():
        tf.set_random_seed(options['seed'])
        codes = tf.placeholder(tf.uint8, [batch_size, MAX_LENGTH], 'codes')
        images = tf.placeholder(tf.uint8, [batch_size, SIZE, SIZE, 3], 'images')
        mode = ForwardMode(training=True, statistics=[])
        text = text_encoder(codes, options['cell'], options['filters'], embedding_dim)
        image = image_encoder(as_floats(images), options['image_filters'], embedding_dim, mode)
        loss = joint_embedding_loss(text, image)
        return network_of(loss, mode.statistics), codes, images


def _sentence(score):
    """One line on retrieval.json."""
    top1, top5, by_class = [score[name] for name in (
        'caption_to_image_top1', 'caption_to_image_top5', 'caption_to_class')]
    return ('retrieval on %d held-out classes, %d images: zero-shot class accuracy %.1f %% '
            '(chance %.1f %%), image retrieval top-1 %.1f %% (%.1f %%), top-5 %.1f %% '
            '(%.1f %%)' % (
                (score['classes'], score['images']) + tuple(
                    100.0 * figure[kind] for figure in (by_class, top1, top5)
                    for kind in ('value', 'chance'))))
