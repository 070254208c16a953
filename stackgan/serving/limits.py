"""Limits on what visitors may request."""

import math
import threading
import time
from collections import OrderedDict, deque
from typing import Callable, Deque, Dict, NamedTuple, Optional, Tuple

from stackgan.serving.refusals import Refusal


class Limits(NamedTuple):
    """Limits of a server; a request beyond them is refused with a reason."""

    body_bytes: int = 16384       # of a request
    caption_characters: int = 500
    count: int = 8                # type: ignore    # images of one request
    queue: int = 16               # waiting requests, including the one in progress
    rate: int = 30                # requests from one address ...
    rate_seconds: float = 60.0    # ... within this time
    seconds: float = 60.0         # that a request may take, waiting included
    start_seconds: float = 60.0   # for the worker to start and to load its libraries
    generation_seconds: float = 30.0  # that a request may take in the worker
    worker_bytes: int = 4 << 30   # that the worker may allocate
    strikes: int = 2              # times in a row that a run may end the worker ...
    strike_seconds: float = 600.0     # ... before it is suspended for this long
    gallery: int = 60             # images kept in memory
    runs: int = 3                 # whose models stay loaded
    addresses: int = 10000        # whose requests are counted


class Rates:
    """Recent requests by address. Thread-safe."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        self._times: 'OrderedDict[str, Deque[float]]' = OrderedDict()    # least recent first

    def admit(
            self,
            address: str,  # of the visitor
    ) -> None:
        """Counts a request. Raises Refusal where the address has used up its share."""
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
                raise Refusal(429, f'Too many requests from your address (limit: {limits.rate} in '
                                   f'{limits.rate_seconds:g} s); try again in {wait} s', wait)
            times.append(now)


NO_STRIKES = (0, 0.0, '')


class Strikes:
    """Runs that ended the worker, which kept others waiting. Thread-safe."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        self._found: Dict[str, Tuple[int, float, str]] = {}  # run -> (times in a row, when, how)

    def add(
            self,
            name: str,  # of a run
            how: str,   # how it ended the worker
    ) -> None:
        with self._lock:
            times = self._found.get(name, NO_STRIKES)[0] + 1
            self._found[name] = (times, self._clock(), how)

    def forgive(self, name: str) -> None:
        """Clears the record of a run that generated successfully."""
        with self._lock:
            self._found.pop(name, None)

    def fault_of(
            self,
            name: str,  # of a run
    ) -> Optional[str]:
        """Why it is suspended at the moment, or None."""
        times, when, how = self._found.get(name, NO_STRIKES)
        left = when + self._limits.strike_seconds - self._clock()
        if times < self._limits.strikes or left <= 0:
            return None
        return (f'its last {times} requests ended the worker (the last: {how}); it is available '
                f'again in {math.ceil(left)} s')
