"""Counters for Prometheus, in its text format 0.0.4.

Labels are names of routes and HTTP statuses, so there are few, whatever visitors send.
"""

import bisect
import threading
from typing import Dict, Iterator, List, Optional, Tuple

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)       # seconds
TYPE = 'text/plain; version=0.0.4; charset=utf-8'
STATUSES = frozenset((200, 206, 303, 304, 308, 400, 403, 404, 405, 409, 413, 415, 421, 422, 429,
                      500, 503))
REFUSED = 400              # from this status on


class Metrics:
    """What was answered since the start. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Dict[Tuple[str, str], int] = {}      # (route, status): count
        self._buckets: Dict[str, List[int]] = {}             # route: count by BUCKETS, and above
        self._seconds: Dict[str, float] = {}                 # route: sum
        self._images = 0

    def count_request(
            self,
            route: Optional[str],      # name of the route; None: there is none
            status: int,
            seconds: float,            # until the answer was ready
    ) -> None:
        route, word = route or 'none', str(status) if status in STATUSES else 'other'
        with self._lock:
            self._requests[route, word] = self._requests.get((route, word), 0) + 1
            counts = self._buckets.setdefault(route, [0] * (len(BUCKETS) + 1))
            counts[bisect.bisect_left(BUCKETS, seconds)] += 1
            self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def count_images(self, images: int) -> None:
        with self._lock:
            self._images += images

    def text(
            self,
            waiting: int,      # requests in the queue, with the one in progress
            limit: int,        # that it holds
    ) -> str:
        """All of them, as Prometheus reads them."""
        with self._lock:
            lines = [*self._of_requests(), *self._of_seconds(), *_family(
                'stackgan_images_total', 'counter', 'Images generated', [('', self._images)])]
        lines += _family('stackgan_queue_length', 'gauge', 'Requests that wait or are generated',
                         [('', waiting)])
        lines += _family('stackgan_queue_limit', 'gauge', 'Requests that the queue holds',
                         [('', limit)])
        return '\n'.join(lines) + '\n'

    def _of_requests(self) -> Iterator[str]:
        found = sorted(self._requests.items())
        yield from _family('stackgan_requests_total', 'counter', 'Requests answered', [
            (f'{{route="{route}",status="{status}"}}', count) for (route, status), count in found])
        refused: Dict[str, int] = {}
        for (_, status), count in found:
            if status == 'other' or int(status) >= REFUSED:
                refused[status] = refused.get(status, 0) + count
        yield from _family('stackgan_refusals_total', 'counter', 'Requests answered with an error',
                           [(f'{{status="{status}"}}', count)
                            for status, count in sorted(refused.items())])

    def _of_seconds(self) -> Iterator[str]:
        name = 'stackgan_request_seconds'
        yield from _family(name, 'histogram', 'Seconds until an answer was ready', [])
        for route, counts in sorted(self._buckets.items()):
            total = 0
            for limit, count in zip([f'{each:g}' for each in BUCKETS] + ['+Inf'], counts):
                total += count
                yield f'{name}_bucket{{route="{route}",le="{limit}"}} {total}'
            yield f'{name}_sum{{route="{route}"}} {self._seconds[route]:.6f}'
            yield f'{name}_count{{route="{route}"}} {total}'


def _family(name: str, kind: str, help: str, samples: List[Tuple[str, int]]) -> List[str]:
    return [f'# HELP {name} {help}', f'# TYPE {name} {kind}'] + [
        f'{name}{labels} {value}' for labels, value in samples]
