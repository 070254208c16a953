"""What passes between the server and its worker: JSON of a bounded size, then bytes.

Neither side runs what the other sends: a worker may have been taken over by a model.
"""

import json
import os
import select
import struct
import time

from stackgan.files import parse_json

HEAD = struct.Struct('>II')          # bytes of JSON, bytes that follow it
MAX_JSON = 1 << 20
MAX_BYTES = 64 << 20


class Gone(Exception):
    """The other side has ended, or sends what is no frame."""


class Late(Exception):
    """The other side has not answered in time."""


def packed(value, content=b''):
    """A frame as bytes."""
    text = json.dumps(value).encode('ascii')
    return HEAD.pack(len(text), len(content)) + text + content


def write(
        descriptor,        # of a pipe
        frame,             # as of `packed`
        end=None,          # monotonic time until which it may take; None: any
):
    """Sends a frame. Raises Gone or Late."""
    left = memoryview(frame)
    while left:
        _wait(descriptor, end, to_write=True)
        try:
            left = left[os.write(descriptor, left[:4096]):]   # what a ready pipe surely takes
        except BlockingIOError:
            continue
        except OSError:
            raise Gone('its pipe is closed')


def read(
        descriptor,        # of a pipe
        end=None,          # monotonic time until which it may take; None: any
):
    """(value, bytes) of a frame. Raises Gone or Late."""
    sizes = HEAD.unpack(_exactly(descriptor, HEAD.size, end))
    if sizes[0] > MAX_JSON or sizes[1] > MAX_BYTES:
        raise Gone('it sent a frame of %d and %d bytes' % sizes)
    try:
        value = parse_json(_exactly(descriptor, sizes[0], end).decode('ascii'))
    except ValueError:
        raise Gone('it sent what is no JSON')
    return value, _exactly(descriptor, sizes[1], end)


def _exactly(descriptor, size, end):
    parts = []
    while size:
        _wait(descriptor, end)
        try:
            part = os.read(descriptor, min(size, 1 << 16))
        except OSError:                  # closed here, when the server stops
            raise Gone('its pipe is closed')
        if not part:
            raise Gone('it has ended')
        parts.append(part)
        size -= len(part)
    return b''.join(parts)


def _wait(descriptor, end, to_write=False):
    """Until the pipe is ready. Not by select.select, which knows no descriptor above 1023."""
    if end is None:
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if to_write else select.POLLIN)
    if not poll.poll(max(0, 1000 * (end - time.monotonic()))):
        raise Late()
