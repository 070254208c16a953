"""Removes everything but the pixels from PNG files: texts, colour profiles, animations, dates."""

import io
import struct
from typing import BinaryIO

NEEDED = (b'IHDR', b'PLTE', b'tRNS', b'IDAT', b'eXIf', b'IEND')
SIGNATURE_BYTES = 8


def only_pixels(stream: BinaryIO) -> BinaryIO:
    """A copy of a PNG file in memory, with only the chunks that determine its pixels.

    Pillow refuses an image because of an oversized or damaged text or profile, although no pixel
    depends on it. Other chunks are skipped unread; these are copied unchanged, so that damage to
    them is still found.
    """
    stream.seek(0)
    copy = io.BytesIO()
    copy.write(stream.read(SIGNATURE_BYTES))
    while True:
        head = stream.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack('>I4s', head)
        if kind not in NEEDED:
            stream.seek(length + 4, io.SEEK_CUR)       # its data and checksum
            continue
        copy.write(head)
        copy.write(stream.read(length + 4))
        if kind == b'IEND':
            break
    copy.seek(0)
    return copy
