"""Reads published archives: unpacks from a .zip or .tar only what a layout reads.

Downloads are not trusted: every name is checked, only plain files are written, under names that
this module chooses, and their number and size are limited.
"""

import errno
import functools
import gzip
import logging
import os
import re
import shutil
import stat
import tarfile
import zipfile
from contextlib import contextmanager
from typing import (
    Any,
    BinaryIO,
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Pattern,
    Sequence,
)

from stackgan.data.layouts.common import is_plain_name, some
from stackgan.data.layouts.pieces import Piece
from stackgan.data.walking import is_junk
from stackgan.errors import InputError, StackganError
from stackgan.progress import Progress

logger = logging.getLogger(__name__)

SUFFIXES = ('.zip', '.tgz', '.tar.gz', '.tar')
MAX_MEMBERS = 500000                # CUB-200-2011 has 12,005
MAX_BYTES = 64 << 30                # of all members unpacked; CUB-200-2011 has 1.2 GB
MAX_HEADER_BYTES = 1 << 16          # of a header, which tarfile reads into memory
EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
              tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
SPARE_BYTES = 64 << 20               # to leave free on the disk
BLOCK_BYTES = 1 << 20
INNER = re.compile(r'(?:^|/)text(?:_c10)?\.zip\Z')   # in AttnGAN's birds.zip, for the captions
PAGE = (b'<!doctype', b'<html', b'<head', b'<?xml')
AGAIN = 'download it again'


class Member(NamedTuple):
    """An entry of an archive."""

    name: str
    size: int                        # bytes when unpacked
    is_file: bool                    # False: a folder, link or device
    is_folder: bool
    open: Callable[[], Any]          # -> binary stream of its content


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
    with _clear_errors(path):
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
        members = _opener(path, stream)(stream)
        with Progress('unpack ' + os.path.basename(path), max(total >> 20, 1), 'MiB') as progress:
            def show(is_whole: bool = False) -> None:
                reached = progress.total if is_whole else min(stream.tell() >> 20, progress.total)
                progress.advance(max(reached - progress.done, 0))

            for member in members:
                take.take(member, show)
            show(is_whole=True)


def _opener(path: str, stream: BinaryIO) -> Callable[[BinaryIO], Iterator[Member]]:
    """The reader for a file, chosen by its first bytes: the names of downloads are unreliable."""
    start = stream.read(512)
    stream.seek(0)
    if not start:
        raise InputError(f'{path}: is empty; {AGAIN}')
    if start.lstrip().lower().startswith(PAGE):
        raise InputError(f'{path}: is a web page, not an archive: the site sent a page (a '
                         'warning, a sign-in, a quota) instead of the file; open its address in a '
                         'browser and download the file itself')
    if start[:4] in (b'PK\x03\x04', b'PK\x05\x06'):
        return _zip_members
    if start[:2] == b'\x1f\x8b':
        return _packed_tar_members
    if start[257:262] == b'ustar':
        return _tar_members
    raise InputError(f'{path}: neither a zip nor a tar file, whatever its name says (it begins '
                     f'with {start[:8]!r}); {AGAIN}')


@contextmanager
def _clear_errors(path: str) -> Iterator[None]:
    """Turns the exceptions of a damaged archive into one-line errors that name it."""
    try:
        yield
    except (StackganError, MemoryError):
        raise
    except NotImplementedError as error:
        raise InputError(f'{path}: packed in a way that Python does not read ({error}); unpack it '
                         'yourself and leave the folder in its place')
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):         # the disk's, not the archive's
            raise
        raise _damaged(path, error)
    except Exception as error:                # zipfile and tarfile raise nearly anything
        raise _damaged(path, error)


def _damaged(path: str, error: Exception) -> InputError:
    text = ' '.join(str(error).split())[:200]
    return InputError(f'{path}: damaged or cut off, as an interrupted download is '
                      f'({type(error).__name__}: {text}); {AGAIN}')


def _zip_members(stream: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            is_folder = info.filename.endswith('/')
            is_file = not is_folder and stat.S_IFMT(mode) in (0, stat.S_IFREG)
            if is_file and info.flag_bits & 1:
                raise InputError(f'{stream.name}: is encrypted; unpack it yourself and leave the '
                                 'folder in its place')
            yield Member(info.filename, info.file_size, is_file, is_folder,
                         functools.partial(archive.open, info))


def _header_class(ends: List[bool]) -> Any:
    """A TarInfo that refuses large headers, and adds to `ends` at the end-of-archive marker.

    Without the marker tarfile accepts an archive that was cut off between two members. All
    versions of Python call these two methods; frombuf is no longer called since the fixes of 2025.
    """
    class Header(tarfile.TarInfo):
        @classmethod
        def fromtarfile(cls, archive: tarfile.TarFile) -> Any:
            try:
                return super().fromtarfile(archive)
            except tarfile.EOFHeaderError:          # type: ignore[attr-defined]
                ends.append(True)
                raise

        def _proc_member(self, archive: tarfile.TarFile) -> Any:
            if self.size < 0 or self.type in EXTENSIONS and self.size > MAX_HEADER_BYTES:
                raise ValueError(f'a header of {self.size} bytes')
            return super()._proc_member(archive)    # type: ignore[misc]

    return Header


def _tar_members(stream: Any) -> Iterator[Member]:
    ends: List[bool] = []
    with tarfile.open(fileobj=stream, mode='r|', tarinfo=_header_class(ends)) as archive:
        while True:
            info = archive.next()
            # tarfile would keep all of them.
            archive.members = []                    # type: ignore[attr-defined]
            if info is None:
                break
            yield Member(info.name, info.size, info.type in (tarfile.REGTYPE, tarfile.AREGTYPE),
                         info.isdir(), functools.partial(archive.extractfile, info))
    if not ends:
        raise EOFError('the end-of-archive marker is missing')
    while stream.read(BLOCK_BYTES):           # up to the end, where gzip's checksum is
        pass


def _packed_tar_members(stream: BinaryIO) -> Iterator[Member]:
    with gzip.GzipFile(fileobj=stream) as unpacked:
        yield from _tar_members(unpacked)


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
