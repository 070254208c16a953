"""Caption embeddings that came with a raw dataset, such as char-CNN-RNN-embeddings.pickle.

The pickles are read one after the other, and their rows put into one scratch file in the order of
the plan, so that no more than one pickle is in memory, and none while images are prepared.
"""

import os
from typing import NamedTuple

import numpy as np

from stackgan.data.layouts.common import SPLITS, key_of, without_extension
from stackgan.data.safe_pickle import load_pickle
from stackgan.data.shards import npy_header
from stackgan.errors import InputError
from stackgan.files import atomic_write

ITEM_BYTES = 4                       # of a float32
MAX_NUMBERS = 1 << 24                # of one image, where they came as lists and not as an array
MAX_TEXT = 1000                      # characters of a text among them


class PrecomputedEmbeddings(NamedTuple):
    """Embeddings of the items of a plan."""

    path: str              # scratch file: rows of `dim` little-endian float32
    dim: int               # size of an embedding
    starts: dict           # item name -> its first row in the scratch file


def gather(raw, plan, path):
    """(plan with the problems that embeddings show, PrecomputedEmbeddings); None when none came."""
    if not plan.embedding_files:
        return plan, None
    starts, total = _starts(plan)
    by_key = {without_extension(key_of(item.name)): item
              for split in SPLITS for item in plan.splits[split]}
    problems = {name: 'it has no embeddings in {}'.format(' and '.join(file for file, _ in plan.embedding_files)) for name in starts}
    dim = None
    with open(path, 'wb') as stream:
        for file, names in plan.embedding_files:
            arrays = _load(os.path.join(raw, file), len(names))
            for number, name in enumerate(names):
                rows = _rows(arrays[number], os.path.join(raw, file), number, dim)
                dim = rows.shape[1]
                item = by_key.get(without_extension(key_of(name)))
                if item is None:
                    continue
                problems[item.name] = _problem(rows, item, file)
                if problems[item.name] is None:
                    stream.seek(starts[item.name] * dim * ITEM_BYTES)
                    stream.write(rows[list(item.caption_rows)].tobytes())
            del arrays
        stream.truncate(total * dim * ITEM_BYTES)
    splits = {split: [item.with_problem(problems[item.name]) for item in plan.splits[split]]
              for split in SPLITS}
    return plan._replace(splits=splits), PrecomputedEmbeddings(path, dim, starts)


def _starts(plan):
    starts, total = {}, 0
    for split in SPLITS:
        for item in plan.splits[split]:
            starts[item.name] = total
            total += len(item.captions)
    return starts, total


def _load(path, count):
    arrays = load_pickle(path, strings='bytes')            # of Python 2: takes half the memory
    if not isinstance(arrays, (list, tuple, np.ndarray)) or len(arrays) != count:
        raise InputError('%s: must be a list of %d arrays, one for each name in filenames.pickle; '
                         'it holds %s' % (path, count, len(arrays) if hasattr(arrays, '__len__')
                                          else 'a ' + type(arrays).__name__))
    if not count:
        raise InputError(f'{path}: holds no embeddings')
    return arrays


def _rows(value, path, number, dim):
    """One image's embeddings: (captions, dim) float32, little-endian."""
    if not isinstance(value, np.ndarray) and _size(value, {}) > MAX_NUMBERS:
        raise InputError('%s: entry %d is a list of too many numbers; must be an array'
                         % (path, number))
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in 'fiu' or array.shape[1] != (
            dim or array.shape[1] or -1):
        raise InputError('%s: entry %d is %s of %s; must be (captions, %s) numbers'
                         % (path, number, array.shape, array.dtype, dim or 'size'))
    return array.astype('<f4')


def _size(value, seen):
    """How large an array of nested lists gets: one list may stand in many places of others."""
    if isinstance(value, (str, bytes)):
        return MAX_TEXT if len(value) <= MAX_TEXT else MAX_NUMBERS + 1
    if not isinstance(value, (list, tuple)):
        return np.size(value)
    if id(value) not in seen:
        seen[id(value)] = MAX_NUMBERS + 1            # of a list that holds itself
        seen[id(value)] = sum(_size(each, seen) for each in value)
    return seen[id(value)]


def _problem(rows, item, file):
    if item.row_count and len(rows) != item.row_count:
        return ('it has %d captions but %d embeddings in %s' % (item.row_count, len(rows), file))
    if not np.isfinite(rows).all():
        return f'its embeddings in {file} are not finite'
    return None


def write_embeddings(path, brought, items):
    """Writes embeddings.npy: (captions of `items`, dim) float32 in the order of the captions."""
    count = sum(len(item.captions) for item in items)
    with open(brought.path, 'rb') as source, atomic_write(path) as stream:
        stream.write(npy_header((count, brought.dim), '<f4'))
        for item in items:
            source.seek(brought.starts[item.name] * brought.dim * ITEM_BYTES)
            stream.write(source.read(len(item.captions) * brought.dim * ITEM_BYTES))
