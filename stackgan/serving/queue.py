"""Generating one request after the other, in a thread of its own."""

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, TimeoutError

from stackgan.serving.refusals import Refusal, stopping


class GenerationQueue:
    """A bounded queue before one thread. For any number of threads that ask."""

    def __init__(
            self,
            generate,         # called with what was asked, by the one thread
            limits,           # Limits
    ):
        self._generate, self._limits = generate, limits
        self._lock = threading.Lock()
        self._futures = {}                    # in their order; the values mean nothing
        self._is_open = True
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='generating')

    def __len__(self):
        return len(self._futures)

    def generate(
            self,
            request,            # what `generate` is called with
    ):
        """What `generate` returned. Raises what it raised, or Refusal where it waits too long."""
        with self._lock:
            if not self._is_open:
                raise stopping()
            if len(self._futures) >= self._limits.queue:
                raise Refusal(503, 'Too many requests in progress; try again in a few seconds',
                              5)
            future = self._thread.submit(self._generate, request)
            self._futures[future] = None
        future.add_done_callback(self._forget)       # outside the lock: may be called at once
        try:
            return future.result(self._limits.seconds)
        except TimeoutError:
            future.cancel()                          # without effect on one that is under way
            raise Refusal(503, f'This took longer than {self._limits.seconds:g} seconds; try again '
                               f'later', 30)
        except CancelledError:
            raise stopping()

    def close(
            self,
            seconds,          # to wait for what is being generated
    ):
        """Refuses what comes and what waits, lets the request in progress finish."""
        with self._lock:
            self._is_open = False
            futures = list(self._futures)
        # The first is under way, or its thread is just about to take it up.
        under_way = futures[:1] + [future for future in futures[1:] if not future.cancel()]
        for future in under_way:
            try:
                future.exception(seconds)
            except (TimeoutError, CancelledError):
                pass
        self._thread.shutdown(wait=False)

    def _forget(self, future):
        with self._lock:
            self._futures.pop(future, None)
