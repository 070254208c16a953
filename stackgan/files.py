"""Atomic writes, digests, JSON and JSON lines.

Files that are read may come from anyone: only regular files are opened, and JSON is limited in size
and depth.
"""

import errno
import hashlib
import io
import json
import math
import os
import re
import stat
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, Dict, Iterable, Iterator, List, Optional, Tuple

from stackgan.file_systems import set_mode, sync

BLOCK_BYTES = 1 << 20
MAX_JSON_BYTES = 64 << 20      # of one document
MAX_JSON_DEPTH = 64            # containers within containers
MAX_DIGITS = 400               # of an integer; parsing takes quadratic time
UNFINISHED = re.compile(r'\..+\.[a-z0-9_]{8}\.tmp$')     # temporary names of atomic_write


@contextmanager
def atomic_write(path: str, mode: str = 'wb') -> Iterator[IO[Any]]:
    """Opens a temporary file that replaces `path` when the block succeeds.

    If the block fails, `path` is unchanged and the temporary file is removed.
    """
    import tempfile  # with what it imports in turn: not for those who only read
    folder = os.path.dirname(os.path.abspath(path))
    # A lone byte of a file name, '\udce9' in Python, becomes its JSON escape.
    text: Dict[str, Any] = {} if 'b' in mode else {
        'encoding': 'utf-8', 'newline': '\n', 'errors': 'backslashreplace'}
    descriptor, temporary = tempfile.mkstemp(
        prefix='.' + os.path.basename(path) + '.', suffix='.tmp', dir=folder)
    try:
        with os.fdopen(descriptor, mode, **text) as stream:
            yield stream
            stream.flush()
            sync(stream.fileno())
        set_mode(temporary, 0o666 & ~current_umask())   # with mkstemp's 0600 others cannot read it
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def user_path(text: str) -> str:
    """A path that a user typed, with `~` and `~name` at its start expanded.

    A shell does not expand them after `=`, in quotes and in files.
    """
    return os.path.expanduser(text)


def remove_unfinished(folder: str) -> None:
    """Removes temporary files below `folder` left by a process killed inside `atomic_write`."""
    for name in files_below(folder):
        if UNFINISHED.match(os.path.basename(name)):
            os.unlink(os.path.join(folder, name))


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def write_json(path: str, value: Any) -> None:
    """Writes `value` as indented JSON with sorted keys, atomically."""
    with atomic_write(path, 'w') as stream:
        json.dump(value, stream, indent=2, sort_keys=True, ensure_ascii=False)
        stream.write('\n')


def open_regular(path: str, follow: bool = True, folder: Optional[int] = None) -> BinaryIO:
    """Opens a regular file for reading bytes. Never blocks, whatever is at `path`.

    Raises OSError for a FIFO, device, socket or folder; without `follow` for a link as well.
    `folder` is the descriptor of the folder that `path` is relative to; None: the working folder.
    """
    def check(facts: os.stat_result) -> None:
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, 'not a regular file', path)

    # Before it is opened, since opening a device can already have effects.
    check(os.stat(path, dir_fd=folder, follow_symlinks=follow))
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    stream = os.fdopen(os.open(path, flags, dir_fd=folder), 'rb')
    try:
        check(os.fstat(stream.fileno()))              # in case it was replaced since
    except BaseException:
        stream.close()
        raise
    return stream


def read_bytes(path: str, maximum: int, follow: bool = True) -> bytes:
    """The bytes of a regular file. Raises OSError, or ValueError for more than `maximum`."""
    blocks, left = [], maximum
    with open_regular(path, follow) as stream:
        if os.fstat(stream.fileno()).st_size > maximum:
            raise ValueError(f'larger than {maximum} bytes')
        while left >= 0:                              # the file may grow meanwhile
            blocks.append(stream.read(min(left + 1, BLOCK_BYTES)))
            left -= len(blocks[-1])
            if not blocks[-1]:
                return b''.join(blocks)
    raise ValueError(f'larger than {maximum} bytes')


def read_json(path: str, maximum: int = MAX_JSON_BYTES) -> Any:
    """The value in a JSON file. Raises OSError, or ValueError for invalid or too much JSON."""
    return parse_json(read_bytes(path, maximum).decode('utf-8'))


def parse_json(text: str, strict: bool = False) -> Any:
    """The value of a JSON text. Raises ValueError; length of numbers and nesting are limited.

    `strict` refuses duplicate keys in an object and numbers that are NaN or infinite.
    """
    hooks: Dict[str, Any] = {'object_pairs_hook': _unique, 'parse_constant': _finite,
                             'parse_float': _finite} if strict else {}
    try:
        value = json.loads(text, parse_int=_whole_number, **hooks)
    except RecursionError:
        raise ValueError('nested too deeply')
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [inner for outer in level if isinstance(outer, (dict, list))
                 for inner in (outer.values() if isinstance(outer, dict) else outer)]
        if not level:
            return value
    raise ValueError(f'nested more than {MAX_JSON_DEPTH} deep')


def _whole_number(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f'a number of {len(text)} digits')
    return int(text)


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f'duplicate key {max(keys, key=keys.count)[:60]!r}')
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f'{text[:60]} is not a finite number')
    return value


def write_json_lines(path: str, values: Iterable[Any]) -> None:
    """Writes one compact JSON value per line, atomically."""
    with atomic_write(path, 'w') as stream:
        for value in values:
            stream.write(json.dumps(value, sort_keys=True, ensure_ascii=False) + '\n')


def read_json_lines(path: str) -> List[Any]:
    """The values of a file with one JSON value per line. Raises as `read_json`."""
    with io.TextIOWrapper(open_regular(path), 'utf-8') as stream:
        return [parse_json(line) for line in stream if line.strip()]


def digest_of(value: Any) -> str:
    """sha256, in hex, of the canonical JSON of `value`."""
    text = json.dumps(value, sort_keys=True, separators=(',', ':'), ensure_ascii=True)
    return hashlib.sha256(text.encode('ascii')).hexdigest()


def digest_of_file(path: str) -> str:
    """sha256, in hex, of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        for block in iter(lambda: stream.read(BLOCK_BYTES), b''):
            digest.update(block)
    return digest.hexdigest()


def files_below(folder: str) -> List[str]:
    """Sorted paths of all files below `folder`, relative to it, with forward slashes."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            found.append(os.path.relpath(os.path.join(parent, name), folder))
    return sorted(path.replace(os.sep, '/') for path in found)
