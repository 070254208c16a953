"""Names of files that a record on disk holds: plain ones, of files in the record's own folder."""

import os
import re
from typing import Any

PLAIN = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z')


def require_plain(name: Any, ending: str = '') -> str:
    """The name. Raises ValueError for a path, and for what a shell would not take as one word."""
    if not isinstance(name, str) or not PLAIN.match(name) or not name.endswith(ending):
        raise ValueError('names the file {!r}, expected a plain name{}'.format(name if not isinstance(name, str) else name[:60],
                            ' with ' + ending if ending else ''))
    return name


def file_within(folder: str, name: Any) -> str:
    """Path of a file of a folder. Raises ValueError for another name, and for a link out of it."""
    path = os.path.join(folder, require_plain(name))
    if os.path.dirname(os.path.realpath(path)) != os.path.realpath(folder):
        raise ValueError(f'{name} is a link out of the folder')
    return path
