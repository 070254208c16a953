"""What a test needs of the machine beside Python and the packages of the extra `test`.

Where it is missing the test is skipped, with what is missing and how to get it; nothing else may
depend on it. A mark for what can be known before a test starts, a function for the rest.
"""

import functools
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import Any, Iterator, Optional

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.environ.get('STACKGAN_SHARED', os.path.join(os.path.dirname(ROOT), 'shared'))
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')


def first_program(*names: str) -> Optional[str]:
    """Path of the first of these programs that is on PATH, or None."""
    return next(filter(None, map(shutil.which, names)), None)


@functools.lru_cache(None)
def has_compose() -> bool:
    """Whether the Docker client is here and has the Compose plugin: `docker compose up --help`
    shows the client's own help, and ends well, where it has not."""
    if not shutil.which('docker'):
        return False
    done = subprocess.run(['docker', 'compose', 'version'], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


compose = pytest.mark.skipif(
    not has_compose(), reason='no Docker Compose v2 on this machine (Debian 13: apt-get install '
    'docker-cli docker-compose; others: docker-compose-plugin)')
engine = pytest.mark.skipif(
    not os.environ.get('STACKGAN_TEST_ENGINE'),
    reason='needs a Docker engine with the CPU images: .ci/smoke.sh makes them and sets '
    'STACKGAN_TEST_ENGINE')
browser = pytest.mark.skipif(
    first_program(*BROWSERS) is None or first_program('bash') is None,
    reason='no Chromium on this machine (Debian: apt-get install chromium bash)')
dev_full = pytest.mark.skipif(not os.path.exists('/dev/full'),
                              reason='no /dev/full on this machine (Linux has it; in a chroot: '
                              'mount --bind /dev)')
proc = pytest.mark.skipif(not os.path.exists('/proc/self/statm'),
                          reason='no /proc on this machine (Linux has it; in a chroot: mount -t '
                          'proc proc /proc)')


slurm = pytest.mark.skipif(
    first_program('slurmctld') is None or first_program('munged') is None or os.getuid() != 0,
    reason='needs Slurm, and root to start it (Debian: apt-get install slurm-wlm munge)')


def program(name: str) -> str:
    """Path of a program that a test gives; the test is skipped without it."""
    path = shutil.which(name)
    if not path:
        pytest.skip(f'no program {name} on PATH; install it')
    return path


def shared(*parts: str) -> str:
    """Path of a folder of facts or data that are not in the repository."""
    path = os.path.join(SHARED, *parts)
    if not os.path.isdir(path):
        pytest.skip(f'{os.path.join(*parts)} is not on this machine (STACKGAN_SHARED names its '
                    f'parent)')
    return path


def other_python() -> str:
    """Path of the interpreter of another lane's environment, which scripts/test.sh names."""
    path = os.environ.get('STACKGAN_OTHER_PYTHON')
    if not path:
        pytest.skip('STACKGAN_OTHER_PYTHON names no environment of another lane; scripts/test.sh '
                    'does where this machine has a second Python')
    return path


@contextmanager
def mounted(folder: Any, options: str) -> Iterator[None]:
    """A small tmpfs on a folder, for a disk that is full or read-only."""
    program('mount')
    made = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)],
                          stderr=subprocess.DEVNULL)
    if made.returncode:
        pytest.skip('this user may not mount a tmpfs; run the tests as root')
    try:
        yield
    finally:
        subprocess.run(['umount', '-l', str(folder)], check=True)
