"""Finds the pieces of a raw dataset in folders, archives, or both.

A piece is taken from the first of: its place in the raw folder; a deeper place in it, e.g. if
birds.zip was unpacked with its own folders; an archive in the raw folder. If all pieces are in
their places, the raw folder itself is read; otherwise a folder of links to the pieces.
"""

import logging
import os
import re
import shutil
from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence

from stackgan.data.archives import SUFFIXES, unpack
from stackgan.data.layouts.pieces import Piece
from stackgan.data.walking import names_in, subfolders
from stackgan.errors import InputError
from stackgan.file_systems import symlink_or_copy

logger = logging.getLogger(__name__)

DEPTH = 3                    # maximum number of folders between the raw folder and a piece


class View(NamedTuple):
    """A folder in which each piece is in its place."""

    folder: str
    raw: str
    origins: Dict[str, str]      # path of a piece -> where it comes from, for messages

    @contextmanager
    def named(self) -> Iterator[None]:
        """Within the block, messages name the user's files instead of the links to them."""
        try:
            yield
        except InputError as error:
            text = str(error)
            for path in sorted(self.origins, key=len, reverse=True):
                text = text.replace(os.path.join(self.folder, path), self.origins[path])
            raise InputError(text.replace(self.folder, self.raw))


def view_raw(
        raw: str,                    # raw folder; nothing is written there
        pieces: Sequence[Piece],
        scratch: str,                # folder for unpacked files; may hold those of an interrupted
                                     # call
) -> View:
    """`View` of a raw folder, without the pieces that are found nowhere.

    Raises InputError for an unusable archive and for a piece that is found twice.
    """
    if not os.path.isdir(raw):
        raise InputError(f'{raw}: must be a folder that holds the dataset, or its archives')
    found = {piece.path: _find(raw, piece) for piece in pieces}
    origins = {path: place for path, place in found.items() if place}
    deeper = [place for path, place in origins.items() if place != os.path.join(raw, path)]
    if deeper:
        logger.info('used in place: ' + ', '.join(deeper))
    missing = [piece for piece in pieces if not found[piece.path]]
    for name in _archives_of(raw) if missing else ():
        folder = os.path.join(scratch, 'archives', name)
        if not os.path.isdir(folder):
            unpack(os.path.join(raw, name), missing, folder)
        _add_unpacked(found, origins, os.path.join(raw, name), folder, missing)
    if all(place in (None, os.path.join(raw, path)) for path, place in found.items()):
        return View(raw, raw, {})
    folder = os.path.join(scratch, 'raw')
    shutil.rmtree(folder, ignore_errors=True)          # only links; their targets stay
    for path, place in found.items():
        if place:
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            symlink_or_copy(os.path.abspath(place), os.path.join(folder, path))
    return View(folder, raw, origins)


def _archives_of(raw: str) -> List[str]:
    return [name for name in names_in(raw)
            if name.lower().endswith(SUFFIXES) and os.path.isfile(os.path.join(raw, name))]


def _add_unpacked(found: Dict[str, Optional[str]], origins: Dict[str, str], archive: str,
                  folder: str, missing: List[Piece]) -> None:
    """Adds the missing pieces that were unpacked from an archive."""
    taken = [piece.path for piece in missing if os.path.exists(os.path.join(folder, piece.path))]
    for path in taken:
        if found[path]:
            other = origins[path].split(': ')[0]
            raise InputError(f'{other} and {archive} both hold {path}; remove one of them')
        found[path] = os.path.join(folder, path)
        origins[path] = f'{archive}: {path}'
    use = 'used for ' + ', '.join(taken) if taken else 'nothing in it is needed'
    logger.info(f'{os.path.basename(archive)}: {use}')


def _find(raw: str, piece: Piece) -> Optional[str]:
    """Path of a piece that is in the raw folder as a file or folder, or None."""
    place = os.path.join(raw, piece.path)
    if _is_piece(place, piece):
        return place
    for end in piece.ends:
        there = [os.path.join(folder, end) for folder in _folders(raw)]
        there = [path for path in there if _is_piece(path, piece)]
        if len(there) > 1:
            raise InputError(f'{there[0]} and {there[1]} could both be {piece.path} '
                             f'({piece.what}); move one of them out of {raw}')
        if there:
            return there[0]
    return place if os.path.exists(place) and not _archives_of(raw) else None


def _folders(raw: str) -> Iterator[str]:
    """The raw folder and the folders below it down to DEPTH, the upper ones first."""
    level, seen = [raw], {os.path.realpath(raw)}
    for _ in range(DEPTH):
        yield from level
        below = [path for folder in level for path in subfolders(folder)]
        level = []
        for path in sorted(below, key=os.path.islink):          # a folder before links to it
            if os.path.realpath(path) not in seen:
                seen.add(os.path.realpath(path))
                level.append(path)
        level.sort(key=lambda path: below.index(path))
    yield from level


def _is_piece(path: str, piece: Piece) -> bool:
    """Whether the content of a path is that of a piece."""
    if not piece.content:
        return os.path.isfile(path)
    return os.path.isdir(path) and any(re.fullmatch(piece.content, name)
                                       for name in _names_below(path, piece.depth))


def _names_below(folder: str, depth: int) -> Iterator[str]:
    """Names of the entries `depth` levels down, with forward slashes."""
    for name in names_in(folder):
        if depth == 1:
            yield name
        elif os.path.isdir(os.path.join(folder, name)):
            for deeper in _names_below(os.path.join(folder, name), depth - 1):
                yield f'{name}/{deeper}'
