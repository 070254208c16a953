"""Reader of a prepared dataset: what `preprocess` writes and every later job reads.

    prepared/<name>/
        dataset.json          name, layout, classes (names in the order of their ids), and for
                              each split: images, captions, images of each shard;
                              embedding_dim when the dataset came with embeddings, else null
        {train,test}/
            images-076-00000.npy ...    (n, 76, 76, 3) uint8 in [0, 255]
            images-304-00000.npy ...    (n, 304, 304, 3) uint8, the same images
            class_ids.npy               (images,) int32, 0-based
            caption_counts.npy          (images,) int32, at least 1
            items.jsonl                 {"name", "class_id", "captions"} of each image
            embeddings.npy              (captions, embedding_dim) float32; only when brought

The .npy files can be memory-mapped by anything. This reader uses `pread` instead: pages of a
mapping count as memory of the process, so that a loader's size would grow with the dataset.
"""

import os
from typing import NamedTuple

import numpy as np

from stackgan.errors import InputError
from stackgan.files import read_json, read_json_lines
from stackgan.integrity import UNCHECKED, check_file, check_soon

LOW, HIGH = 76, 304        # sides of the stored images
SPLITS = ('train', 'test')


class Dataset(NamedTuple):
    """What dataset.json says."""

    folder: str
    name: str
    classes: list              # class names; the index is the class id
    embedding_dim: int         # of the embeddings that came with the dataset, or None


def open_dataset(folder):
    """`Dataset` of a prepared folder. Raises InputError where it cannot be read."""
    path = os.path.join(folder, 'dataset.json')
    try:
        facts = read_json(path)
        return Dataset(folder, facts['name'], facts['classes'], facts['embedding_dim'])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f'{path}: not the description of a prepared dataset ({error}); run '
                         f'preprocess')


def shard_name(side, number):
    """File name of an image shard."""
    return 'images-%03d-%05d.npy' % (side, number)


class ArrayFile:
    """Rows of a .npy file (C order), read one by one; takes no memory between reads."""

    def __init__(self, path):
        try:
            self.array = np.load(path, mmap_mode='r', allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f'{path}: not a readable array ({error}); run the job that makes it '
                             f'again '
                             'with --force')
        self.shape, self.dtype = self.array.shape, self.array.dtype
        self.offset = self.array.offset
        self.row_bytes = self.array[0].nbytes if len(self.array) else 0
        self.array = None                       # closes the mapping
        self.path = path
        self.check = None                       # of its bytes, from the first read on
        self.descriptor = os.open(path, os.O_RDONLY)

    def __len__(self):
        return self.shape[0]

    def __del__(self):
        if hasattr(self, 'descriptor'):
            os.close(self.descriptor)

    def read(
            self,
            index,         # row
            first=0,       # first entry along the second axis
            count=None,    # entries along the second axis; None: all
    ):
        """Part of a row: array of shape (count,) + shape[2:], a copy.

        Raises InputError once the file is known to be damaged.
        """
        self._raise_if_damaged()
        count = self.shape[1] - first if count is None else count
        entry_bytes = self.row_bytes // self.shape[1]
        data = os.pread(self.descriptor, count * entry_bytes,
                        self.offset + index * self.row_bytes + first * entry_bytes)
        return np.frombuffer(data, self.dtype).reshape((count,) + self.shape[2:])


    def _raise_if_damaged(self):
        if self.check is None:
            self.check = check_soon(self.path) or UNCHECKED
        self.check.raise_if_damaged()


class Split:
    """The train or the test part of a prepared dataset. Holds a few bytes an image in memory."""

    def __init__(self, dataset, split):
        self.folder = os.path.join(dataset.folder, split)
        self.class_ids = load_array(os.path.join(self.folder, 'class_ids.npy'))
        counts = load_array(os.path.join(self.folder, 'caption_counts.npy'))
        self.caption_starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # Captions (and embedding rows) of image i: caption_starts[i] to caption_starts[i + 1].
        self.shards = {side: self._open_shards(side) for side in (LOW, HIGH)}

    def __len__(self):
        return len(self.class_ids)

    def _open_shards(self, side):
        names = sorted(name for name in os.listdir(self.folder)
                       if name.startswith('images-%03d-' % side))
        files = [ArrayFile(os.path.join(self.folder, name)) for name in names]
        starts = np.concatenate([[0], np.cumsum([len(file) for file in files])]).astype(np.int64)
        if starts[-1] != len(self):
            raise InputError('%s: %d images of %d px for %d class ids; run preprocess --force'
                             % (self.folder, starts[-1], side, len(self)))
        return files, starts

    def image(
            self,
            index,         # image
            side,          # LOW or HIGH
            top=0,         # first line of the part wanted
            lines=None,    # number of lines; None: all
    ):
        """Lines of a stored image: (lines, side, 3) uint8."""
        files, starts = self.shards[side]
        shard = int(np.searchsorted(starts, index, 'right')) - 1
        return files[shard].read(index - int(starts[shard]), top, lines)

    def items(self):
        """All of items.jsonl: a list of {"name", "class_id", "captions"}, read anew."""
        return read_json_lines(os.path.join(self.folder, 'items.jsonl'))


def load_array(path):
    """A small .npy file in memory. Raises InputError where it cannot be read."""
    try:
        check_file(path)
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not a readable array ({error})')
