"""A thread that writes while the training continues."""

import queue
import threading
from typing import Any, Callable, Optional

Work = Callable[[], Any]


class Writer:
    """Does work in a thread, one piece after the other, in the order in which it is submitted.

    The first error ends it: what was submitted after it is not done, and the training gets the
    error by its next call.
    """

    def __init__(self) -> None:
        self._works: 'queue.Queue[Optional[Work]]' = queue.Queue()
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name='writer', daemon=True)

    def __enter__(self) -> 'Writer':
        self._thread.start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Waits until all is done; raises the thread's error unless there is another already."""
        self._works.put(None)
        self._thread.join()
        if error is None:
            self._raise_error()

    def submit(self, work: Work) -> None:
        """Has work done later."""
        self._raise_error()
        self._works.put(work)

    def wait(self) -> None:
        """Waits until all that was submitted is done."""
        self._works.join()
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        for work in iter(self._works.get, None):
            if self._error is None:
                try:
                    work()
                except BaseException as error:       # handed to the training, which raises it
                    self._error = error
            del work                                 # what it holds may be large
            self._works.task_done()
