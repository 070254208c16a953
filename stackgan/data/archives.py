"""Reads published archives: unpacks of a .zip or .tar what a layout reads, and nothing else.

What comes from a download is not trusted: every name is checked, only plain files are written, to
names that this module makes, and numbers and sizes are bounded.
"""

import errno
import gzip
import logging
import os
import re
import shutil
import stat
import tarfile
import zipfile
from contextlib import contextmanager
from typing import Callable, NamedTuple

from stackgan.data.layouts.common import is_plain_name, some
from stackgan.data.walking import is_junk
from stackgan.errors import InputError, StackganError
from stackgan.progress import Progress

logger = logging.getLogger(__name__)

SUFFIXES = ('.zip', '.tgz', '.tar.gz', '.tar')
MAX_MEMBERS = 500000                # CUB-200-2011 has 12,005
MAX_BYTES = 64 << 30                # of all members unpacked; CUB-200-2011 has 1.2 GB
MAX_HEADER_BYTES = 1 << 16          # of a header that tarfile reads into memory
EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
              tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
SPARE_BYTES = 64 << 20               # left free on the disk
BLOCK_BYTES = 1 << 20
INNER = re.compile(r'(?:^|/)text(?:_c10)?\.zip\Z')   # AttnGAN's birds.zip holds its captions so
PAGE = (b'<!doctype', b'<html', b'<head', b'<?xml')
AGAIN = 'fetch it again'


class Member(NamedTuple):
    """An entry of an archive."""

    name: str
    size: int                        # bytes when unpacked
    is_file: bool                    # False: a folder, link or device
    is_folder: bool
    open: Callable                   # -> binary stream of its content


def unpack(
        path,          # the archive
        pieces,        # layouts.pieces.Piece that are wanted of it
        folder,        # made here; takes its name when all is in it, so it is whole or absent
):
    """Unpacks the pieces that an archive has to their places below `folder`.

    Raises InputError for an archive that is damaged, unsafe or larger than the disk.
    """
    temporary = folder + '.tmp'
    shutil.rmtree(temporary, ignore_errors=True)            # left by a job that was killed
    os.makedirs(temporary)
    inner = os.path.join(temporary, 'inner.zip')
    take = _Take(path, pieces, temporary, inner)
    with _complaints(path):
        _unpack_file(path, take)
        if os.path.exists(inner):
            take.inner = None
            _unpack_file(inner, take)
            os.unlink(inner)
    if take.links:
        logger.info('%s: %d links and devices in it were left out (%s); unpack it yourself to have '
                    'them'
            % (os.path.basename(path), len(take.links), some(take.links)))
    os.rename(temporary, folder)


def _unpack_file(path, take):
    with open(path, 'rb') as stream:
        total = os.fstat(stream.fileno()).st_size
        members = _opener(path, stream)(stream)
        with Progress('unpack ' + os.path.basename(path), max(total >> 20, 1), 'MiB') as progress:
            def show(is_whole=False):
                reached = progress.total if is_whole else min(stream.tell() >> 20, progress.total)
                progress.advance(max(reached - progress.done, 0))

            for member in members:
                take.take(member, show)
            show(is_whole=True)


def _opener(path, stream):
    """The reader for what a file begins with; names say little about downloads."""
    start = stream.read(512)
    stream.seek(0)
    if not start:
        raise InputError(f'{path}: is empty; {AGAIN}')
    if start.lstrip().lower().startswith(PAGE):
        raise InputError(f'{path}: is a web page, not an archive: the site gave its page (a '
                         f'warning, a '
                         'sign-in, a quota) in the place of the file; open its address in a '
                         'browser and fetch the file itself')
    if start[:4] in (b'PK\x03\x04', b'PK\x05\x06'):
        return _zip_members
    if start[:2] == b'\x1f\x8b':
        return _packed_tar_members
    if start[257:262] == b'ustar':
        return _tar_members
    raise InputError(f'{path}: neither a zip nor a tar file, whatever its name says (it begins '
                     f'with '
                     f'{start[:8]!r}); {AGAIN}')


@contextmanager
def _complaints(path):
    """Turns what a damaged archive raises into one line that names it."""
    try:
        yield
    except (StackganError, MemoryError):
        raise
    except NotImplementedError as error:
        raise InputError(f'{path}: packed in a way that Python does not read ({error}); unpack it '
                         f'yourself '
                         'and leave the folder in its place')
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):         # the disk's, not the archive's
            raise
        raise _damaged(path, error)
    except Exception as error:                # zipfile and tarfile raise nearly anything
        raise _damaged(path, error)


def _damaged(path, error):
    return InputError('{}: damaged or cut off, as an interrupted download is ({}: {}); {}'.format(path, type(error).__name__, ' '.join(str(error).split())[:200], AGAIN))


def _zip_members(stream):
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            is_folder = info.filename.endswith('/')
            is_file = not is_folder and stat.S_IFMT(mode) in (0, stat.S_IFREG)
            if is_file and info.flag_bits & 1:
                raise InputError(f'{stream.name}: is encrypted; unpack it yourself and leave the '
                                 f'folder in '
                                 'its place')
            yield Member(info.filename, info.file_size, is_file, is_folder,
                         lambda info=info: archive.open(info))


def _header_class(ends):
    """A TarInfo that refuses large headers, and adds to `ends` when it meets the mark of the end.

    Without the mark tarfile takes an archive that was cut between two members for a whole one.
    These two methods are what every Python calls; frombuf, since its repairs of 2025, is not.
    """
    class Header(tarfile.TarInfo):
        @classmethod
        def fromtarfile(cls, archive):
            try:
                return super().fromtarfile(archive)
            except tarfile.EOFHeaderError:
                ends.append(True)
                raise

        def _proc_member(self, archive):
            if self.size < 0 or self.type in EXTENSIONS and self.size > MAX_HEADER_BYTES:
                raise ValueError('a header of %d bytes' % self.size)
            return super()._proc_member(archive)

    return Header


def _tar_members(stream):
    ends = []
    with tarfile.open(fileobj=stream, mode='r|', tarinfo=_header_class(ends)) as archive:
        while True:
            info = archive.next()
            archive.members = []              # it would keep all of them
            if info is None:
                break
            yield Member(info.name, info.size, info.type in (tarfile.REGTYPE, tarfile.AREGTYPE),
                         info.isdir(), lambda info=info: archive.extractfile(info))
    if not ends:
        raise EOFError('it ends without the mark of its end')
    while stream.read(BLOCK_BYTES):           # to the end, where gzip has its checksum
        pass


def _packed_tar_members(stream):
    with gzip.GzipFile(fileobj=stream) as unpacked:
        yield from _tar_members(unpacked)


class _Take:
    """Writes the members that belong to a piece, and keeps to the bounds."""

    def __init__(
            self,
            path,          # the archive, for messages
            pieces,        # Piece that are wanted
            folder,        # to write to; nothing else writes there
            inner,         # where an archive within this one goes; None: is not taken
    ):
        self.path, self.folder, self.inner = path, folder, inner
        self.places = [(re.compile('(?:^|/)({}){}\\Z'.format(
            '|'.join(map(re.escape, piece.ends)),
            f'/({piece.content})' if piece.content else '')), piece) for piece in pieces]
        self.wants_captions = any(piece.path == 'text_c10' for piece in pieces)
        self.members = self.bytes = 0
        self.links = []                  # names of links and devices that are not taken
        self.origins = {}                # file written -> name in the archive
        self.ends = {}                   # path of a piece -> which of its ends it has here

    def take(self, member, show):
        """Writes a member to its place, if it has one. `show` is called now and then."""
        self.members += 1
        self.bytes += member.size
        if self.members > MAX_MEMBERS or self.bytes > MAX_BYTES:
            raise InputError('%s: holds more than %d files or %d GiB, which no dataset read here '
                             'does; not unpacked' % (self.path, MAX_MEMBERS, MAX_BYTES >> 30))
        target = self._target(self._checked(member.name))
        if target is None or member.is_folder:
            return
        if not member.is_file:
            self.links.append(member.name)
            return
        if target in self.origins:
            raise InputError(f'{self.path}: holds {os.path.relpath(target, self.folder)} twice, as '
                             f'{self.origins[target]} and as {member.name}; unpack it yourself and '
                             f'keep one')
        self.origins[target] = member.name
        self._check_room(member)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with member.open() as source, open(target, 'xb') as stream:
            for block in iter(lambda: source.read(BLOCK_BYTES), b''):
                stream.write(block)
                show()

    def _checked(self, name):
        """A member's name with forward slashes. Raises InputError if it leads elsewhere."""
        parts = [part for part in name.replace('\\', '/').split('/') if part not in ('', '.')]
        if (name[:1] in ('/', '\\') or re.match('[A-Za-z]:', name) or '..' in parts
                or '\0' in name or any(len(os.fsencode(part)) > 255 for part in parts)):
            raise InputError(f'{self.path}: holds the name {name[:100]!r}, which leads out of it '
                             f'or is none; not '
                             'unpacked')
        return '/'.join(parts)

    def _target(self, name):
        """Where a member goes, or None for one that nobody reads."""
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
                                     f'and as {end}/; unpack it yourself and keep '
                                     'one')
                return os.path.join(self.folder, piece.path, *below)
        return None

    def _check_room(self, member):
        free = shutil.disk_usage(self.folder).free - SPARE_BYTES
        if member.size > free:
            raise InputError('%s: no room to unpack it: %s has %d MiB and %s %d MiB are free; make '
                             'room, or unpack it elsewhere and name that folder with data.raw'
                             % (self.path, member.name, member.size >> 20, self.folder,
                                max(free, 0) >> 20))
