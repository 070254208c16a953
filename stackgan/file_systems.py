"""File systems that lack features of POSIX: exFAT, SMB, NFS without locks.

Features that are not essential (permissions, flushing, links instead of copies) are tried, and
skipped where the file system refuses them. For all others `refusal` gives an error message that
names the file system.
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
    """Flushes a file to disk if the file system can. Raises OSError for a failing disk."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED | {errno.EPERM, errno.EACCES}:
            raise


def set_mode(path: str, mode: int) -> None:
    """Sets the permissions of a file if the file system has any."""
    try:
        os.chmod(path, mode)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED | {errno.EPERM, errno.EACCES}:
            raise


def link_or_copy(source: str, target: str) -> None:
    """Makes a hard link to a file that is never written to again, or a copy if that fails."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def symlink_or_copy(source: str, target: str) -> None:
    """Makes a link to a file or folder, or a copy if the file system has no links."""
    try:
        os.symlink(source, target)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED | {errno.EPERM, errno.EACCES}:
            raise
        copy_tree(source, target) if os.path.isdir(source) else shutil.copyfile(source, target)


def copy_tree(source: str, target: str) -> None:
    """Copies the content of a folder into a new one, without permissions, times and owners."""
    for parent, _, names in os.walk(source):
        place = os.path.join(target, os.path.relpath(parent, source))
        os.makedirs(place, exist_ok=True)
        for name in names:
            shutil.copyfile(os.path.join(parent, name), os.path.join(place, name))


def remove(path: str) -> None:
    """Removes a file, a folder with its content, or a link (not its target), if it exists."""
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
    """'exfat at /media/usb', or 'this file system' if that cannot be found out."""
    best = ('', '')
    place = os.path.realpath(path)
    try:
        with open(MOUNTS, encoding='utf-8', errors='surrogateescape') as stream:
            for words in (line.split(' ') for line in stream):
                point = re.sub(r'\\([0-7]{3})', lambda found: chr(int(found.group(1), 8)), words[1])
                is_above = place == point or place.startswith(point.rstrip('/') + '/')
                if is_above and len(point) >= len(best[0]):    # the later of two at one place
                    best = (point, words[2])
    except (OSError, IndexError):
        pass
    return f'{best[1]} at {best[0]}' if best[0] else 'this file system'


def refusal(error: OSError, path: Optional[str] = None) -> Optional[str]:
    """The message for an operation that the file system does not support; else None."""
    place = error.filename or path
    if error.errno not in NOT_SUPPORTED or not isinstance(place, str):
        return None
    if error.errno == errno.EINVAL and (not error.filename
                                        or error.strerror != os.strerror(errno.EINVAL)):
        return None                                # an invalid argument, not the file system
    return (f'{place}: the file system ({file_system_of(place)}) refuses what a job needs: '
            f'{os.strerror(error.errno)}; put the data volume on a local disk with --data')


def no_room(error: BaseException, path: str) -> Optional[str]:
    """The message for a full disk, an exceeded quota or file size limit; else None.

    TensorFlow and NumPy raise errors without a number. TensorFlow gives the reason in words, NumPy
    only the counts of bytes.
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
        free = f'{shutil.disk_usage(path).free >> 20} MiB free'
    except OSError:
        free = 'of unknown size'
    reason = {
        errno.ENOSPC: free,
        errno.EDQUOT: f'the disk quota of user {os.getuid()} is used up',
        errno.EFBIG: f'a file would be larger than `ulimit -f`, or {file_system_of(path)}, allows',
    }[number]
    more = '' if number == errno.ENOSPC else ' or raise the limit'
    return (f'no space left on {path} ({reason}); make room{more} and run the same command again: '
            'it resumes where it stopped')
