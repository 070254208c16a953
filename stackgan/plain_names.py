"""File names that are read from a record on disk: they must name files in the record's folder."""

import os
import re
from typing import Any

PLAIN = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z')


def require_plain(name: Any, ending: str = '') -> str:
    """Returns `name`. Raises ValueError for a path, or a name that a shell would have to quote."""
    if not isinstance(name, str) or not PLAIN.match(name) or not name.endswith(ending):
        shown = name[:60] if isinstance(name, str) else name
        suffix = f' with {ending}' if ending else ''
        raise ValueError(f'names the file {shown!r}, expected a plain name{suffix}')
    return name


def file_within(folder: str, name: Any) -> str:
    """Path of a file in a folder. Raises ValueError if it would lie outside of the folder."""
    path = os.path.join(folder, require_plain(name))
    if os.path.dirname(os.path.realpath(path)) != os.path.realpath(folder):
        raise ValueError(f'{name} is a link out of the folder')
    return path
