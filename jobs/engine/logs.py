"""The log of a job: messages of the library, on the terminal and in log.txt of the output."""

import logging
import os
import time
from contextlib import contextmanager
from datetime import datetime
from typing import Iterator, List, Optional

from stackgan import printing
from stackgan.config import Config
from stackgan.errors import InputError
from stackgan.printing import echo, echo_error, printable

from .contract import Job, folder_of
from .locks import is_locked

POLL_SECONDS = 0.5


class Log(logging.Handler):
    """Shows messages and appends them to a file; a log that cannot be written is no failure."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.prefix = name + ': '                # the name of the job
        self.path: Optional[str] = None

    def emit(self, record: logging.LogRecord) -> None:
        text, prefix = record.getMessage(), self.prefix
        text = text[len(prefix):] if text.startswith(prefix) else text
        if record.levelno >= logging.WARNING:
            text = f'{record.levelname.lower()}: {text}'
        show = echo_error if record.levelno >= logging.ERROR else echo
        show(prefix + text)
        self.write(printable(text))

    def write(self, text: str) -> None:
        if self.path:
            try:
                with open(self.path, 'a', encoding='utf-8', errors='backslashreplace') as stream:
                    line = text.rstrip('\n')
                    stream.write(f'{datetime.now():%Y-%m-%d %H:%M:%S}  {line}\n')
            except OSError:
                pass


@contextmanager
def attached(handler: logging.Handler) -> Iterator[None]:
    """Within the block, `handler` alone gets the messages of the library and the jobs."""
    loggers = [logging.getLogger(name) for name in ('stackgan', __name__.split('.')[0])]
    before = [(each, each.level, each.propagate) for each in loggers]
    for each in set(loggers):
        each.addHandler(handler)
        each.setLevel(logging.INFO)
        each.propagate = False                   # other libraries add handlers to the root logger
    try:
        yield
    finally:
        for each, level, propagate in before:
            each.removeHandler(handler)
            each.setLevel(level)
            each.propagate = propagate


def paths_of(job: Job, config: Config, volume: str) -> List[str]:
    """Logs of a job, the newest first."""
    folder = folder_of(job, config, volume)
    return [path for path in (folder + '.partial/log.txt', folder + '/log.txt')
            if os.path.exists(path)]


def show(job: Job, config: Config, volume: str, follow: bool, other: Optional[str] = None) -> None:
    """Prints a job's log; with `follow`, until the job ends. Raises InputError.

    `other` is a file that shows why a job without a log did not begin.
    """
    folder, paths = folder_of(job, config, volume), paths_of(job, config, volume)
    paths += [other] if other and not paths else []
    if not paths:
        raise InputError(f'logs: {job.name} has not run in {volume}')
    # It can be read on when its folder is renamed.
    with open(paths[0], encoding='utf-8', errors='replace') as stream:
        is_read = printing.show(stream.read(), end='')
        while follow and is_read and is_locked(folder):
            time.sleep(POLL_SECONDS)
            is_read = printing.show(stream.read(), end='')
        printing.show(stream.read(), end='')
