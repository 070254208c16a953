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
    count: int = 8                # pictures of one request
    queue: int = 16               # drawings that wait, the one under way included
    rate: int = 30                # drawings of one address ...
    rate_seconds: float = 60.0    # ... within this time
    seconds: float = 60.0         # that a drawing may take, waiting included
    gallery: int = 60             # pictures kept in memory
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
        """Counts a drawing. Raises Refusal where the address has had its share."""
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
                raise Refusal(429, 'Too many drawings from your address: at most %d in %g seconds; '
                              'try again in %d' % (limits.rate, limits.rate_seconds, wait), wait)
            times.append(now)
