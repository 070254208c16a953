"""A thread that prepares the next batches while the current one is in use."""

import queue
import threading
from typing import Any, Generator, Iterable, Optional, Tuple, TypeVar

Item = TypeVar('Item')
ENDED: Any = object()


def prefetch(
        items: Iterable[Item],    # consumed in a thread of its own
        most: int,                # items prepared ahead
) -> Generator[Item, None, None]:
    """Yields `items`. An error in the thread is raised here; leaving early ends the thread."""
    ready: 'queue.Queue[Any]' = queue.Queue(most)
    ended = threading.Event()

    def work() -> None:
        try:
            for item in items:
                _put(ready, ended, (item, None))
                if ended.is_set():
                    return
            _put(ready, ended, (ENDED, None))
        except BaseException as error:           # passed to the reader, which raises it
            _put(ready, ended, (ENDED, error))

    thread = threading.Thread(target=work, name='ahead', daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is ENDED:
                return
            yield item
    finally:
        ended.set()
        thread.join()


def _put(ready: 'queue.Queue[Any]', ended: threading.Event,
         item: Tuple[Any, Optional[BaseException]]) -> None:
    while not ended.is_set():
        try:
            return ready.put(item, timeout=0.1)
        except queue.Full:
            continue
