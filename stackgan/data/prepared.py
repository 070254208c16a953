"""Reads a prepared dataset: what `preprocess` writes and every later job uses.

    prepared/<name>/
        dataset.json          name, layout, classes (names in the order of their ids), and for
                              each split: images, captions, images of each shard;
                              embedding_dim if the dataset comes with embeddings, else null
        {train,test}/
            images-076-00000.npy ...    (n, 76, 76, 3) uint8 in [0, 255]
            images-304-00000.npy ...    (n, 304, 304, 3) uint8, the same images
            class_ids.npy               (images,) int32, 0-based
            caption_counts.npy          (images,) int32, at least 1
            items.jsonl                 {"name", "class_id", "captions"} of each image
            embeddings.npy              (captions, embedding_dim) float32; only if the
                                        dataset comes with embeddings

Any program can memory-map the .npy files. This reader uses `pread` instead, because mapped pages
count as memory of the process, which would grow with the dataset.
"""

import os
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from stackgan.data.dataset import Dataset, open_dataset  # noqa: F401
from stackgan.errors import InputError
from stackgan.files import read_json_lines
from stackgan.integrity import UNCHECKED, Check, Unchecked, check_file, check_soon

LOW, HIGH = 76, 304        # sides of the stored images in pixels
SPLITS = ('train', 'test')


def shard_name(side: int, number: int) -> str:
    """File name of an image shard."""
    return f'images-{side:03d}-{number:05d}.npy'


class ArrayFile:
    """A .npy file (C order) whose rows are read one by one; uses no memory between reads.

    Raises InputError if the file is not a readable array.
    """

    def __init__(self, path: str):
        try:
            mapped = np.load(path, mmap_mode='r', allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f'{path}: not a readable array ({error}); rerun the job that makes '
                             'it with --force')
        self.shape: Tuple[int, ...] = mapped.shape
        self.dtype = mapped.dtype
        self.offset: int = mapped.offset
        self.row_bytes: int = mapped[0].nbytes if len(mapped) else 0
        self.path = path
        self.check: Union[Check, Unchecked, None] = None     # of its bytes, from the first read on
        self.descriptor = os.open(path, os.O_RDONLY)

    def __len__(self) -> int:
        return self.shape[0]

    def __del__(self) -> None:
        if hasattr(self, 'descriptor'):
            os.close(self.descriptor)

    def read(
            self,
            index: int,                      # row
            first: int = 0,                  # first entry along the second axis
            count: Optional[int] = None,     # entries along the second axis; None: all
    ) -> np.ndarray:
        """Part of a row: array of shape (count,) + shape[2:], a copy.

        Raises InputError once the file is known to be damaged.
        """
        self._raise_if_damaged()
        count = self.shape[1] - first if count is None else count
        entry_bytes = self.row_bytes // self.shape[1]
        data = os.pread(self.descriptor, count * entry_bytes,
                        self.offset + index * self.row_bytes + first * entry_bytes)
        return np.frombuffer(data, self.dtype).reshape((count,) + self.shape[2:])

    def _raise_if_damaged(self) -> None:
        if self.check is None:
            self.check = check_soon(self.path) or UNCHECKED
        self.check.raise_if_damaged()


class Split:
    """The train or test part of a prepared dataset. Uses a few bytes of memory per image."""

    def __init__(self, dataset: Dataset, split: str):
        self.folder = os.path.join(dataset.folder, split)
        self.class_ids = load_array(os.path.join(self.folder, 'class_ids.npy'))
        counts = load_array(os.path.join(self.folder, 'caption_counts.npy'))
        self.caption_starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # Captions (and embedding rows) of image i: caption_starts[i] to caption_starts[i + 1].
        self.shards = {side: self._open_shards(side) for side in (LOW, HIGH)}

    def __len__(self) -> int:
        return len(self.class_ids)

    def _open_shards(self, side: int) -> Tuple[List[ArrayFile], np.ndarray]:
        """(files, index of the first image of each and, last, the number of images)."""
        names = sorted(name for name in os.listdir(self.folder)
                       if name.startswith(f'images-{side:03d}-'))
        files = [ArrayFile(os.path.join(self.folder, name)) for name in names]
        starts = np.concatenate([[0], np.cumsum([len(file) for file in files])]).astype(np.int64)
        if starts[-1] != len(self):
            raise InputError(f'{self.folder}: {starts[-1]} images of {side} px for {len(self)} '
                             'class ids; run preprocess --force')
        return files, starts

    def image(
            self,
            index: int,                      # image
            side: int,                       # LOW or HIGH
            top: int = 0,                    # first line to read
            lines: Optional[int] = None,     # number of lines to read; None: all
    ) -> np.ndarray:
        """Lines of a stored image: (lines, side, 3) uint8."""
        files, starts = self.shards[side]
        shard = int(starts.searchsorted(index, 'right')) - 1
        return files[shard].read(index - int(starts[shard]), top, lines)

    def items(self) -> List[Dict[str, Any]]:
        """All of items.jsonl: a list of {"name", "class_id", "captions"}, read at each call."""
        return read_json_lines(os.path.join(self.folder, 'items.jsonl'))


def load_array(path: str) -> np.ndarray:
    """A small .npy file in memory. Raises InputError if it cannot be read."""
    try:
        check_file(path)
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not a readable array ({error})')
