"""PNG and TIFF files written byte by byte, with no image library."""

import struct
import zlib


def chunk(kind, data):
    body = kind + data
    return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))


def png(
        width, height,
        bits,            # of a sample
        colours,         # 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
        rows,            # bytes of each row
        before=(),       # (kind, data) of chunks between header and pixels
        after=(),        # and behind the pixels
):
    header = struct.pack('>IIBBBBB', width, height, bits, colours, 0, 0, 0)
    pixels = zlib.compress(b''.join(b'\0' + row for row in rows), 1)
    chunks = [(b'IHDR', header)] + list(before) + [(b'IDAT', pixels)] + list(after)
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*each) for each in chunks + [(b'IEND', b'')])


def tiff(
        width, height,
        bits,            # of each sample of a pixel: [8, 8, 8]
        photometric,     # 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6, 8 Lab
        data,            # of all pixels
        tags=(),         # (tag, its values as numbers of 16 bits)
        order='<',
):
    planes = len(bits) if dict(tags).get(284) == [2] else 1
    part = len(data) // planes
    entries = {256: (4, [width]), 257: (4, [height]), 258: (3, bits), 259: (3, [1]),
               262: (3, [photometric]), 273: (4, [8 + part * n for n in range(planes)]),
               277: (3, [len(bits)]), 278: (4, [height]), 279: (4, [part] * planes)}
    entries.update((tag, (3, list(values))) for tag, values in tags)
    data += b'\0' * (len(data) % 2)
    start = 8 + len(data)
    table, more, behind = b'', b'', start + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        raw = struct.pack('%s%d%s' % (order, len(values), 'HI'[kind - 3]), *values)
        if len(raw) > 4:
            place, more = struct.pack(order + 'I', behind + len(more)), more + raw
        else:
            place = raw.ljust(4, b'\0')
        table += struct.pack(order + 'HHI', tag, kind, len(values)) + place
    return (struct.pack(order + '2sHI', b'II' if order == '<' else b'MM', 42, start) + data
            + struct.pack(order + 'H', len(entries)) + table + struct.pack(order + 'I', 0) + more)
