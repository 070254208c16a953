r"""Paths of the user's, given to TensorFlow, which takes [ ] \ * ? in some of them for a pattern.

Saver.restore, list_variables, load_checkpoint and checkpoint_exists look for files by pattern, in
all lanes, and find none below `volume[1]`. All of its functions want UTF-8.
"""

import os
import re
import tempfile
from contextlib import ExitStack, contextmanager
from typing import Iterator

PATTERN = re.compile(r'[][*?{}\\\x00-\x1f\x7f\ud800-\udfff]')
DESCRIPTORS = '/proc/self/fd'


@contextmanager
def plain_path(
        path: str,         # a file, a folder, or the prefix of a checkpoint; its folder exists
) -> Iterator[str]:
    """The same place under a name without such characters, as long as the block runs."""
    if not PATTERN.search(os.path.abspath(path)):
        yield path
        return
    folder, name = os.path.split(os.path.abspath(path))
    with ExitStack() as stack:
        if PATTERN.search(name):
            folder, name = _linked(folder, name, stack)
        yield os.path.join(_plain_folder(folder, stack), name)


def _linked(folder, name, stack):
    """(folder, name) of links to a file or folder, and to what a checkpoint of that prefix has."""
    links = stack.enter_context(tempfile.TemporaryDirectory())
    for each in os.listdir(folder):
        if each == name or each.startswith(name + '.'):
            os.symlink(os.path.join(folder, each), os.path.join(links, 'it' + each[len(name):]))
    return links, 'it'


def _plain_folder(folder, stack):
    if not PATTERN.search(folder):
        return folder
    if os.path.isdir(DESCRIPTORS):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, descriptor)
        return '%s/%d' % (DESCRIPTORS, descriptor)
    for place in (tempfile.gettempdir(), '/tmp', '/var/tmp'):       # a machine without /proc
        if not PATTERN.search(place):
            links = stack.enter_context(tempfile.TemporaryDirectory(dir=place))
            os.symlink(folder, os.path.join(links, 'it'))
            return os.path.join(links, 'it')
    return folder
