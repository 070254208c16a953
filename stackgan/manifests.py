"""manifest.json of a job's output: what the job was asked, and the size and digest of each file.

One that is not as a job writes it is damaged, and so is an output that misses one of its files.
"""

import os
import re
import stat
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from stackgan.files import read_json

MANIFEST = 'manifest.json'
DIGEST = re.compile(r'[0-9a-f]{64}\Z')
SHOWN = 2                    # faults that one line names


class Output(NamedTuple):
    """What is known of an output without reading its files."""

    manifest: Optional[dict]     # None: it has none, or a damaged one
    faults: List[str]            # a text each: what is missing, damaged or of another size
    lost: List[str]              # names of the files that are missing or of another size

    @property
    def is_whole(self) -> bool:
        return self.manifest is not None and not self.faults

    def describe(self) -> str:
        """The faults as the beginning of a sentence."""
        more = len(self.faults) - SHOWN
        return ', '.join(self.faults[:SHOWN]) + (' and %d more' % more if more > 0 else '')


def look_at(folder: str) -> Output:
    """`Output` in a folder, which need not exist. Raises nothing."""
    manifest, fault = _load(folder)
    fault = fault or _oddity(manifest)
    if fault:
        return Output(None, [f'{MANIFEST} {fault}'], [])
    manifest.setdefault('notes', {})
    lost = lost_files(folder, manifest)
    return Output(manifest, [f'{name} {lost[name]}' for name in sorted(lost)],
                  sorted(lost))


def read_manifest(folder: str) -> Optional[dict]:
    """The manifest of an output whose files are all there, or None.

    What it says beside its files may be odd: `look_at` checks all of it.
    """
    manifest, fault = _load(folder)
    if fault or not isinstance(manifest, dict) or _oddity_of_files(manifest.get('files')) \
            or lost_files(folder, manifest):
        return None
    return manifest


def _load(folder: str) -> Tuple[Any, Optional[str]]:
    """(what manifest.json holds, None), or (None, what is wrong with it)."""
    try:
        return read_json(os.path.join(folder, MANIFEST)), None
    except (FileNotFoundError, NotADirectoryError):
        return None, 'is missing'
    except OSError as error:
        return None, f'cannot be read ({error.strerror})'
    except ValueError as error:
        return None, 'is damaged ({})'.format(' '.join(str(error).split())[:80])


def lost_files(folder: str, manifest: dict) -> Dict[str, str]:
    """{name: what is wrong} of the files that are missing or of another size."""
    faults = {name: _fault(os.path.join(folder, name), facts['size'])
              for name, facts in manifest['files'].items()}
    return {name: fault for name, fault in faults.items() if fault}


def is_request(value: Any) -> bool:
    """Whether a value is what a job is asked: job, form, settings, digests of inputs."""
    return (isinstance(value, dict) and isinstance(value.get('job'), str)
            and _is_count(value.get('form')) and isinstance(value.get('settings'), dict)
            and isinstance(value.get('inputs'), dict)
            and all(isinstance(digest, str) for digest in value['inputs'].values()))


def _fault(path: str, size: int) -> Optional[str]:
    """What is wrong with a file, as far as its size tells."""
    try:
        facts = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return 'is missing'
    except (OSError, ValueError) as error:
        return 'cannot be read (%s)' % (getattr(error, 'strerror', None) or error)
    if not stat.S_ISREG(facts.st_mode):
        return 'is no regular file'
    if facts.st_size != size:
        return 'has %d bytes instead of %d' % (facts.st_size, size)
    return None


def _oddity(manifest: Any) -> Optional[str]:
    """In what a manifest is not as jobs write them, or None."""
    if not isinstance(manifest, dict):
        return _damaged('not a table of names and values')
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
            return _damaged('a name of a file is no path below the folder')
        if not (isinstance(facts, dict) and _is_count(facts.get('size'))
                and isinstance(facts.get('sha256'), str) and DIGEST.match(facts['sha256'])):
            return _damaged('size or sha256 of a file is missing or invalid')
    return None


def _damaged(how: str) -> str:
    return f'is damaged ({how})'


def is_plain(name: str) -> bool:
    """Whether a name is a path below a folder, as `files_below` writes them."""
    return '\0' not in name and all(part not in ('', '.', '..') for part in name.split('/'))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
