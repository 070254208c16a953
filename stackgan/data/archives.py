"""Reads published archives: unpacks from a .zip or .tar only what a layout reads.

Downloads are not trusted: every name is checked, only plain files are written, under names that
this module chooses, and their number and size are limited.
"""

import logging
import os
import re
import shutil
from typing import Callable, Dict, List, Optional, Pattern, Sequence

from stackgan.data.archive_members import (
    BLOCK_BYTES,
    MAX_BYTES,
    MAX_MEMBERS,
    Member,
    clear_errors,
    members_of,
)
from stackgan.data.layouts.common import is_plain_name, some
from stackgan.data.layouts.pieces import Piece
from stackgan.data.walking import is_junk
from stackgan.errors import InputError
from stackgan.progress import Progress

logger = logging.getLogger(__name__)

SUFFIXES = ('.zip', '.tgz', '.tar.gz', '.tar')
SPARE_BYTES = 64 << 20               # to leave free on the disk
INNER = re.compile(r'(?:^|/)text(?:_c10)?\.zip\Z')   # in AttnGAN's birds.zip, for the captions


def unpack(
        path: str,                   # the archive
        pieces: Sequence[Piece],     # to unpack, if the archive has them
        folder: str,                 # created under another name and renamed at the end, so that
                                     # it is complete or absent
) -> None:
    """Unpacks pieces from an archive to their places below `folder`.

    Raises InputError if the archive is damaged, unsafe or does not fit on the disk.
    """
    temporary = folder + '.tmp'
    shutil.rmtree(temporary, ignore_errors=True)            # left by a job that was killed
    os.makedirs(temporary)
    inner = os.path.join(temporary, 'inner.zip')
    take = _Take(path, pieces, temporary, inner)
    with clear_errors(path):
        _unpack_file(path, take)
        if os.path.exists(inner):
            take.inner = None
            _unpack_file(inner, take)
            os.unlink(inner)
    if take.links:
        logger.info(f'{os.path.basename(path)}: {len(take.links)} links and devices in it were '
                    f'left out ({some(take.links)}); unpack it yourself to have them')
    os.rename(temporary, folder)


def _unpack_file(path: str, take: '_Take') -> None:
    with open(path, 'rb') as stream:
        total = os.fstat(stream.fileno()).st_size
        members = members_of(path, stream)(stream)
        with Progress('unpack ' + os.path.basename(path), max(total >> 20, 1), 'MiB') as progress:
            def show(is_whole: bool = False) -> None:
                reached = progress.total if is_whole else min(stream.tell() >> 20, progress.total)
                progress.advance(max(reached - progress.done, 0))

            for member in members:
                take.take(member, show)
            show(is_whole=True)


class _Take:
    """Writes the members that belong to a piece, within the limits."""

    def __init__(
            self,
            path: str,                   # the archive, for messages
            pieces: Sequence[Piece],     # to unpack
            folder: str,                 # to write to; nothing else writes there
            inner: str,                  # where to write an archive within this one
    ):
        self.path, self.folder = path, folder
        self.inner: Optional[str] = inner            # None: it has been read
        self.places = [(_pattern(piece), piece) for piece in pieces]
        self.wants_captions = any(piece.path == 'text_c10' for piece in pieces)
        self.members = self.bytes = 0
        self.links: List[str] = []               # links and devices, which are left out
        self.origins: Dict[str, str] = {}        # file written -> name in the archive
        self.ends: Dict[str, str] = {}           # path of a piece -> which of its ends it has here

    def take(
            self,
            member: Member,
            show: Callable[[], None],        # called after each block
    ) -> None:
        """Writes a member to its place, if it has one."""
        self.members += 1
        self.bytes += member.size
        if self.members > MAX_MEMBERS or self.bytes > MAX_BYTES:
            raise InputError(f'{self.path}: holds more than {MAX_MEMBERS} files or '
                             f'{MAX_BYTES >> 30} GiB, which no supported dataset does; not '
                             'unpacked')
        target = self._target(self._checked(member.name))
        if target is None or member.is_folder:
            return
        if not member.is_file:
            self.links.append(member.name)
            return
        if target in self.origins:
            raise InputError(f'{self.path}: holds {os.path.relpath(target, self.folder)} twice, as '
                             f'{self.origins[target]} and as {member.name}; unpack it yourself and '
                             'keep one')
        self.origins[target] = member.name
        self._check_room(member)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with member.open() as source, open(target, 'xb') as stream:
            for block in iter(lambda: source.read(BLOCK_BYTES), b''):
                stream.write(block)
                show()

    def _checked(self, name: str) -> str:
        """A member's name with forward slashes. Raises InputError if it leads elsewhere."""
        parts = [part for part in name.replace('\\', '/').split('/') if part not in ('', '.')]
        if (name[:1] in ('/', '\\') or re.match('[A-Za-z]:', name) or '..' in parts
                or '\0' in name or any(len(os.fsencode(part)) > 255 for part in parts)):
            raise InputError(f'{self.path}: holds the name {name[:100]!r}, which leads out of it '
                             'or is invalid; not unpacked')
        return '/'.join(parts)

    def _target(self, name: str) -> Optional[str]:
        """Path to write a member to; None for one that no layout reads."""
        if any(is_junk(part) for part in name.split('/')) or not is_plain_name(name):
            return None
        if self.inner and self.wants_captions and INNER.search(name):
            return self.inner
        for pattern, piece in self.places:
            found = pattern.search(name)
            if found:
                end, *below = found.groups()
                if self.ends.setdefault(piece.path, end) != end:
                    raise InputError(f'{self.path}: holds {piece.what} as {self.ends[piece.path]}/ '
                                     f'and as {end}/; unpack it yourself and keep one')
                return os.path.join(self.folder, piece.path, *below)
        return None

    def _check_room(self, member: Member) -> None:
        free = shutil.disk_usage(self.folder).free - SPARE_BYTES
        if member.size > free:
            raise InputError(f'{self.path}: not enough disk space to unpack it: {member.name} has '
                             f'{member.size >> 20} MiB, but only {max(free, 0) >> 20} MiB are free '
                             f'in {self.folder}; free some space, or unpack it elsewhere and name '
                             'that folder with data.raw')


def _pattern(piece: Piece) -> Pattern[str]:
    """Finds the names of a piece's files; groups: its end and, for a folder, the file below it."""
    ends = '|'.join(map(re.escape, piece.ends))
    content = f'/({piece.content})' if piece.content else ''
    return re.compile(rf'(?:^|/)({ends}){content}\Z')
