"""`inspect`: tells what a folder of images and captions is, and the configuration that fits it."""

import argparse
import os
import re
from typing import Any, Dict, List

import yaml

from stackgan.config.schema import Data
from stackgan.errors import InputError
from stackgan.files import user_path
from stackgan.printing import echo, printable, show

LAYOUTS = Data.__dataclass_fields__['layout'].metadata['choices']


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument('folder', metavar='FOLDER', type=user_path,
                        help='folder of images and captions, as downloaded')
    parser.add_argument('--layout', choices=LAYOUTS, help='read it in this layout (default: the '
                        'one that is detected)')
    parser.add_argument('--sheet', metavar='FILE', type=user_path,
                        help='PNG file for ten images with their captions (default: '
                             'inspect-<name of the folder>.png in the current folder)')


def inspect_folder(options: argparse.Namespace) -> int:
    """Shows what was found and writes the sheet; returns the exit code."""
    from stackgan.data.inspection import inspect, write_sheet
    folder = os.path.abspath(options.folder)
    found = inspect(folder, options.layout)
    for line in [folder] + found.lines:
        show(printable(line))
    name = _name_of(folder)
    if found.shown:
        sheet = options.sheet or f'inspect-{name}.png'
        if os.path.isdir(sheet):
            raise InputError(f'--sheet {sheet}: is a folder; name a .png file')
        write_sheet(sheet, f'{name}: {len(found.shown)} of its images', found.shown)
        echo(f'inspect: wrote {sheet}')
    show('')
    show('# a configuration that fits; all other keys have their defaults (docs/configuration.md)')
    show(printable(_yaml(name, folder, found.settings), keep='\n'), end='')
    return 0


def _name_of(folder: str) -> str:
    """A name for the dataset that a configuration admits."""
    name = re.sub('[^A-Za-z0-9._-]+', '-', os.path.basename(folder)).lstrip('._-')[:64]
    return name or 'dataset'


def _yaml(name: str, folder: str, settings: Dict[str, Any]) -> str:
    section: Dict[str, Any] = {'name': name, 'raw': folder}
    section.update(settings)
    lines: List[str] = yaml.safe_dump(
        {'data': section}, sort_keys=False, allow_unicode=True, default_flow_style=False,
        width=1000).splitlines()
    return '\n'.join(lines) + '\n'
