"""The features a network computes for a set of images, cached on disk: one row per image.

    <key>/key.json        everything that changes the rows; the folder's name is its digest
    <key>/rows.npy        (count,) of `Features.type`

A file shorter than its header says is unfinished. Rows are only ever appended, so a later process
resumes after the last complete one.
"""

import hashlib
import io
import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Union

import numpy as np

from stackgan.file_systems import link_or_copy
from stackgan.files import atomic_write, digest_of, read_json, write_json
from stackgan.integrity import is_undamaged
from stackgan.platforms.cores import available_cores
from stackgan.platforms.parts import ALONE, Parts, part_path
from stackgan.prefetch import prefetch
from stackgan.progress import Progress
from stackgan.scoring.extractor import BATCH, Extractor
from stackgan.scoring.image_sets import ImageSet, Reader

VERSION = 1                # raised when the preparation of images changes
KEY, ROWS = 'key.json', 'rows.npy'
BLOCK = 1024               # rows read at once
BATCHES_AHEAD = 2


class Features:
    """The rows of one network on one set, in `<folder>/<digest of the key>`."""

    def __init__(
            self,
            folder: str,                  # of all features
            extractor: Extractor,
            images: ImageSet,
            earlier: Sequence[str] = (),  # other folders of features; whole ones there are used
    ) -> None:
        self.key = _key(extractor, images)
        self.count, self.extractor = images.count, extractor
        self.type = _type(extractor)
        self.header = self._header()
        name = digest_of(self.key)
        self.path = os.path.join(folder, name, ROWS)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        for other in earlier:
            self._take(os.path.join(other, name))
        self._start()

    def _header(self) -> bytes:
        """The bytes before the rows."""
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {
            'descr': np.lib.format.dtype_to_descr(self.type), 'fortran_order': False,
            'shape': (self.count,)})
        return stream.getvalue()

    def _take(self, source: str) -> None:
        """Links the complete rows of another folder; they are never written to again."""
        whole = len(self.header) + self.count * self.type.itemsize
        rows = os.path.join(source, ROWS)
        if (not os.path.exists(self.path) and self._is_named(source)
                and os.path.exists(rows) and os.path.getsize(rows) == whole
                and is_undamaged(rows)):
            write_json(os.path.join(os.path.dirname(self.path), KEY), self.key)
            link_or_copy(rows, self.path)

    def _is_named(self, folder: str) -> bool:
        """Whether the rows in a folder are those of this key."""
        try:
            return read_json(os.path.join(folder, KEY)) == self.key
        except (OSError, ValueError):
            return False

    def _start(self) -> None:
        """Counts the rows that are there; starts over if they have another key or are damaged."""
        folder = os.path.dirname(self.path)
        if not self._is_named(folder):
            write_json(os.path.join(folder, KEY), self.key)
            self._begin()
        with open(self.path, 'ab+') as stream:
            stream.seek(0)
            is_whole = stream.read(len(self.header)) == self.header
        if not is_whole:
            self._begin()
        self.done = (os.path.getsize(self.path) - len(self.header)) // self.type.itemsize

    def _begin(self) -> None:
        with atomic_write(self.path) as stream:
            stream.write(self.header)

    def cut(self, rows: int) -> None:
        """Drops all rows after the first `rows`, and an incomplete one at the end."""
        with open(self.path, 'r+b') as stream:
            stream.truncate(len(self.header) + rows * self.type.itemsize)
        self.done = rows

    def append(self, rows: np.ndarray) -> None:
        with open(self.path, 'ab') as stream:
            stream.write(rows.tobytes())
        self.done += len(rows)

    def append_part(self, rank: int) -> None:
        """Moves the rows of another worker's `FeaturesPart` to the end."""
        path = part_path(self.path, rank)
        with open(self.path, 'ab') as stream, open(path, 'rb') as part:
            shutil.copyfileobj(part, stream)
            self.done += part.tell() // self.type.itemsize
        os.unlink(path)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields all rows in order, in arrays of at most BLOCK."""
        with open(self.path, 'rb') as stream:
            stream.seek(len(self.header))
            for start in range(0, self.count, BLOCK):
                yield np.fromfile(stream, self.type, min(BLOCK, self.count - start))

    def rows_of(self, field: str) -> np.ndarray:
        """[readable images, ...]: one field of all rows, in memory."""
        return np.concatenate([rows[field] for rows in self.good_blocks()])

    def good_blocks(self) -> Iterator[np.ndarray]:
        """As `blocks`, without the rows of images that could not be read."""
        for rows in self.blocks():
            yield rows[rows['elongation'] > 0]


class FeaturesPart:
    """Rows of `Features` that another worker than 0 computes. Use as a context manager."""

    def __init__(
            self,
            folder: str,                  # of all features
            extractor: Extractor,
            images: ImageSet,
            rank: int,                    # of this worker
    ) -> None:
        self.extractor, self.type = extractor, _type(extractor)
        path = os.path.join(folder, digest_of(_key(extractor, images)), ROWS)
        self.stream = open(part_path(path, rank), 'wb')

    def __enter__(self) -> 'FeaturesPart':
        return self

    def __exit__(self, *exception: Any) -> None:
        self.stream.close()

    def append(self, rows: np.ndarray) -> None:
        self.stream.write(rows.tobytes())


def _type(extractor: Extractor) -> np.dtype:
    fields: List[Any] = [('digest', '<u8'), ('elongation', '<f4')]
    if extractor.dim:
        fields.append(('features', '<f4', (extractor.dim,)))
    if extractor.classes:
        fields.append(('logits', '<f4', (extractor.classes,)))
    return np.dtype(fields)


def _key(extractor: Extractor, images: ImageSet) -> Dict[str, Any]:
    """Everything that changes the rows."""
    return {'version': VERSION, 'network': extractor.facts, 'pictures': images.facts}


def keep(
        images: ImageSet,
        extractors: Sequence[Extractor],
        folder: str,                      # where features are kept
        earlier: Sequence[str],           # folders of finished features
) -> None:
    """Takes over the finished features of a set for which nothing has to be computed now."""
    for each in extractors:
        name = digest_of(_key(each, images))
        if any(os.path.isdir(os.path.join(other, name)) for other in earlier):
            Features(folder, each, images, earlier)


Rows = Union[Features, FeaturesPart]


class Prepared(NamedTuple):
    """An image, preprocessed for each network."""

    digest: int                                # of its pixels, 64 bits
    elongation: float                          # 0: it could not be read
    views: Optional[Dict[str, np.ndarray]]     # by extractor; None where it could not be read


def extract(
        images: ImageSet,
        extractors: Sequence[Extractor],
        folder: str,                      # where features are kept
        label: str,                       # of the progress bar
        earlier: Sequence[str] = (),      # other folders of features; whole ones there are used
        parts: Parts = ALONE,           # of worker 0; the others are in `extract_parts`
) -> Dict[str, Features]:
    """{extractor name: Features}, complete. Images are made once for all extractors."""
    found = {each.name: Features(folder, each, images, earlier) for each in extractors}
    unfinished = [each for each in found.values() if each.done < each.count]
    if unfinished:
        first = min(each.done for each in unfinished)
        for each in unfinished:
            each.cut(first)
        parts.begin(images=digest_of(images.facts), first=first,
                    networks=[each.extractor.name for each in unfinished])
        _append(images, unfinished, _share(images, first, parts), label, parts)
        parts.finish()
        for each in unfinished:
            for rank in range(1, parts.size):
                each.append_part(rank)
    return found


def extract_parts(
        sets: Sequence[ImageSet],         # all that worker 0 may extract
        extractors: Dict[str, Extractor],
        folder: str,                      # where worker 0 keeps the features
        parts: Parts,
) -> None:
    """Computes this worker's rows for each `extract` of worker 0, which ends this process."""
    known = {digest_of(each.facts): each for each in sets}
    for task in parts.tasks():
        images = known[task['images']]
        with ExitStack() as opened:
            rows = [opened.enter_context(FeaturesPart(folder, extractors[name], images, parts.rank))
                    for name in task['networks']]
            _append(images, rows, _share(images, task['first'], parts), images.name, parts)


def _share(images: ImageSet, first: int, parts: Parts) -> range:
    """The images of this worker from `first` on: whole batches, the same as of one worker."""
    own = parts.share(-(-(images.count - first) // BATCH))
    return range(first + own.start * BATCH, min(first + own.stop * BATCH, images.count))


def _append(images: ImageSet, features: Sequence[Rows], own: range, label: str,
            parts: Parts) -> None:
    """Computes the rows of the images `own`."""
    with ThreadPoolExecutor(available_cores()) as pool, \
            closing(prefetch(_prepared(images, features, own, pool), BATCHES_AHEAD)) as chunks, \
            Progress(label, own.stop, 'images', own.start) as progress:
        for chunk in chunks:
            for each in features:
                each.append(_rows(each, chunk))
            parts.advance()
            progress.advance(len(chunk))


def _prepared(images: ImageSet, features: Sequence[Rows], own: range,
              pool: ThreadPoolExecutor) -> Iterator[List[Prepared]]:
    """Yields lists of `Prepared`."""
    extractors = [each.extractor for each in features]

    def prepare(read: Reader) -> Prepared:
        image = read()
        if image.pixels is None:
            return Prepared(0, 0.0, None)
        return Prepared(_digest(image.pixels), image.elongation,
                        {each.name: each.prepare(image.pixels) for each in extractors})

    readers = itertools.islice(images.readers(own.start), len(own))
    for chunk in iter(lambda: list(itertools.islice(readers, BATCH)), []):
        yield list(pool.map(prepare, chunk))


def _digest(pixels: np.ndarray) -> int:
    """64 bits of the pixels and their shape."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels))
    return int(digest.hexdigest()[:16], 16)


def _rows(features: Rows, chunk: List[Prepared]) -> np.ndarray:
    """The rows of a chunk; zeros for images that could not be read."""
    extractor = features.extractor
    rows = np.zeros(len(chunk), features.type)
    views = {i: each.views[extractor.name] for i, each in enumerate(chunk) if each.views}
    if views:
        good = list(views)
        logits, seen = extractor.run(list(views.values()))
        if extractor.dim:
            rows['features'][good] = seen
        if extractor.classes:
            rows['logits'][good] = logits
        rows['digest'][good] = [chunk[i].digest for i in good]
        rows['elongation'][good] = [chunk[i].elongation for i in good]
    return rows
