"""The one training loop: steps, records, checkpoints, exact resume.

All that a step depends on is in a checkpoint or is a function of the seed and the step (batch,
noise, learning rates), so a training that was interrupted resumes to the bit.
"""

import time
from contextlib import ExitStack, closing
from typing import Any, Dict, Optional, Sequence, Union

import tensorflow.compat.v1 as tf

from stackgan.errors import Interrupted, StackganError
from stackgan.integrity import settle
from stackgan.platforms.workers import Workers
from stackgan.progress import Progress
from stackgan.training.bystander import Bystander
from stackgan.training.loggers import Loggers, TrainingLogger
from stackgan.training.recorder import Recorder
from stackgan.training.trainable import Trainable
from stackgan.training.writer import Writer


def run(
        trainable: Trainable,
        folder: str,      # where records and checkpoints go; may hold an unfinished training
        session: Any,     # tf.Session on the default graph
        stop: Any,        # jobs.engine.signals.Stop or alike: `deferred()`, `requested`
        loggers: Sequence[TrainingLogger] = (),     # get the records too, from worker 0
        workers: Optional[Workers] = None,     # that train together; None: there is one
) -> str:
    """Trains to the end and returns the path of the last checkpoint ('' but on worker 0).

    Raises Interrupted after saving when a stop was requested, StackganError when memory is
    exhausted or a loss or a variable is NaN or infinite, InputError for a checkpoint that does not
    fit.
    """
    told, is_finished = Loggers(loggers), False
    try:
        with Writer() as writer:
            recorder: Union[Recorder, Bystander]
            if workers is None or workers.rank == 0:
                recorder = Recorder(trainable, folder, session, stop, writer, told)
            else:
                recorder = Bystander(trainable, session, stop)
            first = recorder.start()
            if workers is not None:
                first = workers.align(session, first)
            _run_steps(trainable, recorder, session, stop, first, workers)
            if workers is not None:
                workers.channel.rest()
            last = recorder.finish()
        is_finished = True
    finally:
        told.close(is_finished)
    return last


def _run_steps(trainable: Trainable, recorder: Union[Recorder, Bystander], session: Any, stop: Any,
               first: int, workers: Optional[Workers]) -> None:
    """Makes the steps that are left: `first` were made before."""
    plan = trainable.plan
    with ExitStack() as stack:
        stack.enter_context(stop.deferred())
        feeds = stack.enter_context(closing(trainable.feeds(first)))
        progress = stack.enter_context(Progress(
            plan.label, plan.steps * plan.batch_size, plan.unit, first * plan.batch_size))
        clock = _Clock()
        for step, feed in zip(range(first + 1, plan.steps + 1), feeds):
            losses = _make_step(trainable, session, feed, stop, workers)
            recorder.check_finite(losses, step)
            trainable.count(losses)
            clock.stop()
            progress.advance(plan.batch_size, trainable.note(losses))
            is_last = step == plan.steps
            if step - first == plan.steps_per_epoch:
                settle(stop)         # a damaged file of the dataset ends the first epoch at latest
            if is_last or step % plan.log_every_steps == 0:
                recorder.log(step, plan.batch_size * clock.rate())
            if plan.sample_every_steps and (is_last or step % plan.sample_every_steps == 0):
                recorder.sample(step)
            # Looked at once: a request may come between two lines.
            stops = stop.requested if workers is None else workers.stops
            if workers is not None and (is_last or stops or step % workers.check_every_steps == 0):
                workers.compare(session, step)
            if is_last or stops or step % plan.checkpoint_every_steps == 0:
                recorder.save(step)
            if is_last or stops:
                recorder.wait()
            if stops and not is_last:
                raise Interrupted(f'a signal at step {step} of {plan.steps}')
            clock.start()


def _make_step(trainable: Trainable, session: Any, feed: Dict[Any, Any], stop: Any,
               workers: Optional[Workers]) -> Dict[str, float]:
    """Makes a step and returns its losses. Raises StackganError when memory is exhausted."""
    try:
        if workers is not None:
            return workers.step(session, trainable.update, feed, stop.requested)
        _, losses = session.run([trainable.update, trainable.losses], feed)
    except tf.errors.ResourceExhaustedError as error:
        plan, lines = trainable.plan, str(error.message).splitlines() or ['']
        reason = next((line for line in lines if 'OOM' in line), lines[-1])     # after a traceback
        size = 1 if workers is None else workers.size
        smaller = max(2, size, plan.batch_size // 2 // size * size)
        raise StackganError(
            f'out of memory in a step of {plan.batch_size} {plan.unit} '
            f'({reason.strip()[:200]}); try {plan.batch_key}={smaller}, '
            'or end other programs that use the device') from None
    return {name: float(value) for name, value in losses.items()}


class _Clock:
    """Times steps, each with the wait for its batch and without what is recorded after it."""

    def __init__(self) -> None:
        self.seconds, self.steps = 0.0, 0
        self.start()

    def start(self) -> None:
        self.started = time.monotonic()

    def stop(self) -> None:
        self.seconds += time.monotonic() - self.started
        self.steps += 1

    def rate(self) -> float:
        """Steps a second since the last call."""
        rate = self.steps / max(self.seconds, 1e-9)
        self.seconds, self.steps = 0.0, 0
        return rate
