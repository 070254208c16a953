"""The worker: a separate process that generates with the models of runs, and may be killed.

    python -m stackgan.serving.worker      started by `process.Worker`, which sends it frames

A model may be malicious: it may compute forever, take all memory or end its process. The server
then reports what happened to the worker and starts another.
"""

import logging
import os
import queue
import resource
import signal
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from stackgan.platforms.cores import available_cores
from stackgan.serving import frames
from stackgan.serving.generate_request import GenerateRequest
from stackgan.serving.refusals import Refusal
from stackgan.serving.runs import Run

if TYPE_CHECKING:
    from stackgan.serving.models import Models

THREAD_BYTES = 160 << 20     # of address space that a thread reserves for stack and heap
SPARE_SECONDS = 30           # after which it ends by itself, should the server not end it


def main() -> None:
    """Answers frames until the server exits."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):                 # a model's author may choose what libraries print
        os.dup2(nothing, descriptor)
    settings, _ = frames.read(requests)
    _limit_memory(settings['memory'])
    sending = threading.Lock()
    waiting: 'queue.Queue[Tuple[Dict[str, Any], bytes]]' = queue.Queue()

    def send(value: Any, content: bytes = b'') -> None:
        with sending:
            frames.write(answers, frames.packed(value, content))

    def listen() -> None:
        """In a thread: answers pings, and exits with the server."""
        try:
            while True:
                value, content = frames.read(requests)
                if 'ping' in value:
                    send({'pong': value['ping']})
                else:
                    waiting.put((value, content))
        except BaseException:
            os._exit(0)                          # whatever a model is doing

    threading.Thread(target=listen, daemon=True).start()
    generating = _Generating(settings, send)
    while True:
        value, content = waiting.get()
        signal.alarm(int(settings['seconds']) + SPARE_SECONDS)
        if 'nearest' in value:
            generating.find_nearest(value['nearest'], content)
        else:
            generating.generate(Run(**value['run']), GenerateRequest(**value['request']))
        signal.alarm(0)


class _Generating:
    """Generates with models that stay loaded."""

    def __init__(self, settings: Dict[str, Any], send: Callable[..., None]) -> None:
        self._settings, self._send = settings, send
        self._models: Optional['Models'] = None
        self._log = _Messages()
        logging.getLogger('stackgan').addHandler(self._log)
        logging.getLogger('stackgan').setLevel(logging.INFO)

    def generate(self, run: Run, request: GenerateRequest) -> None:
        """Sends that it begins, then the result."""
        self._log.texts.clear()
        models = self._prepared(run)
        self._send({'began': True})
        try:
            generated = models.generate(run, request)
        except Refusal as refusal:
            return self._send({'refused': [refusal.status, str(refusal), refusal.retry_after],
                               'log': self._log.texts})
        self._send({'sizes': [[len(png) for png in pngs] for pngs in generated.images],
                    'notices': generated.notices, 'log': self._log.texts},
                   b''.join(png for pngs in generated.images for png in pngs))

    def find_nearest(self, prepared: str, png: bytes) -> None:
        """Sends that it begins, then the nearest training images."""
        from stackgan.serving.nearest_images import nearest_images
        self._send({'began': True})
        try:
            found = nearest_images(prepared, png)
        except Exception as error:               # the files of the dataset are anyone's
            reason = ' '.join(str(error).split()) or type(error).__name__
            return self._send({
                'refused': [503, 'The training images cannot be read; see the log of the server',
                            30], 'log': [f'nearest training images: {reason}']})
        self._send({'sizes': [len(each.png) for each in found],
                    'nearest': [[each.name, each.caption, each.distance, each.mirrored]
                                for each in found]}, b''.join(each.png for each in found))

    def _prepared(self, run: Run) -> 'Models':
        """The models, with their libraries imported: those are trusted and have their own limit."""
        from stackgan.config.schema import Platform
        from stackgan.serving.models import Models, load_libraries
        if self._models is None:
            self._models = Models(Platform(**self._settings['platform']), self._settings['runs'])
        load_libraries(run, self._models.platform)
        return self._models


class _Messages(logging.Handler):
    """Keeps log messages for the log of the server."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _limit_memory(size: int) -> None:
    """Limits allocations, and makes the system kill this process before the server."""
    addresses = 2 * size + THREAD_BYTES * available_cores()
    for kind, maximum in ((resource.RLIMIT_DATA, size), (resource.RLIMIT_AS, addresses),
                       (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        maximum = maximum if hard == resource.RLIM_INFINITY else min(maximum, hard)
        resource.setrlimit(kind, (maximum, maximum))
    try:
        with open('/proc/self/oom_score_adj', 'w') as stream:
            stream.write('1000')
    except OSError:                              # not Linux, or a container that forbids it
        pass


if __name__ == '__main__':
    main()
