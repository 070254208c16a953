"""Files within a .tar, read where they are: each is a span of the archive's bytes.

A path goes on below the archive as if it were a folder: shards/00000.tar/000012.jpg.
"""

import errno
import io
import os
import tarfile
from contextlib import contextmanager
from functools import lru_cache
from typing import BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Tuple

from stackgan.data.archive_members import (
    MAX_MEMBERS,
    clear_errors,
    header_class,
    members_of,
    tar_members,
)
from stackgan.errors import InputError
from stackgan.files import open_regular

SUFFIX = '.tar'


class Span(NamedTuple):
    """Where the content of a member is in the archive."""

    offset: int              # bytes
    size: int


class Index(NamedTuple):
    """The members of an archive."""

    spans: Dict[str, Span]   # plain files by name, in their order
    twice: List[str]         # names of several members, of which the first is in `spans`
    others: List[str]        # links, devices and names that lead out, which are not read


def index_of(path: str) -> Index:
    """`Index` of a .tar. Raises InputError if it is damaged, packed or has too many members."""
    facts = os.stat(path)
    return _index_of(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=4)
def _index_of(path: str, *of_this_state: int) -> Index:
    spans: Dict[str, Span] = {}
    twice: List[str] = []
    others: List[str] = []
    ends: List[bool] = []
    with open_regular(path) as stream, clear_errors(path):
        if members_of(path, stream) is not tar_members:
            raise InputError(f'{path}: is compressed, or is no .tar; shards are read in place, '
                             'which a plain .tar allows: unpack it once (gunzip)')
        with tarfile.open(fileobj=stream, mode='r:', tarinfo=header_class(ends)) as archive:
            for info in iter(archive.next, None):
                archive.members = []                    # type: ignore[attr-defined]
                if info.isdir():
                    continue
                name = _plain(info.name)
                is_file = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse()
                if name is None or not is_file:
                    others.append(info.name)
                elif name in spans:
                    twice.append(name)
                else:
                    spans[name] = Span(info.offset_data, info.size)
                if len(spans) + len(twice) + len(others) > MAX_MEMBERS:
                    raise InputError(f'{path}: holds more than {MAX_MEMBERS} files')
        if not ends:
            raise EOFError('the end-of-archive marker is missing')
    return Index(spans, twice, others)


def _plain(name: str) -> Optional[str]:
    """A member's name without './'; None if it leads out of the archive or is not UTF-8."""
    parts = [part for part in name.split('/') if part not in ('', '.')]
    try:
        name.encode('utf-8')
    except UnicodeEncodeError:
        return None
    is_out = name.startswith('/') or '..' in parts or '\0' in name or not parts
    return None if is_out else '/'.join(parts)


def read_span(stream: BinaryIO, span: Span) -> bytes:
    """The bytes of a span. Raises EOFError if the file has become shorter."""
    stream.seek(span.offset)
    data = stream.read(span.size)
    if len(data) != span.size:
        raise EOFError('the archive ends within it')
    return data


def split_path(path: str) -> Optional[Tuple[str, str]]:
    """(archive, name of the member) of a path that goes on below a .tar file, or None."""
    start = path.lower().find(SUFFIX + '/')
    while start >= 0:
        archive = path[:start + len(SUFFIX)]
        if os.path.isfile(archive):
            return archive, path[len(archive) + 1:]
        start = path.lower().find(SUFFIX + '/', start + 1)
    return None


@contextmanager
def open_file(
        path: str,
        maximum: int,        # bytes that a member may have
) -> Iterator[Tuple[BinaryIO, int]]:
    """(stream, size in bytes) of a regular file or of a member of a .tar. Raises OSError.

    A member is read into memory; one of more than `maximum` bytes gives an empty stream.
    """
    inner = split_path(path)
    if inner is None:
        with open_regular(path) as stream:
            yield stream, os.fstat(stream.fileno()).st_size
        return
    span = index_of(inner[0]).spans.get(inner[1])
    if span is None:
        raise FileNotFoundError(errno.ENOENT, 'no such member', path)
    with open_regular(inner[0]) as archive:
        data = read_span(archive, span) if span.size <= maximum else b''
    yield io.BytesIO(data), span.size
