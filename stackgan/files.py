"""Files that are either whole or absent: atomic writes, digests, JSON lines."""

import hashlib
import json
import os
import re
import tempfile
from contextlib import contextmanager

BLOCK_BYTES = 1 << 20
UNFINISHED = re.compile(r'\..+\.[a-z0-9_]{8}\.tmp$')     # the names atomic_write gives


@contextmanager
def atomic_write(path, mode='wb'):
    """Opens a temporary sibling of `path`; it takes the name of `path` when the block succeeds.

    After a failure inside the block, `path` is as it was and the sibling is gone.
    """
    folder = os.path.dirname(os.path.abspath(path))
    text = {} if 'b' in mode else {'encoding': 'utf-8', 'newline': '\n'}
    descriptor, temporary = tempfile.mkstemp(
        prefix='.' + os.path.basename(path) + '.', suffix='.tmp', dir=folder)
    try:
        with os.fdopen(descriptor, mode, **text) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~current_umask())   # mkstemp's 0600 hides it from others
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


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


def read_json(path):
    with open(path, encoding='utf-8') as stream:
        return json.load(stream)


def write_json_lines(path, values):
    """Writes one compact JSON value a line, atomically."""
    with atomic_write(path, 'w') as stream:
        for value in values:
            stream.write(json.dumps(value, sort_keys=True, ensure_ascii=False) + '\n')


def read_json_lines(path):
    with open(path, encoding='utf-8') as stream:
        return [json.loads(line) for line in stream if line.strip()]


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
