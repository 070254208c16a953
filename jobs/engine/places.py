"""Where an output is: in the volume, or on another disk that a link in the volume points to.

A user's link is kept. Its target is locked, replaced and cleaned, and new work is built beside it.
"""

import os

from stackgan.errors import InputError
from stackgan.file_systems import file_system_of


def target_of(path: str) -> str:
    """The final target of a link; other paths are returned as they are."""
    return os.path.realpath(path) if os.path.islink(path) else path


def check_place(path: str) -> None:
    """Raises InputError if no output folder can be built at `path`."""
    _check_ancestors(path)
    if os.path.islink(path):
        _check_link(path)
    elif os.path.lexists(path) and not os.path.isdir(path):
        raise InputError(f'{path} is not a folder, but an output must go there; move it away')
    elif os.path.ismount(path):
        raise InputError(f'{path} is {_mount_point(path)}')


def _mount_point(path: str) -> str:
    return (f'the top of a file system ({file_system_of(path)}), where nothing can be built beside '
            'it; link to a folder in there')


def _check_ancestors(path: str) -> None:
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise InputError(f'{above} is {_what_is(above)}, but a folder must go there; move it away, '
                         'or pass another volume with --data')


def _what_is(path: str) -> str:
    if not os.path.islink(path):
        return 'not a folder'
    try:
        os.stat(path)
    except FileNotFoundError:
        return f'a link to {os.path.realpath(path)}, which does not exist'
    except OSError:
        return 'a link that points to itself'
    return f'a link to {os.path.realpath(path)}, which is not a folder'


def _check_link(path: str) -> None:
    target = os.path.realpath(path)
    above = os.path.dirname(target)
    if not os.path.isdir(path):
        if any(os.path.isdir(target + ending) for ending in ('.partial', '.previous')):
            return                                       # killed while replacing the folder
        raise InputError(f'{path} is {_what_is(path)}; mount its disk or make that folder, or '
                         'remove the link')
    if os.path.ismount(target):
        raise InputError(f'{path} is a link to {target}, {_mount_point(target)}')
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f'{path} is a link to {target}, and nothing can be built beside it: '
                         f'{above} is not writable for user {os.getuid()}; make the link point '
                         'into a folder that is')
