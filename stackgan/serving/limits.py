"""How much is taken from visitors."""

import math
import threading
import time
from collections import OrderedDict, deque
from typing import NamedTuple

from stackgan.serving.refusals import Refusal


class Limits(NamedTuple):
    """Bounds of a server; what goes beyond is refused with a reason."""

    body_bytes: int = 16384       # of a request
    caption_characters: int = 500
    count: int = 8                # type: ignore    # images of one request
    queue: int = 16               # drawings that wait, the one under way included
    rate: int = 30                # drawings of one address ...
    rate_seconds: float = 60.0    # ... within this time
    seconds: float = 60.0         # that a generation may take, waiting included
    start_seconds: float = 60.0   # for the worker to start and to load its libraries
    drawing_seconds: float = 30.0     # that a generation may take in the worker
    worker_bytes: int = 4 << 30   # that the worker may allocate
    strikes: int = 2              # times a run may end the worker in a row ...
    strike_seconds: float = 600.0     # ... before it is not generated with for this long
    gallery: int = 60             # images kept in memory
    runs: int = 3                 # whose models stay loaded
    addresses: int = 10000        # whose rate is remembered


class Rates:
    """Drawings by address in the last while. For any number of threads."""

    def __init__(
            self,
            limits,           # Limits
            clock=time.monotonic,
    ):
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        self._times = OrderedDict()           # address -> times, that of the last visitor last

    def admit(
            self,
            address,          # of the visitor
    ):
        """Counts a generation. Raises Refusal where the address has had its share."""
        limits, now = self._limits, self._clock()
        with self._lock:
            times = self._times.setdefault(address, deque())
            self._times.move_to_end(address)
            while len(self._times) > limits.addresses:
                self._times.popitem(last=False)
            while times and times[0] <= now - limits.rate_seconds:
                times.popleft()
            if len(times) >= limits.rate:
                wait = math.ceil(times[0] + limits.rate_seconds - now)
                raise Refusal(429, 'Too many requests from your address (limit: %d in %g s); '
                              'try again in %d s' % (limits.rate, limits.rate_seconds, wait), wait)
            times.append(now)


class Strikes:
    """Runs that ended the worker, each of which kept others waiting. For any number of threads."""

    def __init__(
            self,
            limits,           # Limits
            clock=time.monotonic,
    ):
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        self._found = {}                      # name of a run -> (times in a row, when, how)

    def add(
            self,
            name,             # of a run
            how,              # it ended the worker
    ):
        with self._lock:
            times = self._found.get(name, (0,))[0] + 1
            self._found[name] = (times, self._clock(), how)

    def forgive(self, name):
        """After a generation that succeeded."""
        with self._lock:
            self._found.pop(name, None)

    def fault_of(
            self,
            name,             # of a run
    ):
        """Why it is not generated with for a while, or None."""
        times, when, how = self._found.get(name, (0, 0, ''))
        left = when + self._limits.strike_seconds - self._clock()
        if times < self._limits.strikes or left <= 0:
            return None
        return ('its last %d requests ended the worker (the last: %s); it is available again '
                'in %d s' % (times, how, math.ceil(left)))
