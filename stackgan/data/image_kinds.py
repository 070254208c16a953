"""Tells which files are images: by extension if that is enough, else by their first bytes.

Every listing of images uses `is_image`, so that a photograph is not left out because a browser
saved it as .jfif or without an extension. Captions, tables and other texts are never opened.
"""

import os
import re
from typing import Optional

from stackgan.files import open_regular

READABLE = ('JPEG', 'PNG', 'GIF', 'BMP', 'DIB', 'TIFF', 'WEBP', 'PPM')    # Pillow's names
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.gif', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm',
              '.pbm', '.pnm', '.jpe', '.jfif', '.jif', '.apng', '.dib')    # as messages list them
RAW_EXTENSIONS = ('.raw', '.cr2', '.cr3', '.nef', '.nrw', '.arw', '.dng', '.orf', '.rw2', '.pef',
                  '.srw', '.raf')       # of cameras; most begin like TIFF
OTHER_EXTENSIONS = RAW_EXTENSIONS + (
    '.heic', '.heif', '.hif', '.avif', '.jp2', '.j2k', '.jxl', '.svg', '.svgz', '.eps', '.psd',
    '.ico', '.tga', '.exr', '.xcf', '.dds', '.mp4', '.mov')
TEXT_EXTENSIONS = ('.txt', '.csv', '.tsv', '.json', '.jsonl', '.xml', '.html', '.htm', '.md',
                   '.yaml', '.yml', '.ini', '.log', '.py', '.pickle', '.pkl', '.npy', '.npz',
                   '.t7', '.mat')
HEAD_BYTES = 1024
SVG = re.compile(br'(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*'
                 br'<(?:svg:)?svg[\s>]', re.S | re.I)
PPM = re.compile(br'P[1-6]\s+(?:#[^\n]*\n\s*)*[0-9]+\s')
STARTS = ((b'\xff\xd8\xff', 'JPEG'), (b'\x89PNG\r\n\x1a\n', 'PNG'), (b'GIF87a', 'GIF'),
          (b'GIF89a', 'GIF'), (b'II*\0', 'TIFF'), (b'MM\0*', 'TIFF'), (b'II+\0', 'TIFF'),
          (b'MM\0+', 'TIFF'), (b'\0\0\0\x0cjP  ', 'JPEG 2000'), (b'\xff\x4f\xff\x51', 'JPEG 2000'),
          (b'\0\0\0\x0cJXL ', 'JPEG XL'), (b'8BPS', 'Photoshop'), (b'gimp xcf', 'GIMP'),
          (b'v/1\x01', 'OpenEXR'), (b'#?RADIANCE', 'Radiance'), (b'DDS ', 'DDS'),
          (b'qoif', 'QOI'), (b'P7\n', 'PAM'), (b'PF\n', 'PFM'), (b'Pf\n', 'PFM'),
          (b'FUJIFILMCCD-RAW', 'camera RAW'), (b'IIRO', 'camera RAW'), (b'IIU\0', 'camera RAW'))
BRANDS = {b'heic': 'HEIC', b'heix': 'HEIC', b'heim': 'HEIC', b'heis': 'HEIC', b'hevc': 'HEIC',
          b'hevx': 'HEIC', b'mif1': 'HEIC', b'msf1': 'HEIC', b'avif': 'AVIF', b'avis': 'AVIF',
          b'crx ': 'camera RAW'}        # of the box `ftyp`; all others are videos


def kind_of(head: bytes) -> Optional[str]:
    """The kind of a file: one of READABLE, the name of another image format, or None.

    `head` is the first HEAD_BYTES of the file, or all of it.
    """
    if head.startswith(b'RIFF') and head[8:12] == b'WEBP':
        return 'WEBP'
    if head[:4] in (b'II*\0', b'MM\0*') and head[8:10] == b'CR':
        return 'camera RAW'
    for start, kind in STARTS:
        if head.startswith(start):
            return kind
    if PPM.match(head):
        return 'PPM'
    if head[4:8] == b'ftyp':
        return BRANDS.get(head[8:12], 'video')
    if head.startswith(b'BM') and _is_bitmap(head[14:]):
        return 'BMP'
    if _is_bitmap(head):
        return 'DIB'
    if SVG.match(head):
        return 'SVG'
    return None


def kind_of_file(path: str) -> Optional[str]:
    """`kind_of` a regular file; None for any other file and for one that cannot be read."""
    try:
        with open_regular(path) as stream:
            return kind_of(stream.read(HEAD_BYTES))
    except OSError:
        return None


def is_image(path: str) -> bool:
    """Whether a file is an image by extension or content; `unreadable` tells if it is unusable."""
    extension = _extension(path)
    if extension in EXTENSIONS + OTHER_EXTENSIONS:
        return True
    return extension not in TEXT_EXTENSIONS and kind_of_file(path) is not None


def unreadable(path: str) -> Optional[str]:
    """Why the format of an image is not supported; None if it may be.

    Does not open a file with one of EXTENSIONS; its reader calls `unreadable_kind`.
    """
    extension = _extension(path)
    if extension in EXTENSIONS:
        return None
    kind = kind_of_file(path)
    if kind is None or (kind == 'TIFF' and extension in RAW_EXTENSIONS):
        return _not_read((extension or 'unknown').lstrip('.').upper())
    return unreadable_kind(kind)


def unreadable_kind(kind: str) -> Optional[str]:
    """Why a result of `kind_of` is not supported; None for one of READABLE."""
    return None if kind in READABLE else _not_read(kind)


def _not_read(kind: str) -> str:
    return f'images of this kind ({kind}) are not read; convert it to PNG or JPEG'


def _extension(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _is_bitmap(header: bytes) -> bool:
    """Whether this is a header of a Windows bitmap: size, width, height and one plane."""
    size = int.from_bytes(header[:4], 'little')
    planes = header[8:10] if size == 12 else header[12:14]
    return size in (12, 40, 52, 56, 64, 108, 124) and planes == b'\1\0'
