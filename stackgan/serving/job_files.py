"""What jobs write while they run: progress, log, statistics, sample grids.

Anyone may have written those files: each is read below the volume only, without following links,
up to a maximum size, and what has another form counts as not there.
"""

import math
import os
import re
from typing import Any, BinaryIO, Dict, List, NamedTuple, Optional

from stackgan.files import parse_json
from stackgan.printing import printable
from stackgan.progress import RECORD
from stackgan.serving.outputs import open_below

LOG, STATS, SAMPLES = 'log.txt', 'stats.jsonl', 'samples'
GRID = re.compile(r'[0-9]{1,12}\.png\Z')
DATED = re.compile(r'[0-9]{4}-[0-9: -]{14}  ')         # a line of the log; others continue one
ERROR = re.compile(DATED.pattern + r'error: (.*)')
MAX_PROGRESS_BYTES = 1 << 14
LOG_BYTES, LOG_LINES, LINE_CHARACTERS = 1 << 16, 40, 400         # of its end
STATS_BYTES, MAX_KEYS = 4 << 20, 40          # the end of stats.jsonl; keys of a line
MAX_GRID_BYTES = 32 << 20
MAX_TEXT = 200
PARTIAL = '.partial'


class JobProgress(NamedTuple):
    """How far a job is in what it does now; it may do several things one after the other."""

    label: str
    done: int
    total: int
    unit: str        # plural
    rate: float      # units a second; 0: not known
    note: str


class JobFiles:
    """The files of the outputs of a volume."""

    def __init__(
            self,
            volume: str,         # folder of the data volume
    ) -> None:
        self._volume = os.path.realpath(volume)

    def folder_of(
            self,
            output: str,         # folder of an output, relative to the volume
    ) -> str:
        """The folder that a job works in, or worked in last, relative to the volume."""
        working = output + PARTIAL
        return working if os.path.isdir(os.path.join(self._volume, working)) else output

    def progress(self, folder: str) -> Optional[JobProgress]:
        try:
            facts = parse_json(self._end(folder, RECORD, MAX_PROGRESS_BYTES), strict=True)
            texts = [facts[name] for name in ('label', 'unit', 'note')]
            numbers = [facts[name] for name in ('done', 'total', 'rate')]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not (all(isinstance(each, str) for each in texts)
                and all(type(each) in (int, float) and 0 <= each < 1e15 for each in numbers)):
            return None
        label, unit, note = [printable(each)[:MAX_TEXT] for each in texts]
        return JobProgress(label, int(numbers[0]), int(numbers[1]), unit, float(numbers[2]), note)

    def log(self, folder: str) -> List[str]:
        """The last lines of the log."""
        try:
            text = self._end(folder, LOG, LOG_BYTES)
        except (OSError, ValueError):
            return []
        return [printable(line)[:LINE_CHARACTERS] for line in text.splitlines()[-LOG_LINES:]]

    def stats(self, folder: str) -> List[Dict[str, float]]:
        """The lines of stats.jsonl, or the last of very many; each has a step."""
        try:
            lines = self._end(folder, STATS, STATS_BYTES).splitlines()
        except (OSError, ValueError):
            return []
        return [values for values in map(_stats_of, lines) if 'step' in values]

    def stats_version(self, folder: str) -> Any:
        """Something that changes when stats.jsonl does."""
        try:
            facts = os.stat(os.path.join(self._volume, folder, STATS), follow_symlinks=False)
        except OSError:
            return None
        return folder, facts.st_size, facts.st_mtime_ns

    def last_grid(self, folder: str) -> Optional[str]:
        """File name of the newest sample grid of a training, or None."""
        try:
            names = os.listdir(os.path.join(self._volume, folder, SAMPLES))
        except OSError:
            return None
        return max((name for name in names if GRID.match(name)), default=None,
                   key=lambda name: int(name.split('.')[0]))

    def grid(self, folder: str, name: str) -> Optional[BinaryIO]:
        """The stream of a sample grid, or None."""
        if not GRID.match(name):
            return None
        try:
            stream = self._open(folder, f'{SAMPLES}/{name}')
        except (OSError, ValueError):
            return None
        if os.fstat(stream.fileno()).st_size > MAX_GRID_BYTES:
            stream.close()
            return None
        return stream

    def _open(self, folder: str, name: str) -> BinaryIO:
        return open_below(self._volume, folder.split('/') + name.split('/'))

    def _end(self, folder: str, name: str, most: int) -> str:
        """The text of a file, or its last whole lines where it has more than `most` bytes."""
        with self._open(folder, name) as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - most))
            data = stream.read(most)
        if size > most:
            data = data.partition(b'\n')[2]
        return data.decode('utf-8', 'replace')


def error_in(lines: List[str]) -> str:
    """The error that a log ends with, or ''."""
    dated = [line for line in lines if DATED.match(line)]
    match = ERROR.match(dated[-1]) if dated else None
    return match.group(1) if match else ''


def _stats_of(line: str) -> Dict[str, float]:
    """The finite numbers of a line; {} for anything else, such as one that is being written."""
    try:
        values = parse_json(line)
    except ValueError:
        return {}
    if not isinstance(values, dict) or len(values) > MAX_KEYS:
        return {}
    return {name: float(value) for name, value in values.items()
            if type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)}
