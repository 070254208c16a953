"""Files that are either whole or absent: atomic writes, digests, JSON lines.

What is read may be anyone's: only regular files are opened, and JSON has bounds of size and depth.
"""

import errno
import hashlib
import io
import json
import math
import os
import re
import stat
import tempfile
from contextlib import contextmanager

from stackgan.file_systems import set_mode, sync

BLOCK_BYTES = 1 << 20
MAX_JSON_BYTES = 64 << 20      # of one document
MAX_JSON_DEPTH = 64            # containers within containers
MAX_DIGITS = 400               # of a whole number: reading one takes the square of its length
UNFINISHED = re.compile(r'\..+\.[a-z0-9_]{8}\.tmp$')     # the names atomic_write gives


@contextmanager
def atomic_write(path, mode='wb'):
    """Opens a temporary sibling of `path`; it takes the name of `path` when the block succeeds.

    After a failure inside the block, `path` is as it was and the sibling is gone.
    """
    folder = os.path.dirname(os.path.abspath(path))
    # A lone byte of a file name, '\udce9' in Python, becomes the escape that JSON has for it.
    text = {} if 'b' in mode else {'encoding': 'utf-8', 'newline': '\n',
                                   'errors': 'backslashreplace'}
    descriptor, temporary = tempfile.mkstemp(
        prefix='.' + os.path.basename(path) + '.', suffix='.tmp', dir=folder)
    try:
        with os.fdopen(descriptor, mode, **text) as stream:
            yield stream
            stream.flush()
            sync(stream.fileno())
        set_mode(temporary, 0o666 & ~current_umask())   # mkstemp's 0600 hides it from others
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def user_path(text: str) -> str:
    """A path as a person gives it: `~` and `~name` at its start are home folders.

    A shell leaves them as they are behind `=`, in quotes and in files.
    """
    return os.path.expanduser(text)


def remove_unfinished(folder):
    """Removes what a process killed inside `atomic_write` left anywhere below `folder`."""
    for name in files_below(folder):
        if UNFINISHED.match(os.path.basename(name)):
            os.unlink(os.path.join(folder, name))


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def write_json(path, value):
    """Writes `value` as indented JSON with sorted keys, atomically."""
    with atomic_write(path, 'w') as stream:
        json.dump(value, stream, indent=2, sort_keys=True, ensure_ascii=False)
        stream.write('\n')


def open_regular(path, follow=True, folder=None):
    """Opens a regular file to read its bytes. Waits for nothing, whatever lies at `path`.

    Raises OSError for a FIFO, device, socket or folder; without `follow` for a link as well.
    `folder` is the descriptor of that which `path` is relative to; None: the working folder.
    """
    def check(facts):
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, 'not a regular file', path)

    # Before it is opened: that alone can do something to a device.
    check(os.stat(path, dir_fd=folder, follow_symlinks=follow))
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    stream = os.fdopen(os.open(path, flags, dir_fd=folder), 'rb')
    try:
        check(os.fstat(stream.fileno()))              # of what it is now
    except BaseException:
        stream.close()
        raise
    return stream


def read_bytes(path, maximum, follow=True):
    """The bytes of a regular file. Raises OSError, or ValueError for more than `maximum`."""
    blocks, left = [], maximum
    with open_regular(path, follow) as stream:
        if os.fstat(stream.fileno()).st_size > maximum:
            raise ValueError('larger than %d bytes' % maximum)
        while left >= 0:                              # what grows meanwhile is bounded as well
            blocks.append(stream.read(min(left + 1, BLOCK_BYTES)))
            left -= len(blocks[-1])
            if not blocks[-1]:
                return b''.join(blocks)
    raise ValueError('larger than %d bytes' % maximum)


def read_json(path, maximum=MAX_JSON_BYTES):
    """What a JSON file holds. Raises OSError, or ValueError for no JSON and for too much of it."""
    return parse_json(read_bytes(path, maximum).decode('utf-8'))


def parse_json(text, strict=False):
    """What a JSON text holds. Raises ValueError; numbers and nesting have bounds.

    `strict`, for what people write: no key stands twice in an object, no number is NaN or infinite.
    """
    hooks = {'object_pairs_hook': _unique, 'parse_constant': _finite,
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
    raise ValueError('nested more than %d deep' % MAX_JSON_DEPTH)


def _whole_number(text):
    if len(text) > MAX_DIGITS:
        raise ValueError('a number of %d digits' % len(text))
    return int(text)


def _unique(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f'duplicate key {max(keys, key=keys.count)[:60]!r}')
    return found


def _finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f'{text[:60]} is not a finite number')
    return value


def write_json_lines(path, values):
    """Writes one compact JSON value a line, atomically."""
    with atomic_write(path, 'w') as stream:
        for value in values:
            stream.write(json.dumps(value, sort_keys=True, ensure_ascii=False) + '\n')


def read_json_lines(path):
    """The values of a file with one JSON value a line. Raises as `read_json`."""
    with io.TextIOWrapper(open_regular(path), 'utf-8') as stream:
        return [parse_json(line) for line in stream if line.strip()]


def digest_of(value):
    """sha256, in hex, of the canonical JSON of `value`."""
    text = json.dumps(value, sort_keys=True, separators=(',', ':'), ensure_ascii=True)
    return hashlib.sha256(text.encode('ascii')).hexdigest()


def digest_of_file(path):
    """sha256, in hex, of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        for block in iter(lambda: stream.read(BLOCK_BYTES), b''):
            digest.update(block)
    return digest.hexdigest()


def files_below(folder):
    """Sorted paths of all files below `folder`, relative to it, with forward slashes."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            found.append(os.path.relpath(os.path.join(parent, name), folder))
    return sorted(path.replace(os.sep, '/') for path in found)
