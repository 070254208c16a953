"""What a training leaves behind: statistics, sample grids, checkpoints to resume from."""

import logging
import math
import os
from functools import partial
from typing import Any, Callable, Dict, Optional

import tensorflow.compat.v1 as tf

from stackgan import checkpoints
from stackgan.checkpoints import Checkpoints
from stackgan.errors import InputError, StackganError
from stackgan.integrity import settle
from stackgan.training.loggers import Loggers
from stackgan.training.records import Records, sample_path
from stackgan.training.snapshot import Snapshot, Snapshots
from stackgan.training.trainable import Trainable
from stackgan.training.writer import Writer

logger = logging.getLogger(__name__)


class Recorder:
    """Has a thread write the records of one training, and resumes it from its checkpoints.

    The thread writes in the order of the steps: when a checkpoint is there, so is all before it.
    """

    def __init__(
            self,
            trainable: Trainable,
            folder: str,           # of the training
            session: Any,          # tf.Session on the default graph, which gets a saver
            stop: Any,             # `requested`, as jobs.engine.signals.Stop
            writer: Writer,
            loggers: Loggers,      # get the records too
    ) -> None:
        self.trainable, self.plan = trainable, trainable.plan
        self.folder, self.session, self.stop, self.writer = folder, session, stop, writer
        self.loggers = loggers
        self.variables = tf.global_variables()
        self.saver = tf.train.Saver(self.variables, max_to_keep=None)
        self.snapshots = Snapshots(self.variables)
        self.is_writing = False          # a checkpoint
        self.store = Checkpoints(os.path.join(folder, 'checkpoints'), self.plan.keep_checkpoints)

    def start(self) -> int:
        """Fills the variables, from the newest checkpoint if there is one; returns its step.

        Grids of before the first step and after the last are sampled where there are none: the
        training is new, or they were lost.
        """
        self.store.clean()
        last, first = self.store.last(), 0
        self.loggers.start(self.folder, 0 if last is None else
                           int(checkpoints.read_facts(last)['step']))
        lacks_first_grid = self._lacks_grid(0)
        self.trainable.initialise(self.session)
        if last is None or lacks_first_grid:
            self.trainable.fill(self.session)
        if lacks_first_grid:
            self.sample(0)
        if last is not None:
            first = self._restore(last)
        self.records = Records(self.folder, first, has_images=bool(self.plan.sample_every_steps))
        if first == self.plan.steps and self._lacks_grid(first):
            self.sample(first)
        return first

    def _lacks_grid(self, step: int) -> bool:
        return bool(self.plan.sample_every_steps
                    and not os.path.exists(sample_path(self.folder, step)))

    def _restore(self, path: str) -> int:
        facts, steps = checkpoints.read_facts(path), self.plan.steps
        checkpoints.restore(self.session, self.saver, self.variables, path)
        step = int(facts['step'])
        if step > steps:
            raise InputError(f'{path}: trained for {step} steps, more than the {steps} that '
                             f'{self.plan.length} makes; raise it, or pass --restart to train anew')
        self.trainable.resume(facts)
        logger.info(f'resuming from step {step} of {steps}')
        return step

    def check_finite(self, losses: Dict[str, float], step: int) -> None:
        """Raises StackganError for a loss that is NaN or infinite."""
        for name, value in losses.items():
            if not math.isfinite(value):
                raise self._diverged(f'{name} is {value}', step)

    def _diverged(self, what: str, step: int) -> StackganError:
        self.writer.wait()               # for the last good checkpoint
        return StackganError(f'{what} at step {step}, the training has diverged; the last good '
                             f'checkpoint is {self.store.last() or "none"}. {self.plan.advice}')

    def log(self, step: int, rate: float) -> None:
        """Appends the losses since the last time; `rate`: units a second."""
        self.writer.submit(partial(self._write_stats, step, self.trainable.summary(step, rate)))

    def sample(self, step: int) -> None:
        """Generates a grid of samples, which the thread writes."""
        path = sample_path(self.folder, step)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.writer.submit(partial(self._write_sample, step, self.trainable.sample(self.session),
                                   path))

    def _write_stats(self, step: int, values: Dict[str, float]) -> None:
        self.records.stats(step, values)
        self.loggers.stats(step, values)

    def _write_sample(self, step: int, write: Callable[[str], None], path: str) -> None:
        write(path)
        self.loggers.sample(step, path)

    def save(self, step: int) -> None:
        """Copies what a checkpoint holds, which the thread writes.

        Waits until the one before it is written: memory holds one copy of the variables.
        Raises StackganError where a variable is NaN or infinite.
        """
        if self.is_writing:
            self.writer.wait()
        snapshot = self.snapshots.take(self.session)
        if not snapshot.are_finite:
            raise self._diverged('a variable is NaN or infinite', step)
        compute_distance = self.trainable.distance(self.session)
        self.is_writing = True
        self.writer.submit(partial(self._write_checkpoint, step, snapshot, compute_distance,
                                   self.trainable.facts()))

    def _write_checkpoint(
            self,
            step: int,
            snapshot: Snapshot,
            compute_distance: Optional[Callable[[], float]],
            facts: Dict[str, Any],
    ) -> None:
        if compute_distance is not None:
            facts['distance'] = compute_distance()
        settle(self.stop)                # nothing is kept of what was learned from damaged files
        if compute_distance is not None:
            self._write_stats(step, {'sliced_wasserstein': facts['distance']})
        self.store.write(step, facts, partial(self.snapshots.write, snapshot))
        self.is_writing = False

    def wait(self) -> None:
        """Waits until all is written."""
        self.writer.wait()

    def finish(self) -> str:
        """Closes the records and returns the path of the last checkpoint."""
        self.writer.wait()
        self.records.close()
        self.store.clean()
        last, best = self.store.last(), self.store.best()
        assert last is not None and best is not None
        is_rated = checkpoints.read_facts(best).get('distance') is not None
        logger.info(f'trained {self.plan.steps} steps of {self.plan.batch_size} {self.plan.unit}; '
                    f'last checkpoint {os.path.basename(last)}'
                    + (f', best by sliced Wasserstein distance {os.path.basename(best)}'
                       if is_rated else ''))
        return last
