"""Finds configuration files by path, or by name in configs/."""

import os
from typing import Optional

from stackgan.errors import ConfigError
from stackgan.files import user_path

_LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INSTALLED = os.path.join(_LIBRARY, 'configs')          # in a checkout they are beside the library
SHIPPED = (_INSTALLED if os.path.isdir(_INSTALLED)
           else os.path.join(os.path.dirname(_LIBRARY), 'configs'))


def find_config(
        name: str,                      # a path, or the name of a file without .yaml
        beside: Optional[str] = None,   # folder in which paths and names are looked up first
) -> str:
    """The path of a configuration. Raises ConfigError for a name that is not in configs/.

    Names are also looked up in $STACKGAN_CONFIG_FOLDER, where containers find your files.
    """
    name = user_path(name)
    if beside is not None and not os.path.isabs(name):
        for path in (os.path.join(beside, name), os.path.join(beside, name + '.yaml')):
            if os.path.isfile(path):
                return path
    elif os.path.isfile(name):              # not a folder that happens to have that name
        return name
    if os.sep in name or name.endswith(('.yaml', '.yml')):
        return name if beside is None else os.path.join(beside, name)
    added = user_path(os.environ.get('STACKGAN_CONFIG_FOLDER', ''))
    folders = [folder for folder in (added, SHIPPED) if folder]
    for folder in folders:
        path = os.path.join(folder, name + '.yaml')
        if os.path.exists(path):
            return path
    known = {file[:-5] for folder in folders if os.path.isdir(folder)
             for file in os.listdir(folder) if file.endswith('.yaml')}
    names = ', '.join(sorted(known))
    raise ConfigError(f'{name}: no such file, and configs/ has only {names}')
