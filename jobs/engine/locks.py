"""One job at a time for an output: a file lock, which the kernel releases with the process."""

import errno
import fcntl
import json
import os
import stat
import time
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Dict, Iterator, Optional

from stackgan.errors import InputError, MissingRequirement, StackganError
from stackgan.file_systems import file_system_of
from stackgan.files import open_regular, parse_json, read_bytes

MAX_BYTES = 4096             # of a lock file
LOOKS, LOOK_SECONDS = 2, 0.05        # `is_locked` of others holds a lock for microseconds
OWN = b'{"job"'              # its beginning while the job runs, and after the job was killed


@contextmanager
def locked(folder: str, name: str) -> Iterator[None]:
    """Holds `<folder>.lock`. Raises StackganError if another process holds it, and names it."""
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    path = folder + '.lock'
    descriptor = _open(path)
    try:
        try:
            _lock(descriptor)
        except BlockingIOError:
            raise StackganError(f'{name}: another job is writing {folder} ({holder(path)}); wait '
                                'for it or stop it')
        except OSError as error:
            raise MissingRequirement(
                f'{name}: {path} cannot be locked, so two jobs could write the same output: the '
                f'file system ({file_system_of(path)}) refuses: {error.strerror}; mount it with '
                'locks, or put the volume on a local disk with --data')
        _check_own(descriptor, path)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({
            'job': name, 'pid': os.getpid(), 'host': os.uname().nodename,
            'since': datetime.now().replace(microsecond=0).isoformat()}).encode())
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Raises BlockingIOError if another process holds the lock for longer than a look at it."""
    for _ in range(LOOKS):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_SECONDS)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _open(path: str) -> int:
    """Opens a lock file, creating it if need be. Raises InputError for anything else.

    Through a link a job would overwrite another file; a FIFO would make it wait.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) or os.path.islink(path):
            raise InputError(f'{path}: is a link, but a lock must be a regular file; remove it')
        if error.errno in (errno.EISDIR, errno.ENXIO):
            raise InputError(f'{path}: must be a regular file to serve as the lock; remove it')
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f'{path}: must be a regular file to serve as the lock; remove it')
    return descriptor


def _check_own(descriptor: int, path: str) -> None:
    """Raises InputError if the file has the name of a lock but other content."""
    content = os.pread(descriptor, MAX_BYTES + 1, 0)
    if len(content) > MAX_BYTES or content[:len(OWN)] != OWN[:len(content)]:
        raise InputError(f'{path}: is not a lock file (it has other content); move it away')


def holder(path: str) -> str:
    """The process that wrote the lock file, in words."""
    try:
        return '{job}, process {pid} on {host} since {since}'.format(**holder_facts(path))
    except (OSError, ValueError, KeyError, TypeError):
        return 'its lock file does not name the process'


def holder_facts(path: str) -> Dict[str, Any]:
    """What the lock file holds. Raises OSError or ValueError where it is none."""
    facts = parse_json(read_bytes(path, MAX_BYTES, follow=False).decode('utf-8'))
    if not isinstance(facts, dict):
        raise ValueError('not a JSON object')
    return facts


def is_locked(folder: str) -> Optional[str]:
    """The process that holds the lock of an output, in words, or None. Leaves no trace."""
    try:
        stream = open_regular(folder + '.lock', follow=False)
    except OSError:
        return None
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return holder(folder + '.lock')
    except OSError:                                     # a file system without locks
        return None
    finally:
        stream.close()
