"""The one place that prints. A job never fails or waits because of its output.

Whatever happens to the terminal, pipe or file behind standard output (closed, full, stopped,
unable to show a character), no call here raises or blocks, and no exit code depends on it. Control
characters in file names and other people's text are escaped before they are shown.
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
from typing import Any, Iterator, Optional, TextIO

PENDING_BYTES = 1 << 20       # kept for a slow reader; anything beyond is dropped
FAREWELL_SECONDS = 5.0        # at the end: longest wait for a reader that reads nothing
CHUNK_BYTES = 512             # POSIX's least PIPE_BUF: fits whenever a pipe is ready for writing
PIECE = 1 << 16               # characters shown at once


def printable(text: object, keep: str = '') -> str:
    r"""`text` in one line, with control characters escaped: \x1b, \n, \u202e, \udce9 ...

    Characters in `keep` ('\n\t' for a text of several lines) are left as they are.
    """
    text = str(text)
    if text.isprintable():
        return text
    return ''.join(each if each.isprintable() or each in keep or _is_space(each)
                   else each.encode('unicode_escape').decode('ascii') for each in text)


def _is_space(character: str) -> bool:
    return unicodedata.category(character) == 'Zs'


def encoding() -> str:
    """The encoding of the terminal."""
    return getattr(sys.stdout, 'encoding', None) or 'utf-8'


def typed(text: str) -> str:
    """A command-line argument that is text, not a path: as UTF-8, else in the terminal's encoding.

    Raises UnicodeDecodeError if its bytes are valid in neither.
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
    """Shows what a command was asked to show, one line or several, on standard output.

    Unlike `echo` it waits for a slow reader such as a pager. Returns whether there still is a
    reader.
    """
    text = printable(text, '\n\t') + end
    outlet = getattr(sys.stdout, 'buffer', None)
    for start in range(0, len(text), PIECE):
        _write(sys.stdout, text[start:start + PIECE])
        if isinstance(outlet, _Outlet):
            outlet.drain(float('inf'))
    return not (isinstance(outlet, _Outlet) and outlet.is_gone)


def relay(text: str) -> None:
    """Shows another program's output on standard output, with control characters escaped."""
    _write(sys.stdout, printable(text, '\n\t\r'))


def echo_traceback() -> None:
    """Shows the traceback of the exception that is being handled on standard error."""
    _write(sys.stderr, printable(traceback.format_exc(), '\n\t'))


class Terminal:
    """The stream that shows progress (standard error by default), and whether it is a terminal."""

    def __init__(self, stream: Optional[TextIO] = None) -> None:
        self.stream = stream
        self.is_terminal = _asks(stream or sys.stderr, 'isatty', False)

    def line(self, text: str) -> None:
        _write(self.stream or sys.stderr, printable(text) + '\n')

    def redraw(self, text: str, end: str = '') -> None:
        """Replaces the current line by `text`, cut to the width of the terminal."""
        width = shutil.get_terminal_size((100, 20)).columns
        _write(self.stream or sys.stderr, '\r\x1b[K' + printable(text)[:width - 1] + end)


def ask(question: str) -> bool:
    """Asks a yes-or-no question at the terminal; without a terminal the answer is False."""
    if not (_asks(sys.stdin, 'isatty', False) and _asks(sys.stderr, 'isatty', False)):
        return False
    _write(sys.stderr, printable(question) + ' [y/N] ')
    try:
        return sys.stdin.readline().strip().lower() in ('y', 'yes')
    except (OSError, ValueError):
        return False


def _asks(stream: Any, question: str, otherwise: Any) -> Any:
    try:
        return getattr(stream, question)()
    except (AttributeError, OSError, ValueError):         # None, or closed
        return otherwise


def _write(stream: Any, text: str) -> None:
    """Writes and flushes, ignoring failures."""
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
    """Replaces this process's standard output and error by streams that never fail or block.

    They also serve argparse, warnings, logging and TensorFlow. To be called before anything prints.
    """
    _fill_standard_descriptors()
    sys.stdout = _stream(sys.stdout, 1)
    sys.stderr = _stream(sys.stderr, 2)


def finish() -> None:
    """Gives a slow reader a little time to read the rest. To be called last."""
    for stream in (sys.stdout, sys.stderr):
        _asks(stream, 'flush', None)
        outlet = getattr(stream, 'buffer', None)
        if isinstance(outlet, _Outlet):
            outlet.drain(FAREWELL_SECONDS)


def _fill_standard_descriptors() -> None:
    """Opens descriptors that the shell closed (`>&-`), or the next file opened would get them."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def _stream(before: Any, descriptor: int) -> TextIO:
    _asks(before, 'flush', None)
    outlet: Any = _Outlet(descriptor)                     # raw: it buffers by itself
    return io.TextIOWrapper(outlet, getattr(before, 'encoding', None) or 'utf-8',
                            errors='backslashreplace', newline='\n', line_buffering=True,
                            write_through=True)


@contextmanager
def silenced_errors() -> Iterator[None]:
    """Discards standard error within the block, including that of C libraries."""
    _asks(sys.stderr, 'flush', None)
    try:
        kept = os.dup(2)
    except OSError:                                       # it is closed already
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
    """A descriptor that is written to without blocking; what it does not take is tried later."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._number = descriptor
        self._own: Optional[int] = None
        self._pending = bytearray()
        self._lock = threading.RLock()              # reentrant for the sake of signal handlers
        self.is_gone = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: Any) -> int:
        data = bytes(data)
        with self._lock:
            if not self.is_gone and len(self._pending) + len(data) <= PENDING_BYTES:
                self._pending += data
                self._push()
        return len(data)

    def drain(self, seconds: float) -> None:
        """Writes what is pending, until the reader takes nothing for `seconds`."""
        end = time.monotonic() + seconds
        while self._pending and not self.is_gone and time.monotonic() < end:
            with self._lock:
                if self._push():
                    end = time.monotonic() + seconds
            if self._pending:
                self._can_be_written(100)

    def _push(self) -> int:
        """Writes what the other end takes now; returns the number of bytes."""
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
            # A disk may have room again; a closed pipe or terminal does not come back.
            self.is_gone = error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return taken

    def _writer(self) -> int:
        """The descriptor to write to; for a terminal, a non-blocking one of this process's own.

        A terminal may have room for less than a chunk, and O_NONBLOCK on the inherited descriptor
        would affect every process that shares it.
        """
        if self._own is None:
            self._own = self._number
            if self.isatty():
                try:
                    self._own = os.open(f'/dev/fd/{self._number}',
                                        os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
                except OSError:                  # it belongs to another user or container
                    pass
        return self._own

    def _can_be_written(self, milliseconds: int) -> bool:
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        return bool(poll.poll(milliseconds))


def _may_wait(descriptor: int) -> bool:
    """Whether writing may block: true of a pipe, a socket and a terminal, but not of a file."""
    mode = os.fstat(descriptor).st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISBLK(mode))
