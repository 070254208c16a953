"""What the library logs, as a list of messages."""

import logging
from contextlib import contextmanager


class _Lines(logging.Handler):
    def __init__(self, lines):
        logging.Handler.__init__(self)
        self.lines = lines

    def emit(self, record):
        self.lines.append(record.getMessage())


def attach(lines):
    """`lines` gets every message of the library from now on; returns what ends that."""
    handler, loggers = _Lines(lines), [logging.getLogger(name) for name in ('stackgan', 'jobs')]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    return lambda: [logger.removeHandler(handler) for logger in loggers]


@contextmanager
def logged():
    """A list of the messages of the library within."""
    lines = []
    detach = attach(lines)
    try:
        yield lines
    finally:
        detach()
