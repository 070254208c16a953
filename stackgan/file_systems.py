"""File systems that cannot do all that a POSIX file system can: exFAT, SMB, NFS without locks.

What is a matter of safety or tidiness only (rights, flushing, links instead of copies) is tried
and left out where it is refused. `refusal` puts all else into a line that names the file system.
"""

import errno
import os
import re
import shutil
import stat
from typing import Optional

MOUNTS = '/proc/self/mounts'
NOT_SUPPORTED = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK,
                           errno.ENODEV, errno.EINVAL, errno.ENOTTY, errno.EXDEV})
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def sync(descriptor: int) -> None:
    """Flushes a file to its disk, where its file system can. Raises OSError for a failing disk."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED | {errno.EPERM, errno.EACCES}:
            raise


def set_mode(path: str, mode: int) -> None:
    """Sets the rights of a file, where its file system has any."""
    try:
        os.chmod(path, mode)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED | {errno.EPERM, errno.EACCES}:
            raise


def link_or_copy(source: str, target: str) -> None:
    """A hard link to a file that is never written to again; a copy where there can be none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def symlink_or_copy(source: str, target: str) -> None:
    """A link to a file or folder; a copy where the file system has no links."""
    try:
        os.symlink(source, target)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED | {errno.EPERM, errno.EACCES}:
            raise
        copy_tree(source, target) if os.path.isdir(source) else shutil.copyfile(source, target)


def copy_tree(source: str, target: str) -> None:
    """Copies the content of a folder into a new one; no rights, no times, no owners."""
    for parent, _, names in os.walk(source):
        place = os.path.join(target, os.path.relpath(parent, source))
        os.makedirs(place, exist_ok=True)
        for name in names:
            shutil.copyfile(os.path.join(parent, name), os.path.join(place, name))


def remove(path: str) -> None:
    """Removes a file, a folder with its content, or a link alone; nothing where there is none."""
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(facts.st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def empty(folder: str) -> None:
    """Removes what is in a folder."""
    for name in os.listdir(folder):
        remove(os.path.join(folder, name))


def file_system_of(path: str) -> str:
    """'exfat at /media/usb'; 'this file system' where the machine does not say."""
    best = ('', '')
    place = os.path.realpath(path)
    try:
        with open(MOUNTS, encoding='utf-8', errors='surrogateescape') as stream:
            for words in (line.split(' ') for line in stream):
                point = re.sub(r'\\([0-7]{3})', lambda found: chr(int(found.group(1), 8)), words[1])
                is_above = place == point or place.startswith(point.rstrip('/') + '/')
                if is_above and len(point) >= len(best[0]):       # of two at one place the later
                    best = (point, words[2])
    except (OSError, IndexError):
        pass
    return f'{best[1]} at {best[0]}' if best[0] else 'this file system'


def refusal(error: OSError, path: Optional[str] = None) -> Optional[str]:
    """A line for what a file system cannot do, with its name; None for any other error."""
    place = error.filename or path
    if error.errno not in NOT_SUPPORTED or not isinstance(place, str):
        return None
    if error.errno == errno.EINVAL and (not error.filename
                                        or error.strerror != os.strerror(errno.EINVAL)):
        return None                                # not of the file system: an argument of ours
    return (f'{place}: the file system ({file_system_of(place)}) refuses what a job needs: '
            f'{os.strerror(error.errno)}; put the data volume on a local '
            'disk with --data')


def no_room(error: BaseException, path: str) -> Optional[str]:
    """A line for a disk, a quota or a limit of file sizes that is full; None for any other error.

    TensorFlow and NumPy give the reason in words, NumPy not even that.
    """
    number, text = getattr(error, 'errno', None), str(error)
    for each in NO_ROOM:
        if os.strerror(each) in text:
            number = each
    if re.search(r'\d+ requested and \d+ written', text):
        number = number or errno.ENOSPC
    if number not in NO_ROOM:
        return None
    try:
        free = '%d MiB free' % (shutil.disk_usage(path).free >> 20)
    except OSError:
        free = 'of unknown size'
    reason = {errno.ENOSPC: free,
              errno.EDQUOT: 'the disk quota of user %d is used up' % os.getuid(),
              errno.EFBIG: f'a file would be larger than `ulimit -f`, or {file_system_of(path)}, allows'}[number]
    more = '' if number == errno.ENOSPC else ' or raise the limit'
    return (f'no space left on {path} ({reason}); make room{more} and run the same command again: '
            f'it resumes '
            'where it stopped')
