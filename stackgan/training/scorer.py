"""Training of the scorer on real images, and how well it knows others of their classes.

A part of each class is held out for that. Where the dataset is split by class, the classes are
those of the test images, as in the Inception of StackGAN: a scorer of the training classes
finds images that stray among those more varied than real images of the few test classes.

Differs from Szegedy et al. (2016): labels are not smoothed, because the entropy of what the
scorer says of an image is what the inception score is made of.

    scorer.json         what the scorer is, and its accuracy on held-out images
    network/            its variables
    checkpoints/        of the training
"""

import logging
import os
from typing import Any, Dict, List, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import Checkpoints, read_facts, restore
from stackgan.data.noise import random_state
from stackgan.data.prepared import HIGH, Split, open_dataset
from stackgan.files import write_json
from stackgan.networks.layers import ForwardMode
from stackgan.platforms.session import on_host, open_session
from stackgan.scoring.extractors import SCORER, open_scorer
from stackgan.scoring.scorer_network import scorer
from stackgan.scoring.views import SEEN, real_image, resized
from stackgan.training.single_loss import SingleLoss, network_of, plan_of, train

logger = logging.getLogger(__name__)

LABEL = 'train-scorer'
EVALUATED = 64             # images at once


def train_scorer(
        prepared_folder: str,    # of the dataset
        folder: str,             # to write to; may hold the checkpoints of an interrupted training
        settings: Any,           # the `scorer` section
        platform: Any,           # the `platform` section
        stop: Any,               # `deferred()` and `requested`, as jobs.engine.signals.Stop
) -> None:
    """Trains a scorer and measures its accuracy. Raises as `loop.run`.

    A scorer that has not learned is kept with its accuracy, and of a dataset that can have none
    the reason is: it is scores that are refused, and the chain continues.
    """
    dataset = open_dataset(prepared_folder)
    split = Split(dataset, settings.split)
    classes, labels = np.unique(split.class_ids, return_inverse=True)
    held_out = hold_out(labels, settings.held_out_share, settings.seed)
    if len(classes) < 2 or not held_out.any():
        return _give_up(folder, len(classes))
    images = np.flatnonzero(~held_out)
    logger.info(f'{len(classes)} classes, {len(images)} images to learn from, '
                f'{held_out.sum()} held out')
    trainable, variables = _trainable(split, labels, images, len(classes), settings)
    last = train(trainable, folder, platform, stop)
    _keep(trainable.network.graph, variables, last, folder, platform)
    facts = {
        'split': settings.split, 'classes': len(classes), 'side': settings.side,
        'filters': settings.filters, 'blocks': settings.blocks, 'steps': settings.steps,
        'seed': settings.seed,
        'pictures': len(images), 'held_out_pictures': int(held_out.sum()),
        'class_names': [dataset.classes[number] for number in classes],
        'chance': 1.0 / len(classes), 'accuracy': None}
    write_json(os.path.join(folder, SCORER), facts)
    facts['accuracy'] = accuracy(folder, split, labels, np.flatnonzero(held_out), platform)
    write_json(os.path.join(folder, SCORER), facts)
    logger.info(describe(facts, settings.minimum_accuracy))


def _give_up(folder: str, classes: int) -> None:
    """Writes scorer.json of a dataset that has no scorer: the chain continues without its scores.
    """
    each = ', each of one image' if classes > 1 else ''
    reason = ('a scorer needs at least two classes, one of them with at least two images so that '
              f'one can be held out; there are {classes} classes{each}')
    write_json(os.path.join(folder, SCORER), {'accuracy': None, 'reason': reason})
    logger.info(f'no scorer is trained: {reason}')


def hold_out(
        labels: np.ndarray,      # [images] int: classes
        share: float,            # of each class
        seed: int,
) -> np.ndarray:
    """[images] bool: of each class with two images or more at least one, never all."""
    random, held_out = random_state(seed, 'scorer: held out'), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        count = min(max(1, int(round(share * len(members)))), len(members) - 1)
        held_out[members[:count]] = True
    return held_out


def _trainable(
        split: Split,
        labels: np.ndarray,      # [images of the split] int: classes
        images: np.ndarray,      # those to learn from
        classes: int,
        settings: Any,           # the `scorer` section
) -> Tuple[SingleLoss, List[Any]]:
    """The training, and the scorer's variables without the optimiser's."""
    size, side = settings.batch_size, settings.side
    with tf.Graph().as_default():
        # As in training.stages: the order in which the graph is built decides the initial values.
        tf.set_random_seed(settings.seed)
        placeholder = tf.placeholder(tf.uint8, [size, side, side, 3], 'images')
        targets = tf.placeholder(tf.int32, [size], 'targets')
        statistics: list = []
        outputs = scorer(tf.cast(placeholder, tf.float32) / 127.5 - 1.0, classes,
                         settings.filters, settings.blocks,
                         ForwardMode(training=True, statistics=statistics))
        variables = tf.global_variables()
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=targets, logits=outputs.logits))
        network = network_of(loss, statistics)

    def feed(step: int) -> Dict[Any, Any]:
        random = random_state(settings.seed, 'scorer: batch', step)
        chosen = images[random.randint(0, len(images), size)]
        return {placeholder: np.stack([_varied(split, image, random, side) for image in chosen]),
                targets: labels[chosen]}

    plan = plan_of(LABEL, 'images', 'scorer', settings, size, len(images))
    return SingleLoss(plan, network, settings.learning_rate, feed), variables


def _varied(split: Split, image: int, random: np.random.RandomState, side: int) -> np.ndarray:
    """A random crop, mirrored half of the time."""
    top, left = random.randint(0, HIGH - SEEN + 1, 2)
    pixels = resized(real_image(split, image, top, left), side)
    return pixels[:, ::-1] if random.randint(2) else pixels


def _keep(graph: tf.Graph, variables: List[Any], path: str, folder: str, platform: Any) -> None:
    """Writes network/: what is left of the last checkpoint without the optimiser."""
    with open_session(on_host(platform), graph) as session, graph.as_default():
        saver = tf.train.Saver(variables)
        restore(session, saver, variables, path, is_part=True)
        Checkpoints(os.path.join(folder, 'network'), keep=1).save(
            session, saver, read_facts(path)['step'], {})


def accuracy(
        folder: str,             # of the scorer
        split: Split,
        labels: np.ndarray,      # [images] int
        images: np.ndarray,      # indices of the images to look at
        platform: Any,           # the `platform` section
) -> float:
    """Share in [0, 1] of images whose class is the most likely one."""
    right = 0
    with open_scorer(folder, platform) as network:
        for start in range(0, len(images), EVALUATED):
            part = images[start:start + EVALUATED]
            logits, _ = network.run([network.prepare(real_image(split, i)) for i in part])
            right += int((logits.argmax(1) == labels[part]).sum())
    return right / len(images)


def describe(
        facts: Dict[str, Any],   # of scorer.json
        minimum: float,          # accuracy from which on it may score
) -> str:
    """One line for people."""
    text = (f"accuracy {100 * facts['accuracy']:.1f} % on {facts['held_out_pictures']} held-out "
            f"images of {facts['classes']} classes (chance {100 * facts['chance']:.1f} %)")
    if facts['accuracy'] < minimum:
        text += (': it has not learned, so its scores will be refused; train it longer '
                 '(scorer.steps) or wider (scorer.filters)')
    return text
