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

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.auxiliary_training import Plan, fit, network_of
from stackgan.checkpoints import Checkpoints, read_facts, restore
from stackgan.data.noise import random_state
from stackgan.data.prepared import HIGH, Split, open_dataset
from stackgan.files import write_json
from stackgan.networks.layers import ForwardMode
from stackgan.platforms.session import on_host, open_session
from stackgan.scoring.extractors import SCORER, open_scorer
from stackgan.scoring.scorer_network import scorer
from stackgan.scoring.views import SEEN, real_image, resized

logger = logging.getLogger(__name__)

LABEL = 'train-scorer'
KEPT_CHECKPOINTS = 2
EVALUATED = 64             # images at once


def train_scorer(
        prepared_folder,     # of the dataset
        folder,              # to write to; may hold the checkpoints of an interrupted training
        settings,            # the `scorer` section
        platform,            # the `platform` section
        stop,                # `deferred()` and `requested`, as jobs.engine.signals.Stop
):
    """Trains and measures. Raises Interrupted, with everything saved, when a stop is requested.

    A scorer that has not learned is kept with its accuracy, and of a dataset that can have none
    the reason is: it is scores that are refused, and the chain goes on.
    """
    dataset = open_dataset(prepared_folder)
    split = Split(dataset, settings.split)
    classes, labels = np.unique(split.class_ids, return_inverse=True)
    held_out = hold_out(labels, settings.held_out_share, settings.seed)
    if len(classes) < 2 or not held_out.any():
        return _give_up(folder, len(classes))
    logger.info('%d classes, %d images to learn from, %d held out'
        % (len(classes), (~held_out).sum(), held_out.sum()))
    checkpoints = Checkpoints(os.path.join(folder, 'checkpoints'), KEPT_CHECKPOINTS)
    network, variables, feed = _network(split, labels, np.flatnonzero(~held_out), len(classes),
                                        settings)
    plan = Plan(LABEL, 'images', 'scorer', settings.batch_size, settings.steps,
                settings.learning_rate, settings.checkpoint_every_steps, feed)
    fit(network, plan, checkpoints, folder, platform, stop)
    _keep(network.graph, variables, checkpoints.last(), folder, platform)
    facts = {
        'split': settings.split, 'classes': len(classes), 'side': settings.side,
        'filters': settings.filters, 'blocks': settings.blocks, 'steps': settings.steps,
        'seed': settings.seed,
        'pictures': int((~held_out).sum()), 'held_out_pictures': int(held_out.sum()),
        'class_names': [dataset.classes[number] for number in classes],
        'chance': 1.0 / len(classes), 'accuracy': None}
    write_json(os.path.join(folder, SCORER), facts)
    facts['accuracy'] = accuracy(folder, split, labels, np.flatnonzero(held_out), platform)
    write_json(os.path.join(folder, SCORER), facts)
    logger.info(describe(facts, settings.minimum_accuracy))


def _give_up(folder, classes):
    """Writes scorer.json of a dataset that has no scorer: the chain goes on without its scores."""
    reason = ('a scorer needs two classes of images or more, and one with two images '
              'of which one can be held out; there are %d classes%s'
              % (classes, ', each of one image' if classes > 1 else ''))
    write_json(os.path.join(folder, SCORER), {'accuracy': None, 'reason': reason})
    logger.info('no scorer is trained: ' + reason)


def hold_out(
        labels,              # [images] int: classes
        share,               # of each class
        seed,
):
    """[images] bool: of each class with two images or more at least one, never all."""
    random, held_out = random_state(seed, 'scorer: held out'), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        count = min(max(1, int(round(share * len(members)))), len(members) - 1)
        held_out[members[:count]] = True
    return held_out


def _network(split, labels, images, classes, settings):
    """(fitting.Network, variables of the scorer, feed of a step)."""
    size, side = settings.batch_size, settings.side
    with tf.Graph().as_default():
        tf.set_random_seed(settings.seed)
        placeholder = tf.placeholder(tf.uint8, [size, side, side, 3], 'images')
        targets = tf.placeholder(tf.int32, [size], 'targets')
        mode = ForwardMode(training=True, statistics=[])
        seen = scorer(tf.cast(placeholder, tf.float32) / 127.5 - 1.0, classes, settings.filters,
                      settings.blocks, mode)
        variables = tf.global_variables()
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=targets, logits=seen.logits))
        network = network_of(loss, mode.statistics)

    def feed(step):
        random = random_state(settings.seed, 'scorer: batch', step)
        chosen = images[random.randint(0, len(images), size)]
        return {placeholder: np.stack([_varied(split, image, random, side) for image in chosen]),
                targets: labels[chosen]}

    return network, variables, feed


def _varied(split, image, random, side):
    """A random crop, mirrored half of the time."""
    top, left = random.randint(0, HIGH - SEEN + 1, 2)
    pixels = resized(real_image(split, image, top, left), side)
    return pixels[:, ::-1] if random.randint(2) else pixels


def _keep(graph, variables, path, folder, platform):
    """Writes network/: what is left of the last checkpoint without the optimiser."""
    with open_session(on_host(platform), graph) as session, graph.as_default():
        saver = tf.train.Saver(variables)
        restore(session, saver, variables, path, is_part=True)
        Checkpoints(os.path.join(folder, 'network'), keep=1).save(
            session, saver, read_facts(path)['step'], {})


def accuracy(
        folder,              # of the scorer
        split,               # data.prepared.Split
        labels,              # [images] int
        images,              # indices of the images to look at
        platform,            # the `platform` section
):
    """Share in [0, 1] of images whose class is the most likely one."""
    right = 0
    with open_scorer(folder, platform) as network:
        for start in range(0, len(images), EVALUATED):
            part = images[start:start + EVALUATED]
            logits, _ = network.run([network.prepare(real_image(split, i)) for i in part])
            right += int((logits.argmax(1) == labels[part]).sum())
    return right / float(len(images))


def describe(
        facts,               # of scorer.json
        least,               # accuracy from which on it may score
):
    """One line for people."""
    text = ('accuracy %.1f %% on %d held-out images of %d classes (chance %.1f %%)'
            % (100 * facts['accuracy'], facts['held_out_pictures'], facts['classes'],
               100 * facts['chance']))
    if facts['accuracy'] < least:
        text += (': it has not learned, so its scores will be refused; train it longer '
                 '(scorer.steps) or wider (scorer.filters)')
    return text
