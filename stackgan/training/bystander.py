"""What a worker that keeps no records has in the place of a `Recorder`."""

from typing import Any, Dict

from stackgan.integrity import settle
from stackgan.training.trainable import Trainable


class Bystander:
    """Leaves all records to worker 0, whose variables and step it gets."""

    def __init__(
            self,
            trainable: Trainable,
            session: Any,          # tf.Session on the default graph
            stop: Any,             # `requested`, as jobs.engine.signals.Stop
    ) -> None:
        self.trainable, self.session, self.stop = trainable, session, stop

    def start(self) -> int:
        self.trainable.initialise(self.session)
        return 0

    def check_finite(self, losses: Dict[str, float], step: int) -> None:
        """Worker 0 has the same losses, and ends all."""

    def log(self, step: int, rate: float) -> None:
        """Worker 0 does."""

    def sample(self, step: int) -> None:
        """Worker 0 does."""

    def save(self, step: int) -> None:
        """Worker 0 does, if this worker has read no damaged file."""
        settle(self.stop)

    def wait(self) -> None:
        """There is nothing to wait for."""

    def finish(self) -> str:
        return ''
