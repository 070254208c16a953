r"""Paths for TensorFlow, which takes [ ] \ * ? in some of them for a pattern.

Saver.restore, list_variables, load_checkpoint and checkpoint_exists look for files by pattern, in
all TensorFlow versions, and find none below a folder `volume[1]`. All its functions need UTF-8.
"""

import os
import re
import tempfile
from contextlib import ExitStack, contextmanager
from typing import Iterator, Tuple

PATTERN = re.compile(r'[][*?{}\\\x00-\x1f\x7f\ud800-\udfff]')
DESCRIPTORS = '/proc/self/fd'


@contextmanager
def plain_path(
        path: str,    # a file, a folder or the prefix of a checkpoint, in an existing folder
) -> Iterator[str]:
    """The same place under a path without such characters, valid within the block."""
    if not PATTERN.search(os.path.abspath(path)):
        yield path
        return
    folder, name = os.path.split(os.path.abspath(path))
    with ExitStack() as stack:
        if PATTERN.search(name):
            folder, name = _linked(folder, name, stack)
        yield os.path.join(_plain_folder(folder, stack), name)


def _linked(folder: str, name: str, stack: ExitStack) -> Tuple[str, str]:
    """(folder, name) of links to a file or folder, or to the files of a checkpoint's prefix."""
    links = stack.enter_context(tempfile.TemporaryDirectory())
    for each in os.listdir(folder):
        if each == name or each.startswith(name + '.'):
            os.symlink(os.path.join(folder, each), os.path.join(links, 'it' + each[len(name):]))
    return links, 'it'


def _plain_folder(folder: str, stack: ExitStack) -> str:
    if not PATTERN.search(folder):
        return folder
    if os.path.isdir(DESCRIPTORS):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, descriptor)
        return f'{DESCRIPTORS}/{descriptor}'
    for place in (tempfile.gettempdir(), '/tmp', '/var/tmp'):       # a machine without /proc
        if not PATTERN.search(place):
            links = stack.enter_context(tempfile.TemporaryDirectory(dir=place))
            os.symlink(folder, os.path.join(links, 'it'))
            return os.path.join(links, 'it')
    return folder
