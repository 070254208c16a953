"""What a network sees in a set of images, kept on disk: one row an image.

    <key>/key.json        everything that changes the rows; the folder's name is its digest
    <key>/rows.npy        (count,) of `row_type`

A file that is not as long as its header says is unfinished: rows are only ever added at its end,
so that a later process resumes behind the last whole one.
"""

import hashlib
import io
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from stackgan.file_systems import link_or_copy
from stackgan.files import atomic_write, digest_of, read_json, write_json
from stackgan.integrity import is_undamaged
from stackgan.platforms.cores import available_cores
from stackgan.prefetch import prefetch
from stackgan.progress import Progress

VERSION = 1                # raised when images are prepared in another way
KEY, ROWS = 'key.json', 'rows.npy'
BATCH = 16                 # images a network sees at once; more are slower on CPUs
BLOCK = 1024               # rows read at once
BATCHES_AHEAD = 2


class Features:
    """The rows of one network on one set, in `<folder>/<digest of the key>`."""

    def __init__(
            self,
            folder,            # of all features
            extractor,         # extractors.Extractor
            images,            # a set of image_sets
            earlier=(),        # other folders of features; whole ones there are used
    ):
        self.key = _key(extractor, images)
        self.count, self.extractor = images.count, extractor
        fields = [('digest', '<u8'), ('elongation', '<f4'), ('features', '<f4', (extractor.dim,))]
        if extractor.classes:
            fields.append(('logits', '<f4', (extractor.classes,)))
        self.type = np.dtype(fields)
        self.header = self._header()
        name = digest_of(self.key)
        self.path = os.path.join(folder, name, ROWS)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        for other in earlier:
            self._take(os.path.join(other, name))
        self._start()

    def _header(self):
        """The bytes before the rows."""
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {
            'descr': np.lib.format.dtype_to_descr(self.type), 'fortran_order': False,
            'shape': (self.count,)})
        return stream.getvalue()

    def _take(self, source):
        """Makes links to the whole rows in another folder; they are never written to again."""
        whole = len(self.header) + self.count * self.type.itemsize
        rows = os.path.join(source, ROWS)
        if (not os.path.exists(self.path) and self._is_named(source)
                and os.path.exists(rows) and os.path.getsize(rows) == whole
                and is_undamaged(rows)):
            write_json(os.path.join(os.path.dirname(self.path), KEY), self.key)
            link_or_copy(rows, self.path)

    def _is_named(self, folder):
        """Whether a folder says that its rows are those of this key."""
        try:
            return read_json(os.path.join(folder, KEY)) == self.key
        except (OSError, ValueError):
            return False

    def _start(self):
        """Counts the rows that are there; what is not of this key or damaged is begun anew."""
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

    def _begin(self):
        with atomic_write(self.path) as stream:
            stream.write(self.header)

    def cut(self, rows):
        """Forgets the rows from `rows` on, and half a row at the end."""
        with open(self.path, 'r+b') as stream:
            stream.truncate(len(self.header) + rows * self.type.itemsize)
        self.done = rows

    def append(self, rows):
        with open(self.path, 'ab') as stream:
            stream.write(rows.tobytes())
        self.done += len(rows)

    def blocks(self):
        """Yields arrays of rows, all of them in order."""
        with open(self.path, 'rb') as stream:
            stream.seek(len(self.header))
            for start in range(0, self.count, BLOCK):
                yield np.fromfile(stream, self.type, min(BLOCK, self.count - start))

    def good_blocks(self):
        """As `blocks`, without the rows of images that could not be read."""
        for rows in self.blocks():
            yield rows[rows['elongation'] > 0]


def _key(extractor, images):
    """Everything that changes the rows."""
    return {'version': VERSION, 'network': extractor.facts, 'pictures': images.facts}


def keep(
        images,              # a set of image_sets
        extractors,          # [Extractor]
        folder,              # where features are kept
        earlier,             # folders of finished features
):
    """Takes what finished features there are of a set that needs no looking at now."""
    for each in extractors:
        name = digest_of(_key(each, images))
        if any(os.path.isdir(os.path.join(other, name)) for other in earlier):
            Features(folder, each, images, earlier)


class Prepared(NamedTuple):
    """An image as each network wants to see it."""

    digest: int              # of its pixels
    elongation: float        # 0: it could not be read
    views: Any               # {extractor name: array}; None where it could not be read


def extract(
        images,              # a set of image_sets
        extractors,          # [Extractor]
        folder,              # where features are kept
        label,               # of the progress bar
        earlier=(),          # other folders of features; whole ones there are used
):
    """{extractor name: Features}, complete. Images are made once for all extractors."""
    found = {each.name: Features(folder, each, images, earlier) for each in extractors}
    unfinished = [each for each in found.values() if each.done < each.count]
    if unfinished:
        first = min(each.done for each in unfinished)
        for each in unfinished:
            each.cut(first)
        with ThreadPoolExecutor(available_cores()) as pool, \
                closing(prefetch(_prepared(images, unfinished, first, pool), BATCHES_AHEAD)) \
                as chunks, Progress(label, images.count, 'images', first) as progress:
            for chunk in chunks:
                for each in unfinished:
                    each.append(_rows(each, chunk))
                progress.advance(len(chunk))
    return found


def _prepared(images, features, first, pool):
    """Yields lists of `Prepared`."""
    extractors = [each.extractor for each in features]

    def prepare(read):
        image = read()
        if image.pixels is None:
            return Prepared(0, 0.0, None)
        return Prepared(_digest(image.pixels), image.elongation,
                        {each.name: each.prepare(image.pixels) for each in extractors})

    readers = images.readers(first)
    for chunk in iter(lambda: list(itertools.islice(readers, BATCH)), []):
        yield list(pool.map(prepare, chunk))


def _digest(pixels):
    """64 bits of the pixels and their shape."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels))
    return int(digest.hexdigest()[:16], 16)


def _rows(features, chunk):
    """The rows of a chunk; zeros for images that could not be read."""
    extractor = features.extractor
    rows = np.zeros(len(chunk), features.type)
    good = [i for i, each in enumerate(chunk) if each.views is not None]
    if good:
        logits, seen = extractor.run([chunk[i].views[extractor.name] for i in good])
        rows['features'][good] = seen
        if extractor.classes:
            rows['logits'][good] = logits
        rows['digest'][good] = [chunk[i].digest for i in good]
        rows['elongation'][good] = [chunk[i].elongation for i in good]
    return rows
