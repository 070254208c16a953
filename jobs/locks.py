"""One job at a time on one output: a lock that the kernel drops with the process."""

import fcntl
import json
import os
import socket
from contextlib import contextmanager
from datetime import datetime

from stackgan.errors import MissingRequirement, StackganError
from stackgan.file_systems import file_system_of


@contextmanager
def locked(folder, name):
    """Holds `<folder>.lock`. Raises StackganError that says who holds it already."""
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    path = folder + '.lock'
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackganError('%s: another job is writing %s (%s); wait for it or stop it'
                                % (name, folder, holder(path)))
        except OSError as error:
            raise MissingRequirement(
                '%s: %s cannot be locked, so two jobs could write one output: the file system (%s) '
                'refuses: %s; mount it with locks, or put the volume on a local disk with --data'
                % (name, path, file_system_of(path), os.strerror(error.errno)))
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({
            'job': name, 'pid': os.getpid(), 'host': socket.gethostname(),
            'since': datetime.now().replace(microsecond=0).isoformat()}).encode())
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(path):
    """Who wrote the lock file, in words."""
    try:
        with open(path) as stream:
            facts = json.load(stream)
        return '%(job)s, process %(pid)s on %(host)s since %(since)s' % facts
    except (OSError, ValueError, KeyError):
        return 'its lock file does not say who'


def is_locked(folder):
    """Who holds the lock of an output, in words, or None. Takes nothing and writes nothing."""
    try:
        descriptor = os.open(folder + '.lock', os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return holder(folder + '.lock')
    except OSError:                                     # a file system without locks
        return None
    finally:
        os.close(descriptor)
