"""Training of the text encoder against an image encoder (Reed et al., CVPR 2016).

Differs from reedscot/cvpr2016: images instead of fixed features of a pretrained network, with
the image encoder learning along, and so another form of the loss (see `joint_embedding`); Adam
along a half cosine instead of RMSprop with lr * 0.98.
"""

import logging
import os
from typing import Any, Dict, Tuple

import tensorflow.compat.v1 as tf

from stackgan.data.prepared import Dataset, Split, open_dataset
from stackgan.errors import InputError
from stackgan.files import write_json
from stackgan.networks.layers import ForwardMode
from stackgan.text.alphabet import MAX_LENGTH, faults_of_captions
from stackgan.text.char_cnn_rnn import text_encoder
from stackgan.text.encoder import ImageEncoder, TextEncoder
from stackgan.text.finishing import save, standardised, whitened
from stackgan.text.image_encoder import SIZE, as_floats, image_encoder
from stackgan.text.joint_embedding import joint_embedding_loss
from stackgan.text.options import CHAR_CNN_RNN, OPTIONS
from stackgan.text.pairs import Pairs
from stackgan.text.retrieval import evaluate
from stackgan.training.image_encoder import train_image_encoder
from stackgan.training.single_loss import Network, SingleLoss, network_of, plan_of, train

logger = logging.getLogger(__name__)

LABEL = 'train-text-encoder'


def train_text_encoder(
        prepared_folder: str,    # of the dataset
        folder: str,             # to write to; may hold the checkpoints of an interrupted training
        settings: Any,           # the `text` section
        embedding_dim: int,
        seed: int,
        platform: Any,           # the `platform` section
        stop: Any,               # `deferred()` and `requested`, as jobs.engine.signals.Stop
) -> None:
    """Trains, then scores retrieval on the test split.

    Leaves checkpoints/ of the training, encoder/ and options.json (what `TextEncoder` needs),
    stats.jsonl and retrieval.json. Raises as `loop.run`, and InputError for a dataset of one class.
    """
    dataset = open_dataset(prepared_folder)
    pairs = _training_pairs(dataset)
    batch_size = min(settings.batch_size, len(pairs.members))
    options = {
        'kind': CHAR_CNN_RNN, 'cell': settings.cell, 'filters': list(settings.filters),
        'image_filters': settings.image_filters, 'image_pooling': settings.image_pooling,
        'embedding_dim': embedding_dim,
        'max_length': MAX_LENGTH, 'seed': seed, 'steps': settings.steps, 'batch_size': batch_size,
        'tensorflow': tf.__version__,
    }
    write_json(os.path.join(folder, OPTIONS), options)
    limited = ' (as many as there are classes)' if batch_size < settings.batch_size else ''
    logger.info(f'{settings.cell}, {settings.steps} steps of {batch_size} pairs{limited}')
    last = train(_trainable(pairs, settings, options), folder, platform, stop)
    if settings.whitening:
        variables, wanted = whitened(pairs, last, folder, platform)
        variables.update(train_image_encoder(pairs, wanted, folder, settings, options, platform,
                                             stop))
    else:
        variables = standardised(pairs, last, folder, platform)
    save(variables, last, folder)
    with TextEncoder(folder, platform) as text, ImageEncoder(folder, platform) as image:
        score = evaluate(Pairs(Split(dataset, 'test')), text, image)
    write_json(os.path.join(folder, 'retrieval.json'), score)
    logger.info(_sentence(score))


def _training_pairs(dataset: Dataset) -> Pairs:
    pairs = Pairs(Split(dataset, 'train'))
    if len(pairs.members) < 2:
        raise InputError(f'{dataset.folder}: all training images are of one class; the text '
                         'encoder learns from differences between at least 2')
    for fault in faults_of_captions(pairs.captions):
        logger.info(fault)
    return pairs


def _trainable(pairs: Pairs, settings: Any, options: Dict[str, Any]) -> SingleLoss:
    batch_size, seed = options['batch_size'], options['seed']
    network, codes, images = build(options)

    def feed(step: int) -> Dict[Any, Any]:
        return dict(zip((codes, images), pairs.batch(batch_size, seed, step)))

    plan = plan_of(LABEL, 'pairs', 'text', settings, batch_size, len(pairs.split))
    return SingleLoss(plan, network, settings.learning_rate, feed)


def build(
        options: Dict[str, Any],       # what options.json holds
) -> Tuple[Network, Any, Any]:
    """(`Network` of a training step, placeholder of codes, placeholder of images)."""
    batch_size, embedding_dim = options['batch_size'], options['embedding_dim']
    with tf.Graph().as_default():
        # As in training.stages: the order in which the graph is built decides the initial values.
        tf.set_random_seed(options['seed'])
        codes = tf.placeholder(tf.uint8, [batch_size, MAX_LENGTH], 'codes')
        images = tf.placeholder(tf.uint8, [batch_size, SIZE, SIZE, 3], 'images')
        statistics: list = []
        text = text_encoder(codes, options['cell'], options['filters'], embedding_dim)
        image = image_encoder(as_floats(images), options,
                              ForwardMode(training=True, statistics=statistics))
        return network_of(joint_embedding_loss(text, image), statistics), codes, images


def _sentence(score: Dict[str, Any]) -> str:
    """One line on retrieval.json."""
    by_class, top1, top5 = [score[name] for name in (
        'caption_to_class', 'caption_to_image_top1', 'caption_to_image_top5')]
    return (f"retrieval on {score['classes']} held-out classes, {score['images']} images: "
            f"zero-shot class accuracy {_percent(by_class, 'value')} "
            f"(chance {_percent(by_class, 'chance')}), "
            f"image retrieval top-1 {_percent(top1, 'value')} ({_percent(top1, 'chance')}), "
            f"top-5 {_percent(top5, 'value')} ({_percent(top5, 'chance')})")


def _percent(figure: Dict[str, float], kind: str) -> str:
    return f'{100.0 * figure[kind]:.1f} %'
