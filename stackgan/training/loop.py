"""The training loop of both stages: batches, steps, records, checkpoints, exact resume."""

import logging
import math
import os
import time
from typing import Any, Callable, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from stackgan import checkpoints
from stackgan.checkpoints import Checkpoints
from stackgan.errors import InputError, Interrupted, StackganError
from stackgan.integrity import settle
from stackgan.progress import Progress
from stackgan.training.records import Records, sample_path
from stackgan.training.schedule import ema_decay, learning_rate, total_steps

logger = logging.getLogger(__name__)

DIVERGED = ('%s is %s at step %d, the training has diverged; the last good checkpoint is %s. '
            'Lower the learning rates (train.*_learning_rate) or raise the batch size')


class Training(NamedTuple):
    """Everything the loop needs, put together by `training.stages`."""

    label: str                    # of the progress bar
    stage: int                    # 1 or 2
    batches: Any                  # data.batches.Batches
    graph: Any                    # types.TrainingGraph, in the default graph
    train: Any                    # the `train` section
    settings: Any                 # the `stage1` or `stage2` section
    facts: dict                   # for each checkpoint.json
    warm_start: Optional[Callable]    # (session): fills what comes from an earlier stage
    observer: Any                 # training.observer.Observer: sample grids and distance


def run(
        training,         # Training
        folder,           # where records and checkpoints go; may hold an unfinished training
        session,          # tf.Session on the graph of `training`
        stop,             # jobs.engine.signals.Stop or alike: `deferred()`, `requested`
):
    """Trains to the end and returns the path of the last checkpoint.

    Raises Interrupted after saving when a stop was requested, StackganError when a loss or a
    variable is no longer finite, InputError for a checkpoint that does not fit.
    """
    images, batch_size = len(training.batches.split), training.batches.batch_size
    steps = total_steps(training.settings.epochs, images, batch_size)
    variables = tf.global_variables()
    saver = tf.train.Saver(variables, max_to_keep=None)
    finite = _all_finite(variables)
    store = Checkpoints(folder + '/checkpoints', training.train.keep_checkpoints)
    store.clean()
    step, unlogged = _start(training, folder, session, saver, variables, store, steps)
    records, first = Records(folder, step), step
    stepper = _Stepper(training, session, images, batch_size, unlogged)

    def save():
        if not session.run(finite):
            raise StackganError(DIVERGED % ('a variable', 'not finite', step,
                                            store.last() or 'none'))
        distance = training.observer.distance(session)
        settle(stop)                     # nothing is kept of what was learned from damaged files
        records.stats(step, {'sliced_wasserstein': distance})
        store.save(session, saver, step, dict(training.facts, distance=distance,
                                              unlogged=stepper.unlogged()))

    with stop.deferred(), Progress(training.label, steps * batch_size, 'images',
                                   step * batch_size) as progress:
        if step == steps and not os.path.exists(records.sample_path(step)):     # lost since
            training.observer.grid(session, records.sample_path(step))
        for _, batch in training.batches.stream(step) if step < steps else ():
            values = stepper.step(step, batch)
            step += 1
            _check(values, step, store)
            if 0 <= (step - first) * batch_size - images < batch_size:
                settle(stop)             # told within the first epoch of this process
            progress.advance(batch_size, _note(values, training.stage))
            ends = step == steps
            if ends or step % training.train.log_every_steps == 0:
                records.stats(step, stepper.summary(step))
            if ends or step % training.train.sample_every_steps == 0:
                training.observer.grid(session, records.sample_path(step))
            if ends or stop.requested or step % training.train.checkpoint_every_steps == 0:
                save()
            if ends:
                break
            if stop.requested:
                raise Interrupted('a signal at step %d of %d' % (step, steps))
            stepper.start_clock()
    records.close()
    store.clean()
    logger.info('trained %d steps of %d images; last checkpoint %s, best by sliced Wasserstein '
                'distance %s'
        % (steps, batch_size, _name(store.last()), _name(store.best())))
    return store.last()


def _check(values, step, store):
    """Raises StackganError for a loss that is no number."""
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise StackganError(DIVERGED % (bad[0], values[bad[0]], step, store.last() or 'none'))


def _name(path):
    return path.rsplit('/', 1)[1]


def _all_finite(variables):
    return tf.reduce_all([tf.reduce_all(tf.is_finite(v)) for v in variables
                          if v.dtype.base_dtype.is_floating])


def _start(training, folder, session, saver, variables, store, steps):
    """Fills the variables, from the newest checkpoint if there is one; returns (step, unlogged).

    Leaves the grid of before the first step where there is none: it is new, or was lost.
    """
    last, grid = store.last(), sample_path(folder, 0)
    session.run(tf.global_variables_initializer())
    if last is None or not os.path.exists(grid):
        if training.warm_start:
            training.warm_start(session)
        session.run(training.graph.start_ema)
        os.makedirs(os.path.dirname(grid), exist_ok=True)
        training.observer.grid(session, grid)
    if last is None:
        return 0, None
    facts = checkpoints.read_facts(last)
    step = facts['step']
    checkpoints.restore(session, saver, variables, last)
    if step > steps:
        raise InputError('%s: trained for %d steps, more than the %d that %.6g epochs make; raise '
                         'stage%d.epochs, or pass --restart to train anew'
                         % (last, step, steps, training.settings.epochs, training.stage))
    logger.info('resuming from step %d of %d' % (step, steps))
    return step, facts['unlogged']


class _Stepper:
    """Runs steps and keeps the sums of the losses since the last summary."""

    def __init__(self, training, session, images, batch_size, unlogged):
        self.training, self.session = training, session
        self.images, self.batch_size = images, batch_size
        self.sums, self.count = unlogged or ({}, 0)
        self.seconds, self.timed = 0.0, 0           # of this process alone
        self.start_clock()

    def start_clock(self):
        """Begins the time of the next step, which includes the wait for its batch."""
        self.clock = time.monotonic()

    def unlogged(self):
        """[sums, count] that a checkpoint keeps, so that a resumed summary misses nothing."""
        return [self.sums, self.count]

    def rates(self, step):
        train, settings = self.training.train, self.training.settings
        return [learning_rate(base, step, self.batch_size, self.images,
                              settings.learning_rate_half_life_epochs)
                for base in (train.generator_learning_rate, train.discriminator_learning_rate)]

    def step(self, step, batch):
        """Makes step `step` (0-based) and returns its losses."""
        graph = self.training.graph
        feed = {placeholder: value for placeholder, value in zip(graph.batch, batch)
                if placeholder is not None}
        feed[graph.generator_learning_rate], feed[graph.discriminator_learning_rate] = \
            self.rates(step)
        if self.training.train.ema_decay is not None:
            feed[graph.ema_decay] = ema_decay(self.training.train.ema_decay, step)
        _, losses = self.session.run([graph.step, graph.losses], feed)
        values = {name: float(value) for name, value in losses.items()}
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1
        self.timed += 1
        self.seconds += time.monotonic() - self.clock
        return values

    def summary(self, step):
        """Mean losses since the last summary, learning rates, epoch, images a second."""
        values = {name: total / self.count for name, total in self.sums.items()}
        rates = self.rates(step - 1)
        values.update({
            'learning_rate/generator': rates[0], 'learning_rate/discriminator': rates[1],
            'epoch': step * self.batch_size / float(self.images),
            'images_per_second': self.timed * self.batch_size / max(self.seconds, 1e-9)})
        self.sums, self.count, self.seconds, self.timed = {}, 0, 0.0, 0
        return values


def _note(values, stage):
    prefix = 'stage%d/' % stage
    return 'D {:.2f}  G {:.2f}  KL {:.3f}'.format(values[prefix + 'discriminator'],
                                        values[prefix + 'generator_fake'], values[prefix + 'kl'])
