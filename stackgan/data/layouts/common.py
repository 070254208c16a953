"""The result that every layout's reader returns for a raw folder, and what readers share."""

import os
import unicodedata
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.data.image_kinds import EXTENSIONS
from stackgan.data.images import Box
from stackgan.errors import InputError

SPLITS = ('train', 'test')
SHOWN = 3                            # files listed in a message about many


class Item(NamedTuple):
    """One image of a raw dataset."""

    name: str                        # unique in the dataset, forward slashes, UTF-8
    path: str                        # of the file, relative to the raw folder
    class_name: str
    box: Optional[Box]
    captions: List[str]              # cleaned
    caption_rows: Tuple[int, ...] = ()   # for each caption, its row among precomputed embeddings
    row_count: int = 0               # precomputed embeddings that this image should have
    problem: Optional[str] = None    # why it cannot be used, without the path

    def with_problem(self, problem: Optional[str]) -> 'Item':
        """A copy with this problem, unless the item has one already."""
        return self if self.problem else self._replace(problem=problem)


class Raw(NamedTuple):
    """A raw dataset as its layout's reader found it."""

    items: List[Item]                # in the order of the dataset
    classes: List[str]               # names in the order of their ids
    lists: Optional[Dict[str, List[str]]]    # 'train' and 'test' -> names, if the dataset has lists
    embedding_files: List[Tuple[str, List[str]]]     # (pickle below the raw folder, names of the
                                                     # images of its entries)
    remarks: List[str]               # to log, a line each
    folder_splits: Any = None        # split_folders.FolderSplits, if folders are named train, ...


def require(path: str, where: str) -> str:
    """Returns the path. Raises InputError if it is missing; `where` says what belongs there."""
    if not os.path.exists(path):
        raise InputError(f'{path} is missing: {where}')
    return path


def key_of(name: str) -> str:
    """The normal form of a name, which lists and tables may spell in several ways."""
    name = unicodedata.normalize('NFC', name.strip().replace('\\', '/'))
    while name.startswith('./'):
        name = name[2:]
    return name


def is_plain_name(name: str) -> bool:
    """Whether a path found in a file stays below its folder and can be written as UTF-8."""
    try:
        name.encode('utf-8')
    except UnicodeEncodeError:
        return False
    return bool(name) and not name.startswith('/') and '..' not in name.split('/')


def without_extension(name: str) -> str:
    """'a/b.jpg' -> 'a/b'; removes only the extensions of images."""
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in EXTENSIONS else name


class NameIndex:
    """Finds items by the names that lists use: with or without extension or top folder."""

    def __init__(
            self,
            items: List[Item],
            prefixes: Sequence[str],     # folders that a list may write in front of names
    ):
        self.prefixes = [prefix for prefix in prefixes if prefix]
        self.found: Dict[str, int] = {}
        for index, item in enumerate(items):
            self._add(key_of(item.name), index)
        for index, item in enumerate(items):
            stem = without_extension(key_of(item.name))
            if stem != key_of(item.name):
                self._add(stem, index)

    def _add(self, key: str, index: int) -> None:
        same = self.found.get(key)
        self.found[key] = index if same is None else -1          # -1: several items

    def position(
            self,
            name: str,
            origin: str,       # where the name was found, for messages
    ) -> int:
        """Index of an item. Raises InputError for an unknown or ambiguous name."""
        key = key_of(name)
        for prefix in self.prefixes:
            if key not in self.found and key.startswith(prefix):
                key = key[len(prefix):]
        index = self.found.get(key, self.found.get(without_extension(key)))
        if index is None:
            raise InputError(f'{origin}: names {name!r}, but the dataset has no such image')
        if index < 0:
            raise InputError(f'{origin}: {name!r} matches several images; add its '
                             'extension')
        return index


def some(
        names: Iterable[str],
        count: Optional[int] = None,     # how many there are, if `names` are the first of them
) -> str:
    """'a, b, c and 4 more'."""
    names = list(names)
    count = len(names) if count is None else count
    text = ', '.join(names[:SHOWN])
    return text if count <= SHOWN else f'{text} and {count - SHOWN} more'
