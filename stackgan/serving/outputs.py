"""Reads the outputs of a run without trusting them: anyone may have written them."""

import os
import stat
from typing import Any, BinaryIO, Callable, Dict, Optional, Sequence

from stackgan.files import open_regular
from stackgan.manifests import MANIFEST, look_at
from stackgan.printing import printable

# From the folder of an output to its manifest; None where it is not finished.
ManifestReader = Callable[[str], Optional[Dict[str, Any]]]

MAX_FAULT = 200                     # characters of the description of a fault
MAX_FACTS_BYTES = 1 << 20           # of JSON: a manifest of about 6,000 files
MAX_REPORT_BYTES = 64 << 20         # of one file
PARTS = ('export', 'report', 'stage1', 'stage2', 'text-encoder', 'embeddings')


class Damaged(Exception):
    """An output that cannot be used; the message says what is wrong, in a few words."""


def read_output(
        folder: str,  # of an output
        read_manifest: ManifestReader,
) -> Optional[Dict[str, Any]]:
    """The manifest of a finished output, or None where there is none. Raises `Damaged`."""
    try:
        facts = os.stat(os.path.join(folder, MANIFEST))
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(os.path.join(folder, MANIFEST)):
            raise Damaged('it is a link to nothing')
        return None
    except OSError as error:
        raise Damaged(error.strerror)
    _check_size(facts)
    manifest = read_manifest(folder)
    if manifest is None:
        raise Damaged(printable(look_at(folder).describe())[:MAX_FAULT])
    fault = _fault_of(manifest)
    if fault:
        raise Damaged(fault)
    return manifest


def check_facts(
        path: str,  # of a JSON file of an output
) -> None:
    """Raises `Damaged` for a file that is too large to read for every request."""
    try:
        _check_size(os.stat(path))
    except OSError as error:
        raise Damaged(error.strerror)


def _check_size(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise Damaged('it is not a regular file')
    if facts.st_size > MAX_FACTS_BYTES:
        raise Damaged(f'it has {facts.st_size} bytes, more than {MAX_FACTS_BYTES}')


def _fault_of(manifest: Any) -> Optional[str]:
    """What is missing or has the wrong type in a manifest, or None."""
    request = manifest.get('request') if isinstance(manifest, dict) else None
    if not isinstance(request, dict):
        return 'it has no request'
    for name, value, kind in (('files', manifest.get('files'), dict),
                              ('inputs', request.get('inputs', {}), dict),
                              ('settings', request.get('settings', {}), dict),
                              ('notes', manifest.get('notes') or {}, dict),
                              ('content', manifest.get('content', ''), str)):
        if not isinstance(value, kind):
            return f'its {name} have the wrong type'
    return None


def open_report_file(
        runs: str,  # folder of all runs
        run: str,   # name of one
        name: str,  # of a file of its report, with forward slashes
) -> BinaryIO:
    """The stream of a regular file below `runs`. Raises OSError for anything else.

    Links are refused, whether the report links out of `runs` or a file of it is a link: each step
    of the path is opened relative to the one before, so that a change meanwhile leads nowhere else.
    """
    base = os.path.realpath(runs)
    folder = os.path.relpath(os.path.realpath(os.path.join(base, run, 'report')), base)
    return open_below(base, folder.split(os.sep) + name.split('/'))


def open_below(
        base: str,                 # folder, itself without links
        steps: Sequence[str],      # names of the folders below it, and of the file
) -> BinaryIO:
    """The stream of a regular file below a folder. Raises OSError for a link and anything else."""
    if os.pardir in steps or '' in steps or os.curdir in steps or any('/' in each
                                                                      for each in steps):
        raise PermissionError(f'not below {base}')
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in steps[:-1]:
            inner = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                            dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        return open_regular(steps[-1], follow=False, folder=descriptor)
    finally:
        os.close(descriptor)
