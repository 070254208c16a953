"""The entries of a .zip or .tar file, one after the other, with limits on what is read.

Archives are not trusted: headers are bounded, and the exceptions of a damaged archive become errors
that name it. What to do with an entry is up to the caller, who checks its name and size.
"""

import errno
import functools
import gzip
import stat
import tarfile
import zipfile
from contextlib import contextmanager
from typing import Any, BinaryIO, Callable, Iterator, List, NamedTuple

from stackgan.errors import InputError, StackganError

MAX_MEMBERS = 500000                # CUB-200-2011 has 12,005
MAX_BYTES = 64 << 30                # of all members unpacked; CUB-200-2011 has 1.2 GB
MAX_HEADER_BYTES = 1 << 16          # of a header, which tarfile reads into memory
EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
              tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
BLOCK_BYTES = 1 << 20
PAGE = (b'<!doctype', b'<html', b'<head', b'<?xml')
AGAIN = 'download it again'


class Member(NamedTuple):
    """An entry of an archive."""

    name: str
    size: int                        # bytes when unpacked
    is_file: bool                    # False: a folder, link or device
    is_folder: bool
    open: Callable[[], Any]          # -> binary stream of its content


def members_of(path: str, stream: BinaryIO) -> Callable[[BinaryIO], Iterator[Member]]:
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
        return tar_members
    raise InputError(f'{path}: neither a zip nor a tar file, whatever its name says (it begins '
                     f'with {start[:8]!r}); {AGAIN}')


@contextmanager
def clear_errors(path: str) -> Iterator[None]:
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


def header_class(ends: List[bool]) -> Any:
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


def tar_members(stream: Any) -> Iterator[Member]:
    """The entries of a .tar that is not compressed."""
    ends: List[bool] = []
    with tarfile.open(fileobj=stream, mode='r|', tarinfo=header_class(ends)) as archive:
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
        yield from tar_members(unpacked)
