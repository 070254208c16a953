"""Lists the files below a user's folder, with the same rules for all readers.

Links are followed, because datasets are often linked to, but each real folder is read once, in its
own place rather than through a link, so that loops end and no image counts twice. Files left by
file managers, file systems and network drives are skipped. What cannot be read is reported, not
raised, because it may concern a single image or nothing that is used.
"""

import errno
import os
import stat
from collections import deque
from typing import Deque, List, NamedTuple, Optional, Set, Tuple

from stackgan.errors import InputError

JUNK = frozenset((                   # in lower case; besides names that begin with a dot
    '__macosx', 'icon\r', 'thumbs.db', 'ehthumbs.db', 'desktop.ini', '$recycle.bin', 'recycler',
    'system volume information', 'found.000', 'lost+found', '@eadir', '@tmp', '#recycle',
    '#snapshot', '@recycle', '@recently-snapshot', 'network trash folder', 'temporary items'))
NOT_THE_FILES_FAULT = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)


class Fault(NamedTuple):
    """A file or folder that cannot be read."""

    path: str              # relative to the folder, forward slashes
    reason: str            # worded to follow 'it ' or the path
    is_folder: bool


class Tree(NamedTuple):
    """Everything below a folder. All paths are relative to it, with forward slashes, and sorted."""

    files: List[str]       # regular files and links to them
    faults: List[Fault]
    again: List[str]       # links to folders that are read in another place or are above


def is_junk(
        name: str,         # of a file or folder, without its path
) -> bool:
    """Whether a name is hidden or belongs to a file that systems leave in folders."""
    return name.startswith('.') or name.lower() in JUNK


def walk(folder: str) -> Tree:
    """`Tree` of a folder. Raises InputError if the folder itself cannot be read."""
    return _Walk(folder).tree()


def names_in(folder: str) -> List[str]:
    """Sorted names in one folder, without junk; none if the folder cannot be read."""
    try:
        return sorted(name for name in os.listdir(folder) if not is_junk(name))
    except OSError as error:
        _raise_unless_the_files(error)
        return []


def subfolders(folder: str) -> List[str]:
    """Paths of the folders in one folder and of links to folders; none if it cannot be read."""
    paths = [os.path.join(folder, name) for name in names_in(folder)]
    return [path for path in paths if os.path.isdir(path)]


class _Walk:
    def __init__(self, folder: str):
        self.folder = folder
        self.files: List[str] = []
        self.faults: List[Fault] = []
        self.again: List[str] = []
        self.pending: Deque[str] = deque([''])
        self.links: Deque[str] = deque()     # to folders; read after all real folders
        try:
            self.seen = {_identity(os.stat(folder))}
            os.listdir(folder)
        except OSError as error:
            _raise_unless_the_files(error)
            raise InputError(f'{folder} cannot be read ({error.strerror})')
        self.above = _folders_above(folder)

    def tree(self) -> Tree:
        while self.pending or self.links:
            if self.pending:
                self._read(self.pending.popleft())
            else:
                self._follow(self.links.popleft())
        return Tree(sorted(self.files), sorted(self.faults), sorted(self.again))

    def _follow(self, path: str) -> None:
        state = self._state(path)
        if state and not self._is_new(state):
            self.again.append(path)
        elif state:
            self._read(path)

    def _is_new(self, state: os.stat_result) -> bool:
        identity = _identity(state)
        if identity in self.seen or identity in self.above:
            return False
        self.seen.add(identity)
        return True

    def _read(self, below: str) -> None:
        try:
            with os.scandir(os.path.join(self.folder, below)) as entries:
                found = [(below + '/' + entry.name if below else entry.name, entry.is_symlink(),
                          entry.is_file(follow_symlinks=False)) for entry in entries
                         if not is_junk(entry.name)]
        except OSError as error:
            self._fault(below, error, is_folder=True)
            return
        for path, is_link, is_file in sorted(found):
            if is_file:                  # known without a call of stat
                self.files.append(path)
            else:
                self._sort_in(path, is_link)

    def _sort_in(self, path: str, is_link: bool) -> None:
        state = self._state(path)
        if state is None:
            return
        if not stat.S_ISDIR(state.st_mode):
            if stat.S_ISREG(state.st_mode):
                self.files.append(path)
            else:
                self.faults.append(Fault(path, 'cannot be read (not a regular file)', False))
        elif is_link:
            self.links.append(path)
        elif self._is_new(state):        # a folder may be mounted in two places
            self.pending.append(path)
        else:
            self.again.append(path)

    def _state(self, path: str) -> Optional[os.stat_result]:
        try:
            return os.stat(os.path.join(self.folder, path))
        except OSError as error:
            self._fault(path, error, is_folder=False)
            return None

    def _fault(self, path: str, error: OSError, is_folder: bool) -> None:
        _raise_unless_the_files(error)
        reason = ('is a link that leads nowhere' if isinstance(error, FileNotFoundError)
                  else f'cannot be read ({error.strerror})')
        self.faults.append(Fault(path, reason, is_folder))


def _raise_unless_the_files(error: OSError) -> None:
    """Raises an error that is a fault of the machine, not of the file."""
    if error.errno in NOT_THE_FILES_FAULT:
        raise error


def _folders_above(folder: str) -> Set[Tuple[int, int]]:
    """Identities of the folders above a real folder: a link to one of them is a loop."""
    found: Set[Tuple[int, int]] = set()
    path = os.path.dirname(os.path.realpath(folder))
    while True:
        state = _state_or_none(path)
        if state:
            found.add(_identity(state))
        if path == os.path.dirname(path):
            return found
        path = os.path.dirname(path)


def _state_or_none(path: str) -> Optional[os.stat_result]:
    try:
        return os.stat(path)
    except OSError:
        return None


def _identity(state: os.stat_result) -> Tuple[int, int]:
    return state.st_dev, state.st_ino
