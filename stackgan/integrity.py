"""Checks that files still have the bytes that a job wrote, by the sha256 in the manifest.

`check_file` reads a file before it is used. `check_soon` reads one in the background while it is
already in use; `settle` waits for that before any result is kept. Files without a manifest (your
own, and unfinished work) are not checked.
"""

import hashlib
import os
import queue
import sys
import threading
from functools import lru_cache
from typing import Any, Callable, Dict, Optional, Tuple

from stackgan.errors import InputError
from stackgan.files import BLOCK_BYTES, open_regular
from stackgan.manifests import MANIFEST, look_at

OTHER_BYTES = 'has other bytes than were written'
LEVELS = 3                   # folders above a file in which its manifest may be
MAX_READERS = 8              # files read at once; more gain nothing on most disks
NICENESS = 10                # of the background thread, on Linux
POLL_SECONDS = 0.2


def digest_of_blocks(
        path: str,
        copy_to: Any = None,                                # stream that gets the same bytes
        advance: Optional[Callable[[int], None]] = None,    # called with the size of each block
) -> str:
    """sha256, in hex, of a regular file. Raises OSError."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        for block in iter(lambda: stream.read(BLOCK_BYTES), b''):
            digest.update(block)
            if copy_to is not None:
                copy_to.write(block)
            if advance is not None:
                advance(len(block))
    return digest.hexdigest()


def copy_checked(source: str, target: str, sha256: Optional[str]) -> bool:
    """Copies a file, unless its digest is not `sha256` (None: any). Returns whether it did."""
    with open(target, 'wb') as stream:
        digest = digest_of_blocks(source, stream)
    is_same = sha256 is None or digest == sha256
    if not is_same:
        os.unlink(target)
    return is_same


def damaged_files(
        folder: str,                         # of an output
        files: Dict[str, Dict[str, Any]],    # {name: {'sha256', ...}}: some of its manifest's
        advance: Optional[Callable[[int], None]] = None,    # called from several threads
) -> Dict[str, str]:
    """{name: what is wrong} of files that differ from the manifest. Reads them in parallel."""
    ended = threading.Event()            # when the caller is interrupted

    def fault_of(name: str) -> Optional[str]:
        if ended.is_set():
            return None
        try:
            digest = digest_of_blocks(os.path.join(folder, name), None, advance)
        except OSError as error:
            return f'cannot be read ({error.strerror or error})'
        return None if digest == files[name]['sha256'] else OTHER_BYTES

    if not files:
        return {}
    from concurrent.futures import ThreadPoolExecutor
    pool = ThreadPoolExecutor(min(MAX_READERS, len(files)))
    try:
        faults = dict(zip(files, pool.map(fault_of, files)))
    finally:
        ended.set()
        pool.shutdown()
    return {name: fault for name, fault in faults.items() if fault}


def check_file(path: str) -> None:
    """Raises InputError for a file of an output that differs from its manifest."""
    recorded = _recorded(path)
    if recorded:
        _raise_if_damaged(_fault_of(path, recorded), path, recorded)


def is_undamaged(path: str) -> bool:
    """Whether a file matches its manifest, or has none."""
    recorded = _recorded(path)
    return not recorded or _fault_of(path, recorded) is None


def damage(path: str, fault: str, job: str) -> InputError:
    """The error for a damaged file of a job's output."""
    return InputError(f'{path} {fault}: the disk, or a copy, has damaged it; make it again: {job} '
                      '--force (`verify` finds all such files)')


def _recorded(path: str) -> Optional[Tuple[str, str]]:
    """(sha256, job that wrote it) of a file from the manifest above it, or None."""
    folder, name = os.path.split(os.path.abspath(path))
    for _ in range(LEVELS):
        manifest = os.path.join(folder, MANIFEST)
        try:
            facts = os.stat(manifest)
        except OSError:
            folder, part = os.path.split(folder)
            name = part + '/' + name
            continue
        files, job = _files_of(folder, facts.st_mtime_ns, facts.st_size, facts.st_ino)
        return (files[name], job) if name in files else None
    return None


@lru_cache(maxsize=16)
def _files_of(folder: str, *of_this_state: int) -> Tuple[Dict[str, str], str]:
    """({name: sha256}, job) of an output; no names if its manifest is damaged."""
    manifest = look_at(folder).manifest
    if manifest is None:
        return {}, ''
    return ({name: facts['sha256'] for name, facts in manifest['files'].items()},
            manifest['request']['job'])


def _fault_of(path: str, recorded: Tuple[str, str]) -> Optional[str]:
    try:
        return None if digest_of_blocks(path) == recorded[0] else OTHER_BYTES
    except OSError as error:
        return f'cannot be read ({error.strerror or error})'


def _raise_if_damaged(fault: Optional[str], path: str, recorded: Tuple[str, str]) -> None:
    if fault:
        raise damage(path, fault, recorded[1])


class Check:
    """A file that is being read in the background."""

    def __init__(self, path: str, recorded: Tuple[str, str], state: Any = None) -> None:
        self.path, self.recorded, self.state = path, recorded, state
        self.fault: Optional[str] = None
        self.is_done = threading.Event()

    def perform(self) -> None:
        """Reads the file; called by the thread.

        A file that is replaced meanwhile counts as undamaged: its users have the old one open.
        """
        fault = _fault_of(self.path, self.recorded)
        if self.state is None or self.state == _state_of(self.path):
            self.fault = fault
        self.is_done.set()

    def raise_if_damaged(self) -> None:
        """Raises InputError once the file is known to be damaged."""
        _raise_if_damaged(self.fault, self.path, self.recorded)


class Unchecked:
    """Stands in for the `Check` of a file that is in no manifest."""

    def raise_if_damaged(self) -> None:
        """Raises nothing."""


UNCHECKED = Unchecked()
_checks: Dict[tuple, Check] = {}
_lock = threading.Lock()
_waiting: 'queue.Queue[Check]' = queue.Queue()


def check_soon(path: str) -> Optional[Check]:
    """The `Check` of a file, started by the first call; None if no manifest has the file."""
    recorded, state = _recorded(path), _state_of(path)
    if recorded is None or state is None:
        return None
    with _lock:
        check = _checks.get((path, recorded, state))
        if check is None:
            check = _checks[path, recorded, state] = Check(path, recorded, state)
            _waiting.put(check)
            _start_thread()
    return check


def _state_of(path: str) -> Optional[tuple]:
    """Values that change when a file is written to or replaced; None if it does not exist."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def settle(stop: Any = None) -> None:
    """Waits until all files in use have been checked; raises InputError for a damaged one.

    A requested `stop` (such as jobs.engine.signals.Stop) ends the wait: the process that resumes
    checks the files again.
    """
    with _lock:
        checks = list(_checks.values())
    for check in checks:
        while not check.is_done.wait(POLL_SECONDS):
            if stop is not None and stop.requested:
                break
        check.raise_if_damaged()


def forget() -> None:
    """Forgets the files that an earlier job of this process used."""
    with _lock:
        _checks.clear()


def _start_thread() -> None:
    if not any(thread.name == __name__ for thread in threading.enumerate()):
        threading.Thread(target=_work, name=__name__, daemon=True).start()


def _work() -> None:
    if sys.platform.startswith('linux'):          # elsewhere it would apply to the whole process
        try:
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        except OSError:
            pass
    while True:
        _waiting.get().perform()
