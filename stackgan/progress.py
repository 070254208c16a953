"""Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere.

Within `recorded` a file has it too, for those who look on from other processes.
"""

import json
import os
import time
from contextlib import contextmanager
from types import TracebackType
from typing import Iterator, Optional, TextIO, Type

from stackgan.printing import Terminal

BAR_SECONDS = 0.2      # between two updates of the bar
LINE_SECONDS = 10.0    # between two plain lines
BAR_CELLS = 24
RECORD_SECONDS = 1.0   # between two records in the file
RECORD, BUILDING = 'progress.json', '.new'        # its name; at the end of it while it is written
MAX_SECONDS = 1e9      # a manifest that was edited may hold more


def duration(seconds: float) -> str:
    """'42s', '3m05s' or '2h07m'; '0s' for a negative one, since a clock may be set back."""
    whole = int(round(min(max(0, seconds), MAX_SECONDS)))
    if whole < 60:
        return f'{whole}s'
    if whole < 3600:
        return f'{whole // 60}m{whole % 60:02d}s'
    return f'{whole // 3600}h{whole // 60 % 60:02d}m'


_recorded_at: Optional[str] = None    # path of the file, within `recorded`
_nowhere: Optional[TextIO] = None      # in place of standard error, once `hide` was called


def hide() -> None:
    """From now on this process shows no progress: another one does."""
    global _nowhere
    _nowhere = open(os.devnull, 'w')


@contextmanager
def recorded(folder: str) -> Iterator[None]:
    """Within the block, `progress.json` in the folder has the figures of the last `Progress`.

    It has no say in the work: where it cannot be written, nothing is. What an earlier process left
    is removed, and at the end, unless the block fails, what this one did.
    """
    global _recorded_at
    path = os.path.join(folder, RECORD)
    for each in (path, path + BUILDING):
        _remove(each)
    _recorded_at = path
    try:
        yield
        for each in (path, path + BUILDING):
            _remove(each)
    finally:
        _recorded_at = None


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


class Progress:
    """Counts units of work and shows them on a stream, by default standard error.

    The rate is that of this process: work done before (by a job that is resumed) counts as
    progress, but not for the rate.
    """

    def __init__(
            self,
            label: str,                         # what is being done, e.g. 'train-stage1'
            total: int,                         # number of units in all
            unit: str,                          # plural name of a unit, e.g. 'images'
            done: int = 0,                      # units that an earlier process did
            stream: Optional[TextIO] = None,    # None: standard error
    ) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = self.first = done
        self.terminal = Terminal(stream or _nowhere)
        self.is_terminal = self.terminal.is_terminal
        self.started = time.monotonic()
        self.shown = None if self.is_terminal else self.started
        self.recorded: Optional[float] = None      # when the file was written
        self.note = ''

    def __enter__(self) -> 'Progress':
        self._record(time.monotonic())
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if self.is_terminal and self.shown is not None:
            self._redraw(end='\n')
        elif not self.is_terminal and kind is None and self.done > self.first:
            self._line()

    def advance(self, units: int = 1, note: Optional[str] = None) -> None:
        """Counts `units` more; `note` (losses, a file name) is shown after the figures."""
        self.done += units
        if note is not None:
            self.note = note
        now = time.monotonic()
        interval = BAR_SECONDS if self.is_terminal else LINE_SECONDS
        if self.shown is None or now - self.shown >= interval:
            self.shown = now
            if self.is_terminal:
                self._redraw()
            elif self.done < self.total:             # the last line comes at the end
                self._line()
        if self.recorded is None or now - self.recorded >= RECORD_SECONDS:
            self._record(now)

    def rate(self) -> float:
        """Units a second in this process."""
        return (self.done - self.first) / max(time.monotonic() - self.started, 1e-9)

    def text(self) -> str:
        """The figures: share, count, rate, time left, note."""
        share = 100.0 * self.done / max(self.total, 1)
        text = f'{self.label} {int(share):3d}%  {self.done}/{self.total} {self.unit}'
        if self.done > self.first:
            rate = self.rate()
            text += f'  {rate:.1f}/s' if rate < 100 else f'  {rate:.0f}/s'
            if self.done < self.total:
                text += f'  {duration((self.total - self.done) / rate)} left'
            else:
                text += f'  took {duration(time.monotonic() - self.started)}'
        return text + ('  ' + self.note if self.note else '')

    def _record(self, now: float) -> None:
        """Replaces the file; readers find the one before or this one. No sync: it is for now."""
        self.recorded = now
        if _recorded_at is None:
            return
        building = _recorded_at + BUILDING
        try:
            with open(building, 'x', encoding='utf-8') as stream:    # never through a link
                json.dump({'label': self.label, 'done': self.done, 'total': self.total,
                           'unit': self.unit, 'rate': round(self.rate(), 3), 'note': self.note},
                          stream)
            os.replace(building, _recorded_at)
        except OSError:
            pass

    def _redraw(self, end: str = '') -> None:
        filled = int(BAR_CELLS * self.done / max(self.total, 1))
        bar = '#' * filled + '.' * (BAR_CELLS - filled)
        self.terminal.redraw(self.text().replace(self.label, f'{self.label} [{bar}]', 1), end)

    def _line(self) -> None:
        self.terminal.line(self.text())
