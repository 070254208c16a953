"""What every layout's reader makes of a raw folder."""

import os
import unicodedata
from typing import Any, NamedTuple, Optional

from stackgan.data.image_kinds import EXTENSIONS
from stackgan.data.images import Box
from stackgan.errors import InputError

SPLITS = ('train', 'test')
SHOWN = 3                            # files named in a message about many


class Item(NamedTuple):
    """One image of a raw dataset."""

    name: str                        # unique in the dataset, forward slashes, UTF-8
    path: str                        # of the file, relative to the raw folder
    class_name: str
    box: Optional[Box]
    captions: list                   # cleaned texts
    caption_rows: tuple = ()         # for each caption, its row among precomputed embeddings
    row_count: int = 0               # embeddings that this image should bring
    problem: Optional[str] = None    # why it cannot be used; names no file of its own

    def with_problem(self, problem):
        """The same with a problem, unless it has one already."""
        return self if self.problem else self._replace(problem=problem)


class Raw(NamedTuple):
    """A raw dataset as its layout's reader found it."""

    items: list                      # Item, in the order of the dataset
    classes: list                    # class names in the order of their ids
    lists: Optional[dict]            # {'train': names, 'test': names} that the dataset brings
    embedding_files: list            # (pickle below the raw folder, names of its entries)
    remarks: list                    # lines for people
    folder_splits: Any = None        # split_folders.FolderSplits, where folders are named so


def require(path, where):
    """Raises InputError for a missing file or folder; `where` says what belongs there."""
    if not os.path.exists(path):
        raise InputError(f'{path} is missing: {where}')
    return path


def key_of(name):
    """A name as lists and tables may write it, in one form."""
    name = unicodedata.normalize('NFC', name.strip().replace('\\', '/'))
    while name.startswith('./'):
        name = name[2:]
    return name


def is_plain_name(name):
    """Whether a path from a file stays below its folder and can be written as UTF-8."""
    try:
        name.encode('utf-8')
    except UnicodeEncodeError:
        return False
    return bool(name) and not name.startswith('/') and '..' not in name.split('/')


def without_extension(name):
    """'a/b.jpg' -> 'a/b'; a dot that begins no image's extension stays."""
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in EXTENSIONS else name


class NameIndex:
    """Finds items by the names that lists use: with or without extension or top folder."""

    def __init__(
            self,
            items,         # Item
            prefixes,      # folders that a list may write in front of names
    ):
        self.prefixes = [prefix for prefix in prefixes if prefix]
        self.found = {}
        for index, item in enumerate(items):
            self._add(key_of(item.name), index)
        for index, item in enumerate(items):
            stem = without_extension(key_of(item.name))
            if stem != key_of(item.name):
                self._add(stem, index)

    def _add(self, key, index):
        same = self.found.get(key)
        self.found[key] = index if same is None else -1          # -1: several items

    def position(self, name, origin):
        """Index of an item. Raises InputError, naming `origin`, for an unknown name."""
        key = key_of(name)
        for prefix in self.prefixes:
            if key not in self.found and key.startswith(prefix):
                key = key[len(prefix):]
        index = self.found.get(key, self.found.get(without_extension(key)))
        if index is None:
            raise InputError(f'{origin}: names {name!r}, but the dataset has no such image')
        if index < 0:
            raise InputError(f'{origin}: {name!r} may be several images; write it with its '
                             f'extension')
        return index


def some(names, count=None):
    """'a, b, c and 4 more'."""
    names = list(names)
    count = len(names) if count is None else count
    text = ', '.join(names[:SHOWN])
    return text if count <= SHOWN else '%s and %d more' % (text, count - SHOWN)
