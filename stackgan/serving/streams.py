"""Streams of server-sent events. Each holds a thread of the server, so their number is bounded.

A stream ends by itself after a minute, and the browser opens the next: a client that has gone, or
does not read, holds its thread and what waits to be sent no longer than that.
"""

import threading
import time
from typing import Callable, Dict, Optional, Tuple

from stackgan.serving.refusals import Refusal

MAX_STREAMS = 16
MAX_OF_ADDRESS = 8           # behind a proxy or a bridge several visitors share an address
STREAM_SECONDS = 60.0
LOOK_SECONDS = 1.0           # between two looks for something new
PING_SECONDS = 10.0          # after which an idle stream sends a comment, which finds clients gone
RETRY_SECONDS = 2            # after which a browser opens the next stream


class Streams:
    """The open streams. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._open: Dict[str, int] = {}          # address: streams

    def __len__(self) -> int:
        return sum(self._open.values())

    def open(
            self,
            address: str,                             # of the visitor
            name: str,                                # of the events
            newest: Callable[[], Tuple[str, str]],    # (version, data as one line of text)
    ) -> 'Stream':
        """A stream, to be closed. Raises Refusal where there are too many."""
        with self._lock:
            if self.closed.is_set() or len(self) >= MAX_STREAMS \
                    or self._open.get(address, 0) >= MAX_OF_ADDRESS:
                raise Refusal(503, 'Too many live views are open; try again in a few seconds', 10)
            self._open[address] = self._open.get(address, 0) + 1
        return Stream(self, address, name, newest)

    def forget(self, address: str) -> None:
        with self._lock:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def close(self) -> None:
        """Ends all streams within about a second, and lets no new ones begin."""
        self.closed.set()


class Stream:
    """Gives an event at once, and one whenever the version changes; for one thread.

    An iterator with `close`, as WSGI has it, and not a generator: one that never started would
    not be told that it ends.
    """

    def __init__(self, streams: Streams, address: str, name: str,
                 newest: Callable[[], Tuple[str, str]]) -> None:
        self._streams, self._address, self._name = streams, address, name
        self._newest = newest
        self._version: Optional[str] = None
        self._is_open = True
        self._end = streams.clock() + STREAM_SECONDS

    def __iter__(self) -> 'Stream':
        return self

    def __next__(self) -> bytes:
        """The next event, or a comment after a while without one."""
        clock, ping = self._streams.clock, self._streams.clock() + PING_SECONDS
        is_first = self._version is None
        while is_first or not self._streams.closed.wait(LOOK_SECONDS):
            version, data = self._newest()
            if version != self._version:
                self._version = version
                start = f'retry: {1000 * RETRY_SECONDS}\n' if is_first else ''
                return f'{start}id: {version}\nevent: {self._name}\ndata: {data}\n\n'.encode()
            if clock() >= self._end:
                break
            if clock() >= ping:
                return b': still here\n\n'
        raise StopIteration

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._streams.forget(self._address)
