"""The one place that prints. Showing is never part of the work.

Whatever becomes of a terminal, a pipe or the file behind it (closed, full, stopped, unable to
show a character), no call here raises or waits for it, and no exit code depends on it. What is
shown of names and texts of others holds no character that a terminal would obey.
"""

import errno
import io
import os
import select
import shutil
import stat
import sys
import threading
import time
import traceback
import unicodedata
from contextlib import contextmanager

PENDING_BYTES = 1 << 20       # kept for a reader that is slow; what is more is not shown
FAREWELL_SECONDS = 5.0        # a reader that takes nothing for so long is not waited for at the end
CHUNK_BYTES = 512             # PIPE_BUF of POSIX: what fits when a pipe says that it can be written
PIECE = 1 << 16               # characters shown at once


def printable(text: object, keep: str = '') -> str:
    r"""`text` in one line without control characters: they become \x1b, \n, \u202e, \udce9 ...

    Characters of `keep` ('\n\t' for a text of several lines) stay.
    """
    text = str(text)
    if text.isprintable():
        return text
    return ''.join(each if each.isprintable() or each in keep or _is_space(each)
                   else each.encode('unicode_escape').decode('ascii') for each in text)


def _is_space(character):
    return unicodedata.category(character) == 'Zs'


def encoding() -> str:
    """The encoding of the terminal."""
    return getattr(sys.stdout, 'encoding', None) or 'utf-8'


def typed(text: str) -> str:
    """An argument that is text, not a path: its bytes as UTF-8, else as the terminal means them.

    Raises UnicodeDecodeError for bytes that are no text there either.
    """
    try:
        text.encode('utf-8')
        return text
    except UnicodeEncodeError:
        return os.fsencode(text).decode(encoding())


def echo(text: object) -> None:
    """Shows a line on standard output."""
    _write(sys.stdout, printable(text) + '\n')


def echo_error(text: object) -> None:
    """Shows a line on standard error."""
    _write(sys.stderr, printable(text) + '\n')


def show(text: object, end: str = '\n') -> bool:
    """Shows what was asked for, of one line or several, on standard output.

    Unlike `echo` it waits for a reader that is slow, such as a pager: here showing is the work.
    Returns whether there is still a reader.
    """
    text = printable(text, '\n\t') + end
    outlet = getattr(sys.stdout, 'buffer', None)
    for start in range(0, len(text), PIECE):
        _write(sys.stdout, text[start:start + PIECE])
        if isinstance(outlet, _Outlet):
            outlet.drain(float('inf'))
    return not (isinstance(outlet, _Outlet) and outlet.is_gone)


def relay(text: str) -> None:
    """Shows on standard output what another program printed, without its control characters."""
    _write(sys.stdout, printable(text, '\n\t\r'))


def echo_traceback() -> None:
    """Shows the traceback of the exception that is being handled on standard error."""
    _write(sys.stderr, printable(traceback.format_exc(), '\n\t'))


class Terminal:
    """What progress is shown on: standard error unless told, and whether someone looks at it."""

    def __init__(self, stream=None):
        self.stream = stream
        self.is_terminal = _asks(stream or sys.stderr, 'isatty', False)

    def line(self, text: str) -> None:
        _write(self.stream or sys.stderr, printable(text) + '\n')

    def redraw(self, text: str, end: str = '') -> None:
        """Puts `text`, cut to the width of the terminal, in place of the line it is on."""
        width = shutil.get_terminal_size((100, 20)).columns
        _write(self.stream or sys.stderr, '\r\x1b[K' + printable(text)[:width - 1] + end)


def ask(question: str) -> bool:
    """Asks a person at a terminal and returns whether the answer was yes; False without one."""
    if not (_asks(sys.stdin, 'isatty', False) and _asks(sys.stderr, 'isatty', False)):
        return False
    _write(sys.stderr, printable(question) + ' [y/N] ')
    try:
        return sys.stdin.readline().strip().lower() in ('y', 'yes')
    except (OSError, ValueError):
        return False


def _asks(stream, question, otherwise):
    try:
        return getattr(stream, question)()
    except (AttributeError, OSError, ValueError):         # None, or closed
        return otherwise


def _write(stream, text):
    """Writes and flushes what can be written. Raises nothing."""
    try:
        try:
            stream.write(text)
        except UnicodeError:
            stream.write(text.encode('ascii', 'backslashreplace').decode('ascii'))
        stream.flush()
    except (AttributeError, OSError, ValueError, UnicodeError):    # None, closed, full, ...
        pass


# The streams of a process.

def prepare() -> None:
    """Makes standard output and error of this process streams that never fail and never wait.

    Also for what others print: argparse, warnings, logging, TensorFlow. Called first of all.
    """
    _fill_standard_descriptors()
    sys.stdout = _stream(sys.stdout, 1)
    sys.stderr = _stream(sys.stderr, 2)


def finish() -> None:
    """Gives a slow reader of the rest a little time. Called last of all."""
    for stream in (sys.stdout, sys.stderr):
        _asks(stream, 'flush', None)
        outlet = getattr(stream, 'buffer', None)
        if isinstance(outlet, _Outlet):
            outlet.drain(FAREWELL_SECONDS)


def _fill_standard_descriptors():
    """Opens what the shell closed (`>&-`), or the next file of ours would be standard output."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def _stream(before, descriptor):
    _asks(before, 'flush', None)
    return io.TextIOWrapper(_Outlet(descriptor), getattr(before, 'encoding', None) or 'utf-8',
                            errors='backslashreplace', newline='\n', line_buffering=True,
                            write_through=True)


@contextmanager
def silenced_errors():
    """Standard error goes nowhere within the block, also that of C libraries."""
    _asks(sys.stderr, 'flush', None)
    try:
        kept = os.dup(2)
    except OSError:                                       # closed: there is nothing to silence
        yield
        return
    try:
        with open(os.devnull, 'w') as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _Outlet(io.RawIOBase):
    """A descriptor that takes what can be written without waiting; a rest is tried again later."""

    def __init__(self, descriptor):
        super().__init__()
        self._number = descriptor
        self._own = None
        self._pending = bytearray()
        self._lock = threading.RLock()              # of one thread and its signal handlers, too
        self.is_gone = False

    def writable(self):
        return True

    def fileno(self):
        return self._number

    def isatty(self):
        return os.isatty(self._number)

    def write(self, data):
        data = bytes(data)
        with self._lock:
            if not self.is_gone and len(self._pending) + len(data) <= PENDING_BYTES:
                self._pending += data
                self._push()
        return len(data)

    def drain(self, seconds):
        """Writes what is pending, as long as something is taken at least every `seconds`."""
        end = time.monotonic() + seconds
        while self._pending and not self.is_gone and time.monotonic() < end:
            with self._lock:
                if self._push():
                    end = time.monotonic() + seconds
            if self._pending:
                self._can_be_written(100)

    def _push(self):
        """Writes what the other end takes now; returns how many bytes that were."""
        taken = 0
        try:
            waits = _may_wait(self._number)
            while self._pending and (not waits or self._can_be_written(0)):
                chunk = self._pending[:CHUNK_BYTES] if waits else self._pending
                written = os.write(self._writer(), chunk)
                del self._pending[:written]
                taken += written
        except BlockingIOError:
            pass
        except OSError as error:
            self._pending.clear()
            # A disk may have room again; a pipe or a terminal that is gone does not come back.
            self.is_gone = error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return taken

    def _writer(self):
        """The descriptor to write to; for a terminal one of our own that does not wait.

        A terminal may have room for less than a chunk. The flag O_NONBLOCK on the descriptor
        itself would be seen by every process that shares it.
        """
        if self._own is None:
            self._own = self._number
            if self.isatty():
                try:
                    self._own = os.open('/dev/fd/%d' % self._number,
                                        os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
                except OSError:                           # of another user, or another container
                    pass
        return self._own

    def _can_be_written(self, milliseconds):
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        return bool(poll.poll(milliseconds))


def _may_wait(descriptor):
    """Whether writing may wait for someone: a pipe, a socket, a terminal; not a file."""
    mode = os.fstat(descriptor).st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISBLK(mode))
