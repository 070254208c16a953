"""Fitting a network with Adam along a half cosine: steps, records, checkpoints, exact resume.

For the small networks beside the GAN (text encoder, scorer). Everything that is not in a
checkpoint is a function of the step: batch = f(seed, step), learning rate = f(step). So a fitting
that was interrupted resumes exactly.
"""

import json
import logging
import math
import os
from contextlib import closing
from typing import Any, Callable, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import read_facts, restore
from stackgan.errors import Interrupted, StackganError
from stackgan.files import atomic_write
from stackgan.integrity import settle
from stackgan.networks.layers import BATCH_NORM_DECAY
from stackgan.platforms.session import on_host, open_session
from stackgan.prefetch import prefetch
from stackgan.progress import Progress

logger = logging.getLogger(__name__)

STATS = 'stats.jsonl'
LOG_EVERY_STEPS = 10
PREFETCHED = 2               # batches made ahead


class Network(NamedTuple):
    """A fitting step as a graph."""

    graph: Any
    learning_rate: Any       # placeholder, scalar
    loss: Any                # of the batch before the update
    update: Any              # one step of Adam and of the batch norms' moving statistics
    is_finite: Any           # whether all variables are
    variables: Any
    saver: Any


class Plan(NamedTuple):
    """How a network is fitted."""

    label: str               # of the progress bar
    unit: str                # what a batch is made of, plural
    section: str             # of the configuration, for advice
    batch_size: int
    steps: int
    learning_rate: float     # at the start
    checkpoint_every_steps: int
    feed: Callable           # step, from 0 -> {placeholder: array}


def learning_rate(
        step,                # from 0
        initial,
        steps,               # in all
):
    """Half a cosine from `initial` to zero."""
    return initial * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def network_of(
        loss,                # scalar, in the default graph
        statistics,          # of the `ForwardMode` through the network
):
    """`Network` that lessens a loss."""
    rate = tf.placeholder(tf.float32, [], 'learning_rate')
    update = tf.group(
        tf.train.AdamOptimizer(rate).minimize(loss),
        *[moving.assign_sub((1.0 - BATCH_NORM_DECAY) * (moving - value))
          for moving, value in statistics])
    variables = tf.global_variables()
    is_finite = tf.reduce_all([tf.reduce_all(tf.is_finite(v)) for v in variables])
    return Network(tf.get_default_graph(), rate, loss, update, is_finite, variables,
                   tf.train.Saver(variables, max_to_keep=None))


def fit(
        network,             # Network
        plan,                # Plan
        checkpoints,         # Checkpoints; may hold those of an interrupted fitting
        folder,              # gets stats.jsonl
        platform,            # the `platform` section
        stop,                # `deferred()` and `requested`, as jobs.engine.signals.Stop
):
    """Makes the steps that are left.

    Raises Interrupted, with everything saved, when a stop is requested; StackganError when the
    loss or a variable is NaN or infinite.
    """
    checkpoints.clean()
    with open_session(on_host(platform), network.graph) as session:
        first = _start(session, network, checkpoints)
        if first == plan.steps:
            return
        _forget_after(first, os.path.join(folder, STATS))
        with stop.deferred():
            _steps(session, network, plan, folder, checkpoints, first, stop)


def _steps(session, network, plan, folder, checkpoints, first, stop):
    """Steps `first` to the last one."""
    feeds = prefetch((plan.feed(step) for step in range(first, plan.steps)), PREFETCHED)
    with closing(feeds), Progress(plan.label, plan.steps * plan.batch_size, plan.unit,
                                  first * plan.batch_size) as progress, \
            open(os.path.join(folder, STATS), 'a') as stats:
        for step, feed in enumerate(feeds, first):
            rate = learning_rate(step, plan.learning_rate, plan.steps)
            feed[network.learning_rate] = rate
            loss, _ = session.run([network.loss, network.update], feed)
            done = step + 1
            _check_finite(np.isfinite(loss), step, plan, checkpoints)
            progress.advance(plan.batch_size, f'loss {loss:.4f}')
            if done % LOG_EVERY_STEPS == 0 or done == plan.steps:
                stats.write(json.dumps({
                    'step': done, 'loss': float(loss), 'learning_rate': rate,
                    f'{plan.unit}_per_second': round(progress.rate(), 1)}) + '\n')
            if (done % plan.checkpoint_every_steps == 0 or done == plan.steps
                    or stop.requested):
                _check_finite(session.run(network.is_finite), step, plan, checkpoints)
                settle(stop)             # nothing is kept of what damaged files taught
                stats.flush()
                checkpoints.save(session, network.saver, done, {'loss': float(loss)})
            if stop.requested:
                raise Interrupted('a signal after step %d' % done)


def _start(session, network, checkpoints):
    """Fills the variables and returns the number of steps they have seen."""
    path = checkpoints.last()
    if path is None:
        with network.graph.as_default():
            session.run(tf.variables_initializer(network.variables))
        return 0
    restore(session, network.saver, network.variables, path)
    step = read_facts(path)['step']
    logger.info('resuming after step %d' % step)
    return step


def _forget_after(step, path):
    """Removes lines of stats.jsonl that the steps to come will write again."""
    if os.path.exists(path):
        with open(path, encoding='utf-8') as stream:
            lines = [line for line in stream if line.endswith('\n')]   # a kill may cut the last
        with atomic_write(path, 'w') as stream:
            stream.writelines(line for line in lines if json.loads(line)['step'] <= step)


def _check_finite(is_finite, step, plan, checkpoints):
    if not is_finite:
        raise StackganError(
            'the loss or a weight is NaN or infinite at step %d; last good checkpoint: %s; '
            'lower %s.learning_rate'
            % (step + 1, checkpoints.last() or 'none', plan.section))
