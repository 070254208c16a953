"""Messages between the server and its worker: JSON of a bounded size, then bytes.

Neither side executes what the other sends: a malicious model may have taken over the worker.
"""

import json
import os
import select
import struct
import time
from typing import Any, Optional, Tuple

from stackgan.files import parse_json

HEAD = struct.Struct('>II')          # bytes of JSON, bytes that follow it
MAX_JSON = 1 << 20
MAX_BYTES = 64 << 20


class Gone(Exception):
    """The other side has exited, or sent something that is not a frame."""


class Late(Exception):
    """The other side did not answer in time."""


def packed(value: Any, content: bytes = b'') -> bytes:
    """A frame as bytes."""
    text = json.dumps(value).encode('ascii')
    return HEAD.pack(len(text), len(content)) + text + content


def write(
        descriptor: int,              # of a pipe
        frame: bytes,                 # as `packed` returns it
        end: Optional[float] = None,  # monotonic time by which it must be sent; None: no limit
) -> None:
    """Sends a frame. Raises Gone or Late."""
    left = memoryview(frame)
    while left:
        _wait(descriptor, end, to_write=True)
        try:
            left = left[os.write(descriptor, left[:4096]):]   # what a ready pipe always accepts
        except BlockingIOError:
            continue
        except OSError:
            raise Gone('its pipe is closed')


def read(
        descriptor: int,              # of a pipe
        end: Optional[float] = None,  # monotonic time by which it must arrive; None: no limit
) -> Tuple[Any, bytes]:
    """(value, bytes) of a frame. Raises Gone or Late."""
    sizes = HEAD.unpack(_exactly(descriptor, HEAD.size, end))
    if sizes[0] > MAX_JSON or sizes[1] > MAX_BYTES:
        raise Gone(f'it sent a frame of {sizes[0]} and {sizes[1]} bytes')
    try:
        value = parse_json(_exactly(descriptor, sizes[0], end).decode('ascii'))
    except ValueError:
        raise Gone('it sent invalid JSON')
    return value, _exactly(descriptor, sizes[1], end)


def _exactly(descriptor: int, size: int, end: Optional[float]) -> bytes:
    parts = []
    while size:
        _wait(descriptor, end)
        try:
            part = os.read(descriptor, min(size, 1 << 16))
        except OSError:                  # closed here, when the server stops
            raise Gone('its pipe is closed')
        if not part:
            raise Gone('it exited')
        parts.append(part)
        size -= len(part)
    return b''.join(parts)


def _wait(descriptor: int, end: Optional[float], to_write: bool = False) -> None:
    """Waits until the pipe is ready. select.select does not support descriptors above 1023."""
    if end is None:
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if to_write else select.POLLIN)
    if not poll.poll(max(0, 1000 * (end - time.monotonic()))):
        raise Late()
