"""Handles one request at a time, in a thread of its own."""

import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, TimeoutError
from typing import Any, Callable, Dict

from stackgan.serving.limits import Limits
from stackgan.serving.refusals import Refusal, stopping


class GenerationQueue:
    """A bounded queue in front of a single thread. Thread-safe."""

    def __init__(
            self,
            generate: Callable[[Any], Any],  # called with each request, by the one thread
            limits: Limits,
    ) -> None:
        self._generate, self._limits = generate, limits
        self._lock = threading.Lock()
        self._futures: Dict[Future, None] = {}      # an ordered set
        self._is_open = True
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='generating')

    def __len__(self) -> int:
        return len(self._futures)

    def generate(
            self,
            request: Any,  # what `generate` is called with
    ) -> Any:
        """What `generate` returns. Raises what it raises, or Refusal where it waits too long."""
        with self._lock:
            if not self._is_open:
                raise stopping()
            if len(self._futures) >= self._limits.queue:
                raise Refusal(503, 'Too many requests in progress; try again in a few seconds', 5)
            future = self._thread.submit(self._generate, request)
            self._futures[future] = None
        future.add_done_callback(self._forget)       # outside the lock: may be called at once
        try:
            return future.result(self._limits.seconds)
        except TimeoutError:
            future.cancel()                          # no effect on one in progress
            raise Refusal(503, f'This took longer than {self._limits.seconds:g} seconds; try again '
                               f'later', 30)
        except CancelledError:
            raise stopping()

    def close(
            self,
            seconds: float,  # to wait for what is being generated
    ) -> None:
        """Refuses new and waiting requests; lets the request in progress finish."""
        with self._lock:
            self._is_open = False
            futures = list(self._futures)
        # The first is in progress, or its thread is just about to start it.
        in_progress = futures[:1] + [future for future in futures[1:] if not future.cancel()]
        for future in in_progress:
            try:
                future.exception(seconds)
            except (TimeoutError, CancelledError):
                pass
        self._thread.shutdown(wait=False)

    def _forget(self, future: Future) -> None:
        with self._lock:
            self._futures.pop(future, None)
