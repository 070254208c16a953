"""The image shards of a prepared dataset, written by several processes at once.

A block of images is one task. Its rows go straight to their places in temporary files, so that a
process never holds more than one image; when all blocks of a shard are done, a last task closes
the gaps that unusable images left, writes the header and gives the files their names.

Imports no NumPy, which would start a pool of threads in each worker process.
"""

import os
import warnings
from typing import NamedTuple

from stackgan.data.images import BadImage, Crop, cut_image
from stackgan.file_systems import sync

HEADER_BYTES = 128


class Target(NamedTuple):
    """A shard file being written."""

    side: int                # images are side x side
    temporary: str
    final: str


class Block(NamedTuple):
    """Task: cut some images and write their rows."""

    shard: int               # which shard, for the caller
    first_row: int           # row of the first image in the shard's temporary files
    files: list              # (path, box or None)
    crop: Crop
    targets: list            # Target, the largest side first

    def __str__(self):
        return '%s or one of the %d images after it' % (self.files[0][0], len(self.files) - 1)


class BlockDone(NamedTuple):
    shard: int
    first_row: int
    sizes: list              # for each file: (width, height, shorter side of its crop), or None
    problems: list           # for each file: None, or why it cannot be used


class Closing(NamedTuple):
    """Task: make whole files of a shard whose blocks are done."""

    shard: int
    kept: list               # rows that hold an image, ascending
    targets: list

    def __str__(self):
        return self.targets[0].final


class ClosingDone(NamedTuple):
    shard: int


def perform(task):
    """Performs a Block or a Closing: what worker processes run."""
    return _write_block(task) if isinstance(task, Block) else _close(task)


def _write_block(block):
    sizes, problems = [], []
    sides = [target.side for target in block.targets]
    descriptors = [os.open(target.temporary, os.O_WRONLY | os.O_CREAT, 0o666)
                   for target in block.targets]
    try:
        for row, (path, box) in enumerate(block.files, block.first_row):
            try:
                cut = _cut(path, block.crop, box, sides)
            except BadImage as problem:
                sizes.append(None)
                problems.append(str(problem))
                continue
            for descriptor, side, pixels in zip(descriptors, sides, cut.pixels):
                _write(descriptor, pixels, HEADER_BYTES + row * row_bytes(side))
            left, top, right, bottom = cut.region
            sizes.append(cut.size + (min(right - left, bottom - top),))
            problems.append(None)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return BlockDone(block.shard, block.first_row, sizes, problems)


def _cut(path, crop, box, sides):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')       # Pillow's name no file; what matters is an error
        return cut_image(path, crop, box, sides)


def row_bytes(side):
    return side * side * 3


def _write(descriptor, data, offset):
    """Writes all of `data`: a disk that is almost full takes a part of it first."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _close(task):
    for target in task.targets:
        descriptor = os.open(target.temporary, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            size = row_bytes(target.side)
            for new, old in enumerate(task.kept):
                if new != old:
                    row = os.pread(descriptor, size, HEADER_BYTES + old * size)
                    _write(descriptor, row, HEADER_BYTES + new * size)
            os.ftruncate(descriptor, HEADER_BYTES + len(task.kept) * size)
            shape = (len(task.kept), target.side, target.side, 3)
            _write(descriptor, npy_header(shape, '|u1'), 0)
            sync(descriptor)
        finally:
            os.close(descriptor)
    for target in task.targets:
        os.replace(target.temporary, target.final)
    return ClosingDone(task.shard)


def npy_header(shape, kind):
    """The first HEADER_BYTES of a .npy file of version 1.0 in C order; the same for any NumPy."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    magic = b'\x93NUMPY\x01\x00'
    length = HEADER_BYTES - len(magic) - 2
    return magic + length.to_bytes(2, 'little') + text.ljust(length - 1).encode('ascii') + b'\n'


def shard_bytes(rows, side):
    """Size in bytes of a shard file."""
    return HEADER_BYTES + rows * row_bytes(side)
