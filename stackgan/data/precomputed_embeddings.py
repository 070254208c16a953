"""Precomputed caption embeddings of a raw dataset, such as char-CNN-RNN-embeddings.pickle.

The pickles are read one after the other, and their rows are written to one scratch file in the
order of the plan, so that at most one pickle is in memory, and none while images are prepared.
"""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from stackgan.data.layouts import Plan
from stackgan.data.layouts.common import SPLITS, Item, key_of, without_extension
from stackgan.data.safe_pickle import load_pickle
from stackgan.data.shards import npy_header
from stackgan.errors import InputError
from stackgan.files import atomic_write

ITEM_BYTES = 4                       # of a float32
MAX_NUMBERS = 1 << 24                # of one image, if stored as lists and not as an array
MAX_TEXT = 1000                      # characters of a text among the numbers


class PrecomputedEmbeddings(NamedTuple):
    """Embeddings of the items of a plan."""

    path: str              # scratch file: rows of `dim` little-endian float32
    dim: int               # size of an embedding
    starts: Dict[str, int]     # item name -> its first row in the scratch file


def gather(
        raw: str,      # raw folder
        plan: Plan,
        path: str,     # scratch file to write
) -> Tuple[Plan, Optional[PrecomputedEmbeddings]]:
    """(plan with the problems found in its embeddings, embeddings); None if the dataset has none.

    Raises InputError for a file that does not contain embeddings.
    """
    if not plan.embedding_files:
        return plan, None
    starts, total = _starts(plan)
    by_key = {without_extension(key_of(item.name)): item
              for split in SPLITS for item in plan.splits[split]}
    files = ' and '.join(file for file, _ in plan.embedding_files)
    problems: Dict[str, Optional[str]] = dict.fromkeys(starts, f'it has no embeddings in {files}')
    dim = 0                              # as yet unknown
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


def _starts(plan: Plan) -> Tuple[Dict[str, int], int]:
    """({item name: its first row}, number of rows)."""
    starts: Dict[str, int] = {}
    total = 0
    for split in SPLITS:
        for item in plan.splits[split]:
            starts[item.name] = total
            total += len(item.captions)
    return starts, total


def _load(path: str, count: int) -> Sequence[Any]:
    arrays = load_pickle(path, strings='bytes')    # for pickles of Python 2: half the memory
    if not isinstance(arrays, (list, tuple, np.ndarray)) or len(arrays) != count:
        found = len(arrays) if hasattr(arrays, '__len__') else f'a {type(arrays).__name__}'
        raise InputError(f'{path}: must be a list of {count} arrays, one for each name in '
                         f'filenames.pickle; it holds {found}')
    if not count:
        raise InputError(f'{path}: holds no embeddings')
    return arrays


def _rows(
        value: Any,
        path: str,
        number: int,       # of the entry, for messages
        dim: int,          # expected size; 0: any
) -> np.ndarray:
    """One image's embeddings: (captions, dim) float32, little-endian."""
    if not isinstance(value, np.ndarray) and _size(value, {}) > MAX_NUMBERS:
        raise InputError(f'{path}: entry {number} is a list of too many numbers; must be an array')
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in 'fiu' or array.shape[1] != (
            dim or array.shape[1] or -1):
        raise InputError(f'{path}: entry {number} is {array.shape} of {array.dtype}; must be '
                         f'(captions, {dim or "size"}) numbers')
    return array.astype('<f4')


def _size(value: Any, seen: Dict[int, int]) -> int:
    """Numbers in an array of nested lists, of which one may be repeated in many places.

    seen: sizes of lists by id.
    """
    if isinstance(value, (str, bytes)):
        return MAX_TEXT if len(value) <= MAX_TEXT else MAX_NUMBERS + 1
    if not isinstance(value, (list, tuple)):
        return np.size(value)
    if id(value) not in seen:
        seen[id(value)] = MAX_NUMBERS + 1            # for a list that contains itself
        seen[id(value)] = sum(_size(each, seen) for each in value)
    return seen[id(value)]


def _problem(rows: np.ndarray, item: Item, file: str) -> Optional[str]:
    if item.row_count and len(rows) != item.row_count:
        return f'it has {item.row_count} captions but {len(rows)} embeddings in {file}'
    if not np.isfinite(rows).all():
        return f'its embeddings in {file} are not finite'
    return None


def write_embeddings(path: str, embeddings: PrecomputedEmbeddings, items: List[Item]) -> None:
    """Writes embeddings.npy: (captions of `items`, dim) float32 in the order of the captions."""
    count = sum(len(item.captions) for item in items)
    row_bytes = embeddings.dim * ITEM_BYTES
    with open(embeddings.path, 'rb') as source, atomic_write(path) as stream:
        stream.write(npy_header((count, embeddings.dim), '<f4'))
        for item in items:
            source.seek(embeddings.starts[item.name] * row_bytes)
            stream.write(source.read(len(item.captions) * row_bytes))
