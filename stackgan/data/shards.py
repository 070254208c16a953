"""Writes the image shards of a prepared dataset, in several processes at once.

A block of images is one task. Its rows go straight to their places in temporary files, so that a
process never holds more than one image. When all blocks of a shard are done, a last task closes
the gaps left by unusable images, writes the header and renames the files.

Does not import NumPy, which would start a pool of threads in each worker process.
"""

import os
import warnings
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

from stackgan.data.images import BadImage, Box, Crop, Cut, cut_image
from stackgan.file_systems import sync

HEADER_BYTES = 128


class Target(NamedTuple):
    """A shard file being written."""

    side: int                # images are side x side px
    temporary: str
    final: str


class Block(NamedTuple):
    """Task: crop some images and write their rows."""

    shard: int                               # which shard, for the caller
    first_row: int                           # of the first image in the shard's temporary files
    files: List[Tuple[str, Optional[Box]]]   # (path, box)
    crop: Crop
    targets: List[Target]                    # the largest side first

    def __str__(self) -> str:
        return f'{self.files[0][0]} or one of the {len(self.files) - 1} images after it'


class BlockDone(NamedTuple):
    """Result of a Block."""

    shard: int
    first_row: int
    sizes: List[Optional[Tuple[int, int, int]]]  # (width, height, shorter side of its crop) of
                                                 # each file in pixels; None for an unusable one
    problems: List[Optional[str]]                # why a file cannot be used; None: it can


class Closing(NamedTuple):
    """Task: finish the files of a shard whose blocks are done."""

    shard: int
    kept: List[int]          # rows that hold an image, ascending
    targets: List[Target]

    def __str__(self) -> str:
        return self.targets[0].final


class ClosingDone(NamedTuple):
    """Result of a Closing."""

    shard: int


Task = Union[Block, Closing]
Result = Union[BlockDone, ClosingDone]


def perform(task: Task) -> Result:
    """Performs a task; runs in worker processes."""
    return _write_block(task) if isinstance(task, Block) else _close(task)


def _write_block(block: Block) -> BlockDone:
    sizes: List[Optional[Tuple[int, int, int]]] = []
    problems: List[Optional[str]] = []
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


def _cut(path: str, crop: Crop, box: Optional[Box], sides: Sequence[int]) -> Cut:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')       # Pillow's do not name the file
        return cut_image(path, crop, box, sides)


def row_bytes(side: int) -> int:
    """Size in bytes of an image of side x side px."""
    return side * side * 3


def _write(descriptor: int, data: bytes, offset: int) -> None:
    """Writes all of `data`; a single call may write only part of it if the disk is almost full."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _close(task: Closing) -> ClosingDone:
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


def npy_header(
        shape: Tuple[int, ...],
        kind: str,               # type of a value as NumPy writes it, e.g. '<f4'
) -> bytes:
    """The first HEADER_BYTES of a .npy file (version 1.0, C order), independent of NumPy's version.
    """
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    magic = b'\x93NUMPY\x01\x00'
    length = HEADER_BYTES - len(magic) - 2
    return magic + length.to_bytes(2, 'little') + text.ljust(length - 1).encode('ascii') + b'\n'


def shard_bytes(rows: int, side: int) -> int:
    """Size in bytes of a shard file of `rows` images."""
    return HEADER_BYTES + rows * row_bytes(side)
