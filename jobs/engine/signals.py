"""Signals that stop a job: one that can save its work first may defer them."""

import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, Optional, Tuple

from stackgan.errors import Interrupted

# From Ctrl-C; from a scheduler, Docker or `kill`; from a terminal or SSH session that ends.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heeded() -> Tuple[signal.Signals, ...]:
    """The signals that stop this process, without those it was started to ignore (nohup).

    SIGINT is always among them: shells make background jobs ignore it, but sending it to one with
    `kill` is deliberate. Only the main thread can handle signals; in others there are none.
    """
    if threading.current_thread() is not threading.main_thread():
        return ()
    return tuple(number for number in SIGNALS
                 if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN)


class Stop:
    """A stop request. Unless a job defers it, a signal raises `Interrupted` at once."""

    def __init__(self) -> None:
        self.requested = False
        self.is_deferred = False

    @contextmanager
    def deferred(self) -> "Iterator['Stop']":
        """Within the block a signal only sets `requested`, but Ctrl-C raises the second time.

        SIGTERM and SIGHUP often come twice: from the system, which signals all processes, and
        from the parent process, which passes them on.
        """
        self.is_deferred = True
        try:
            yield self
        finally:
            self.is_deferred = False

    def _receive(self, number: int, frame: Optional[FrameType]) -> None:
        was_requested, self.requested = self.requested, True
        if number == signal.SIGINT if was_requested else not self.is_deferred:
            raise Interrupted(signal.Signals(number).name)


@contextmanager
def handled() -> Iterator[Stop]:
    """Turns SIGINT, SIGTERM and SIGHUP into a `Stop` while the block runs."""
    stop = Stop()
    before = {number: signal.signal(number, stop._receive) for number in heeded()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
