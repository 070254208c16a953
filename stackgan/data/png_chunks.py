"""PNG files without what is no pixel: texts, colour profiles, animations, dates."""

import io
import struct
from typing import BinaryIO

NEEDED = (b'IHDR', b'PLTE', b'tRNS', b'IDAT', b'eXIf', b'IEND')
SIGNATURE_BYTES = 8


def only_pixels(stream: BinaryIO) -> BinaryIO:
    """A copy in memory of a PNG file, of the chunks that say what its image looks like.

    Pillow refuses an image for a text or profile that is too large, or damaged, though no pixel
    depends on it. What is left out here is not read; what is kept is copied as it is, so that
    damage to it is still found.
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
            stream.seek(length + 4, io.SEEK_CUR)       # its data and their checksum
            continue
        copy.write(head)
        copy.write(stream.read(length + 4))
        if kind == b'IEND':
            break
    copy.seek(0)
    return copy
