"""Training of the text encoder against an image encoder (Reed et al., CVPR 2016).

Everything that is not in a checkpoint is a function of the step: batch = f(seed, step), learning
rate = f(step). So a training that was interrupted goes on exactly.

Differs from reedscot/cvpr2016: pictures instead of fixed features of a pretrained network, with
the image encoder learning along, and so another form of the loss (see `joint_embedding`); Adam
along a half cosine instead of RMSprop with lr * 0.98.
"""

import json
import math
import os
from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import Checkpoints, read_facts, restore
from stackgan.data.prepared import Split, open_dataset
from stackgan.errors import InputError, Interrupted, StackganError
from stackgan.files import atomic_write, write_json
from stackgan.networks.layers import BATCH_NORM_DECAY, Pass
from stackgan.platforms.session import on_host, open_session
from stackgan.progress import Progress
from stackgan.text.alphabet import MAX_LENGTH, faults_of_captions
from stackgan.text.char_cnn_rnn import text_encoder
from stackgan.text.encoder import OPTIONS, ImageEncoder, TextEncoder
from stackgan.text.finishing import finish
from stackgan.text.image_encoder import SIZE, as_floats, image_encoder
from stackgan.text.joint_embedding import joint_embedding_loss
from stackgan.text.pairs import Pairs
from stackgan.text.retrieval import evaluate

LABEL = 'train-text-encoder'
CHECKPOINTS = 'checkpoints'
STATS = 'stats.jsonl'
LOG_EVERY_STEPS = 10
KEPT_CHECKPOINTS = 2


class Network(NamedTuple):
    """A training step as a graph."""

    graph: Any
    codes: Any               # placeholder [B, 201] uint8
    pictures: Any            # placeholder [B, 64, 64, 3] uint8
    learning_rate: Any       # placeholder, scalar
    loss: Any                # of the batch before the update
    update: Any              # one step of Adam and of the batch norms' moving statistics
    is_finite: Any           # whether all variables are
    variables: Any
    saver: Any


def train_text_encoder(
        prepared_folder,     # of the dataset
        folder,              # to write to; may hold the checkpoints of an interrupted training
        settings,            # the `text` section
        embedding_dim,
        seed,
        platform,            # the `platform` section
        say,                 # prints a line
        stop,                # `deferred()` and `requested`, as jobs.signals.Stop
):
    """Trains, then scores retrieval on the test split.

    Leaves checkpoints/ of the training, encoder/ and options.json (what `TextEncoder` needs),
    stats.jsonl and retrieval.json.
    Raises Interrupted, with everything saved, when a stop is requested.
    """
    dataset = open_dataset(prepared_folder)
    pairs = _training_pairs(dataset, say)
    batch_size = min(settings.batch_size, len(pairs.members))
    options = {
        'cell': settings.cell, 'filters': list(settings.filters),
        'image_filters': settings.image_filters, 'embedding_dim': embedding_dim,
        'max_length': MAX_LENGTH, 'seed': seed, 'steps': settings.steps, 'batch_size': batch_size,
        'tensorflow': tf.__version__,
    }
    write_json(os.path.join(folder, OPTIONS), options)
    checkpoints = Checkpoints(os.path.join(folder, CHECKPOINTS), KEPT_CHECKPOINTS)
    _train(pairs, checkpoints, folder, settings, options, platform, say, stop)
    finish(pairs, checkpoints.last(), folder, platform)
    with TextEncoder(folder, platform) as text, ImageEncoder(folder, platform) as image:
        score = evaluate(Pairs(Split(dataset, 'test')), text, image)
    write_json(os.path.join(folder, 'retrieval.json'), score)
    say(_sentence(score))


def _training_pairs(dataset, say):
    pairs = Pairs(Split(dataset, 'train'))
    if len(pairs.members) < 2:
        raise InputError('%s: all training images are of one class; the text encoder learns from '
                         'differences between at least 2' % dataset.folder)
    for fault in faults_of_captions(pairs.captions):
        say(fault)
    return pairs


def _train(pairs, checkpoints, folder, settings, options, platform, say, stop):
    network = build(options)
    with open_session(on_host(platform), network.graph) as session:
        first = _start(session, network, checkpoints, say)
        if first == settings.steps:
            return
        _forget_after(first, os.path.join(folder, STATS))
        say('%s, %d pairs a step%s, steps %d to %d' % (
            settings.cell, options['batch_size'],
            ' (as many as there are classes)' if options['batch_size'] < settings.batch_size
            else '', first + 1, settings.steps))
        with stop.deferred():
            _steps(session, network, pairs, folder, settings, options, checkpoints, first, stop)


def _steps(session, network, pairs, folder, settings, options, checkpoints, first, stop):
    """Steps `first` to the last one."""
    batch_size, total = options['batch_size'], settings.steps
    with Progress(LABEL, total * batch_size, 'pairs', first * batch_size) as progress, \
            open(os.path.join(folder, STATS), 'a') as stats:
        for step in range(first, total):
            rate = learning_rate(step, settings.learning_rate, total)
            codes, pictures = pairs.batch(batch_size, options['seed'], step)
            loss, _ = session.run([network.loss, network.update], {
                network.codes: codes, network.pictures: pictures, network.learning_rate: rate})
            done = step + 1
            _check_finite(np.isfinite(loss), step, checkpoints)
            progress.advance(batch_size, 'loss %.4f' % loss)
            if done % LOG_EVERY_STEPS == 0 or done == total:
                stats.write(json.dumps({
                    'step': done, 'loss': float(loss), 'learning_rate': rate,
                    'pairs_per_second': round(progress.rate(), 1)}) + '\n')
            if done % settings.checkpoint_every_steps == 0 or done == total or stop.requested:
                _check_finite(session.run(network.is_finite), step, checkpoints)
                stats.flush()
                checkpoints.save(session, network.saver, done, {'loss': float(loss)})
            if stop.requested:
                raise Interrupted('a signal after step %d' % done)


def learning_rate(
        step,                # from 0
        initial,
        steps,               # in all
):
    """Half a cosine from `initial` to zero."""
    return initial * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def build(
        options,             # what options.json holds
):
    """`Network` of a training step."""
    batch_size, embedding_dim = options['batch_size'], options['embedding_dim']
    graph = tf.Graph()
    with graph.as_default():
        tf.set_random_seed(options['seed'])
        codes = tf.placeholder(tf.uint8, [batch_size, MAX_LENGTH], 'codes')
        pictures = tf.placeholder(tf.uint8, [batch_size, SIZE, SIZE, 3], 'pictures')
        rate = tf.placeholder(tf.float32, [], 'learning_rate')
        mode = Pass(training=True, statistics=[])
        text = text_encoder(codes, options['cell'], options['filters'], embedding_dim)
        image = image_encoder(as_floats(pictures), options['image_filters'], embedding_dim, mode)
        loss = joint_embedding_loss(text, image)
        update = tf.group(
            tf.train.AdamOptimizer(rate).minimize(loss),
            *[moving.assign_sub((1.0 - BATCH_NORM_DECAY) * (moving - value))
              for moving, value in mode.statistics])
        variables = tf.global_variables()
        is_finite = tf.reduce_all([tf.reduce_all(tf.is_finite(v)) for v in variables])
        return Network(graph, codes, pictures, rate, loss, update, is_finite, variables,
                       tf.train.Saver(variables, max_to_keep=None))


def _start(session, network, checkpoints, say):
    """Fills the variables and returns the number of steps they have seen."""
    path = checkpoints.last()
    if path is None:
        with network.graph.as_default():
            session.run(tf.variables_initializer(network.variables))
        return 0
    restore(session, network.saver, network.variables, path)
    step = read_facts(path)['step']
    say('goes on after step %d' % step)
    return step


def _forget_after(step, path):
    """Removes lines of stats.jsonl that the steps to come will write again."""
    if os.path.exists(path):
        with open(path, encoding='utf-8') as stream:
            lines = [line for line in stream if line.endswith('\n')]   # a kill may cut the last
        with atomic_write(path, 'w') as stream:
            stream.writelines(line for line in lines if json.loads(line)['step'] <= step)


def _check_finite(is_finite, step, checkpoints):
    if not is_finite:
        raise StackganError(
            'not a number at step %d; last good checkpoint: %s; try a lower text.learning_rate'
            % (step + 1, checkpoints.last() or 'none'))


def _sentence(score):
    """One line on retrieval.json."""
    top1, top5, by_class = [score[name] for name in (
        'caption_to_image_top1', 'caption_to_image_top5', 'caption_to_class')]
    return ('retrieval on %d held-out classes, %d images: a caption finds its class in %.1f %% '
            '(chance %.1f %%), an image of it first in %.1f %% (%.1f %%), among the first five '
            'in %.1f %% (%.1f %%)' % (
                (score['classes'], score['images']) + tuple(
                    100.0 * figure[kind] for figure in (by_class, top1, top5)
                    for kind in ('value', 'chance'))))
