"""The worker: a process of its own that generates with the models of runs, and may be killed.

    python -m stackgan.serving.worker      is started by `process.Worker`, and spoken to by frames

A model is anyone's: it may compute for ever, take all memory or end the process it runs in. What
it does to this one, the server tells, and starts another.
"""

import logging
import os
import queue
import resource
import signal
import threading
from typing import List

from stackgan.platforms.cores import available_cores
from stackgan.serving import frames
from stackgan.serving.generate_request import GenerateRequest
from stackgan.serving.refusals import Refusal
from stackgan.serving.runs import Run

THREAD_BYTES = 160 << 20     # of addresses that a thread reserves: its stack and its heap
SPARE_SECONDS = 30           # after which it ends by itself, where the server does not end it


def main():
    """Answers frames until the server is gone."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):                 # what libraries print, a model's author may choose
        os.dup2(nothing, descriptor)
    settings, _ = frames.read(requests)
    _limit_memory(settings['memory'])
    sending, waiting = threading.Lock(), queue.Queue()

    def send(value, content=b''):
        with sending:
            frames.write(answers, frames.packed(value, content))

    def listen():
        """In a thread: answers whether the process does, and sees that the server is gone."""
        try:
            while True:
                value, _ = frames.read(requests)
                if 'ping' in value:
                    send({'pong': value['ping']})
                else:
                    waiting.put(value)
        except BaseException:
            os._exit(0)                          # whatever a model is doing

    threading.Thread(target=listen, daemon=True).start()
    generating = _Generating(settings, send)
    while True:
        value = waiting.get()
        signal.alarm(int(settings['seconds']) + SPARE_SECONDS)
        generating.generate(Run(**value['run']), GenerateRequest(**value['asked']))
        signal.alarm(0)


class _Generating:
    """Generates with models that stay loaded."""

    def __init__(self, settings, send):
        self._settings, self._send = settings, send
        self._models, self._log = None, _Messages()
        logging.getLogger('stackgan').addHandler(self._log)
        logging.getLogger('stackgan').setLevel(logging.INFO)

    def generate(self, run, asked):
        """Sends that it begins, and what came of it."""
        self._log.texts.clear()
        models = self._prepared(run)
        self._send({'began': True})
        try:
            generated = models.generate(run, asked)
        except Refusal as refusal:
            return self._send({'refused': [refusal.status, str(refusal), refusal.retry_after],
                               'log': self._log.texts})
        self._send({'sizes': [[len(png) for png in pngs] for pngs in generated.images],
                    'notices': generated.notices, 'log': self._log.texts},
                   b''.join(png for pngs in generated.images for png in pngs))

    def _prepared(self, run):
        """`Models`, with what they import loaded: that is trusted, and has a time of its own."""
        from stackgan.config.schema import Platform
        from stackgan.serving.models import Models, load_libraries
        if self._models is None:
            self._models = Models(Platform(**self._settings['platform']), self._settings['runs'])
        load_libraries(run, self._models.platform)
        return self._models


class _Messages(logging.Handler):
    """Keeps what is logged, for the server's log."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _limit_memory(size):
    """Bounds what can be allocated, and lets the system kill this process before the server."""
    addresses = 2 * size + THREAD_BYTES * available_cores()
    for kind, most in ((resource.RLIMIT_DATA, size), (resource.RLIMIT_AS, addresses),
                       (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    try:
        with open('/proc/self/oom_score_adj', 'w') as stream:
            stream.write('1000')
    except OSError:                              # not Linux, or a container that forbids it
        pass


if __name__ == '__main__':
    main()
