"""Being asked to stop: a job that can save what it has is asked first."""

import signal
import threading
from contextlib import contextmanager

from stackgan.errors import Interrupted

# Ctrl-C; a scheduler, an engine or `kill`; a terminal or an SSH session that ends.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heeded():
    """The signals that ask this process to stop, without those it was started to ignore (nohup).

    SIGINT is heeded in any case: a shell lets all its background jobs ignore it, and who sends
    it to one by `kill` means it. A thread besides the main one cannot heed any.
    """
    if threading.current_thread() is not threading.main_thread():
        return ()
    return tuple(number for number in SIGNALS
                 if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN)


class Stop:
    """A stop request. Unless a job defers it, a signal raises `Interrupted` at once."""

    def __init__(self):
        self.requested = False
        self.is_deferred = False

    @contextmanager
    def deferred(self):
        """Within the block a signal only sets `requested`; Ctrl-C after another one raises.

        SIGTERM and SIGHUP may come twice without anyone's impatience: from the system to all
        processes, and handed on by the process that started this one.
        """
        self.is_deferred = True
        try:
            yield self
        finally:
            self.is_deferred = False

    def _receive(self, number, frame):
        was_requested, self.requested = self.requested, True
        if number == signal.SIGINT if was_requested else not self.is_deferred:
            raise Interrupted(signal.Signals(number).name)


@contextmanager
def handled():
    """Turns SIGINT, SIGTERM and SIGHUP into a `Stop` while the block runs."""
    stop = Stop()
    before = {number: signal.signal(number, stop._receive) for number in heeded()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
