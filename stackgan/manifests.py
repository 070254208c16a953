"""manifest.json of a job's output: the request of the job, and the size and digest of each file.

A manifest that no job would write counts as damaged, and so does an output without one of its
files.
"""

import os
import re
import stat
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from stackgan.files import read_json

MANIFEST = 'manifest.json'
DIGEST = re.compile(r'[0-9a-f]{64}\Z')
SHOWN = 2                    # faults that one line names
_kept = threading.local()    # .outputs: {folder: `Output`} within `looking_once`


class Output(NamedTuple):
    """What is known about an output without reading its files."""

    manifest: Optional[Dict[str, Any]]    # None: missing or damaged
    faults: List[str]            # one text each: what is missing, damaged or of another size
    lost: List[str]              # names of the files that are missing or of another size

    @property
    def is_whole(self) -> bool:
        return self.manifest is not None and not self.faults

    def describe(self) -> str:
        """The faults as the beginning of a sentence."""
        more = len(self.faults) - SHOWN
        return ', '.join(self.faults[:SHOWN]) + (f' and {more} more' if more > 0 else '')


@contextmanager
def looking_once() -> Iterator[None]:
    """Within it, this thread looks at each folder once: for a report on the state of all outputs,
    each of which is an input of several jobs. Not where outputs are made meanwhile.
    """
    before = getattr(_kept, 'outputs', None)
    _kept.outputs = {} if before is None else before
    try:
        yield
    finally:
        _kept.outputs = before


def look_at(folder: str) -> Output:
    """`Output` in a folder, which need not exist. Raises nothing. It is not to be changed."""
    outputs = getattr(_kept, 'outputs', None)
    if outputs is None:
        return _look_at(folder)
    if folder not in outputs:
        outputs[folder] = _look_at(folder)
    return outputs[folder]


def _look_at(folder: str) -> Output:
    manifest, fault = _load(folder)
    fault = fault or _oddity(manifest)
    if fault:
        return Output(None, [f'{MANIFEST} {fault}'], [])
    manifest.setdefault('notes', {})
    lost = lost_files(folder, manifest)
    return Output(manifest, [f'{name} {lost[name]}' for name in sorted(lost)],
                  sorted(lost))


def read_manifest(folder: str) -> Optional[Dict[str, Any]]:
    """The manifest of an output that has all its files, or None.

    Only its list of files is checked; `look_at` checks the rest as well.
    """
    manifest, fault = _load(folder)
    if fault or not isinstance(manifest, dict) or _oddity_of_files(manifest.get('files')) \
            or lost_files(folder, manifest):
        return None
    return manifest


def _load(folder: str) -> Tuple[Any, Optional[str]]:
    """(value in manifest.json, None), or (None, what is wrong with it)."""
    try:
        return read_json(os.path.join(folder, MANIFEST)), None
    except (FileNotFoundError, NotADirectoryError):
        return None, 'is missing'
    except OSError as error:
        return None, f'cannot be read ({error.strerror})'
    except ValueError as error:
        return None, _damaged(' '.join(str(error).split())[:80])


def lost_files(folder: str, manifest: Dict[str, Any]) -> Dict[str, str]:
    """{name: what is wrong} of the files that are missing or of another size."""
    faults = {name: _fault(os.path.join(folder, name), facts['size'])
              for name, facts in manifest['files'].items()}
    return {name: fault for name, fault in faults.items() if fault}


def is_request(value: Any) -> bool:
    """Whether a value is the request of a job: job, form, settings, digests of inputs."""
    return (isinstance(value, dict) and isinstance(value.get('job'), str)
            and _is_count(value.get('form')) and isinstance(value.get('settings'), dict)
            and isinstance(value.get('inputs'), dict)
            and all(isinstance(digest, str) for digest in value['inputs'].values()))


def _fault(path: str, size: int) -> Optional[str]:
    """What is wrong with a file, judged by its size."""
    try:
        facts = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return 'is missing'
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if not stat.S_ISREG(facts.st_mode):
        return 'is not a regular file'
    if facts.st_size != size:
        return f'has {facts.st_size} bytes instead of {size}'
    return None


def _oddity(manifest: Any) -> Optional[str]:
    """Why a manifest cannot have been written by a job, or None."""
    if not isinstance(manifest, dict):
        return _damaged('not a JSON object')
    if not is_request(manifest.get('request')):
        return _damaged('request is missing or invalid')
    for name, kind in (('content', str), ('finished', str), ('versions', dict)):
        if not isinstance(manifest.get(name), kind):
            return _damaged(f'{name} is missing or invalid')
    seconds = manifest.get('seconds')
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) \
            or not abs(seconds) < 1e12:
        return _damaged('seconds is missing or invalid')
    if not isinstance(manifest.get('notes', {}), dict):
        return _damaged('notes is invalid')
    return _oddity_of_files(manifest.get('files'))


def _oddity_of_files(files: Any) -> Optional[str]:
    if not isinstance(files, dict):
        return _damaged('files is missing or invalid')
    for name, facts in files.items():
        if not is_plain(name):
            return _damaged('the name of a file is not a path below the folder')
        if not (isinstance(facts, dict) and _is_count(facts.get('size'))
                and isinstance(facts.get('sha256'), str) and DIGEST.match(facts['sha256'])):
            return _damaged('size or sha256 of a file is missing or invalid')
    return None


def _damaged(how: str) -> str:
    return f'is damaged ({how})'


def is_plain(name: str) -> bool:
    """Whether a name is a path below a folder, as `files_below` gives them."""
    return '\0' not in name and all(part not in ('', '.', '..') for part in name.split('/'))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
