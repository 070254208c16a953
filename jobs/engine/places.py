"""Where an output lies: in the volume, or on another disk that a link in the volume leads to.

A link of the user's stays. Its target is what is built beside, renamed, locked and cleaned.
"""

import os

from stackgan.errors import InputError
from stackgan.file_systems import file_system_of

NO_ROOM_BESIDE = ('the top of a file system (%s), where nothing can be built beside it; link to a '
                  'folder in there')


def target_of(path: str) -> str:
    """What a link leads to, however many lie between; a path that is no link itself."""
    return os.path.realpath(path) if os.path.islink(path) else path


def check_place(path: str) -> None:
    """Raises InputError, of one line, where no output folder can be built at `path`."""
    _check_ancestors(path)
    if os.path.islink(path):
        _check_link(path)
    elif os.path.lexists(path) and not os.path.isdir(path):
        raise InputError(f'{path} is not a folder, but an output must go there; move it away')
    elif os.path.ismount(path):
        raise InputError(f'{path} is {NO_ROOM_BESIDE % file_system_of(path)}')


def _check_ancestors(path):
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise InputError(f'{above} is {_what_is(above)}, and a folder belongs there; move it away, '
                         f'or name another '
                         'volume with --data')


def _what_is(path):
    if not os.path.islink(path):
        return 'not a folder'
    try:
        os.stat(path)
    except FileNotFoundError:
        return f'a link to {os.path.realpath(path)}, which is not there'
    except OSError:
        return 'a link that leads to itself'
    return f'a link to {os.path.realpath(path)}, which is not a folder'


def _check_link(path):
    target = os.path.realpath(path)
    above = os.path.dirname(target)
    if not os.path.isdir(path):
        if any(os.path.isdir(target + ending) for ending in ('.partial', '.previous')):
            return                                       # killed while the folder was exchanged
        raise InputError(f'{path} is {_what_is(path)}; mount its disk or make that folder, or '
                         f'remove the link')
    if os.path.ismount(target):
        raise InputError(f'{path} is a link to {target}, {NO_ROOM_BESIDE % file_system_of(target)}')
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError('%s is a link to %s, and nothing can be built beside it: %s is not '
                         'writable for user %d; let it lead to a folder in one that is'
                         % (path, target, above, os.getuid()))
