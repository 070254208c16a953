"""SIGINT and SIGTERM: a job that can save what it has is asked first."""

import signal
from contextlib import contextmanager

from stackgan.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """A wish to stop. Unless a job defers it, a signal raises `Interrupted` at once."""

    def __init__(self):
        self.requested = False
        self.is_deferred = False

    @contextmanager
    def deferred(self):
        """Within the block the first signal only sets `requested`; a second one raises."""
        self.is_deferred = True
        try:
            yield self
        finally:
            self.is_deferred = False

    def _receive(self, number, frame):
        raise_now = self.requested or not self.is_deferred
        self.requested = True
        if raise_now:
            raise Interrupted(signal.Signals(number).name)


@contextmanager
def handled():
    """Turns SIGINT and SIGTERM into a `Stop` while the block runs."""
    stop = Stop()
    before = {number: signal.signal(number, stop._receive) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
