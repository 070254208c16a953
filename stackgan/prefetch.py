"""Work done ahead by a thread, so that making the next batch overlaps using this one."""

import queue
import threading

ENDED = object()


def prefetch(
        items,             # iterable; runs in a thread of its own
        most,              # items made before they are asked for
):
    """Yields `items`. An error in the thread is raised here; leaving early ends the thread."""
    ready, ended = queue.Queue(most), threading.Event()

    def work():
        try:
            for item in items:
                _put(ready, ended, (item, None))
                if ended.is_set():
                    return
            _put(ready, ended, (ENDED, None))
        except BaseException as error:           # handed to the reader, which raises it
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


def _put(ready, ended, item):
    while not ended.is_set():
        try:
            return ready.put(item, timeout=0.1)
        except queue.Full:
            continue
