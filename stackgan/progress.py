"""Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere."""

import time

from stackgan.printing import Terminal

BAR_SECONDS = 0.2      # between two drawings of the bar
LINE_SECONDS = 10.0    # between two plain lines
BAR_CELLS = 24
MAX_SECONDS = 1e9       # no duration of ours: of a manifest that says so


def duration(seconds):
    """'42s', '3m05s' or '2h07m'; what a clock that was set back makes negative is '0s'."""
    seconds = int(round(min(max(0, seconds), MAX_SECONDS)))
    if seconds < 60:
        return '%ds' % seconds
    if seconds < 3600:
        return '%dm%02ds' % divmod(seconds, 60)
    return '%dh%02dm' % divmod(seconds // 60, 60)


class Progress:
    """Counts units of work and shows them on a stream (standard error unless told).

    The rate is that of this process: work done before it (a resumed job) counts as progress
    but not as speed.
    """

    def __init__(
            self,
            label,          # what is being done, e.g. 'train-stage1'
            total,          # number of units in all
            unit,           # plural name of a unit, e.g. 'images'
            done=0,         # units that an earlier process did
            stream=None,    # None: standard error
    ):
        self.label, self.total, self.unit = label, total, unit
        self.done = self.first = done
        self.terminal = Terminal(stream)
        self.is_terminal = self.terminal.is_terminal
        self.started = time.monotonic()
        self.shown = None if self.is_terminal else self.started
        self.note = ''

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.is_terminal and self.shown is not None:
            self._generate(end='\n')
        elif not self.is_terminal and kind is None and self.done > self.first:
            self._line()

    def advance(self, units=1, note=None):
        """Counts `units` more; `note` (losses, a file's name) is shown behind the figures."""
        self.done += units
        if note is not None:
            self.note = note
        now = time.monotonic()
        interval = BAR_SECONDS if self.is_terminal else LINE_SECONDS
        if self.shown is None or now - self.shown >= interval:
            self.shown = now
            if self.is_terminal:
                self._generate()
            elif self.done < self.total:             # the last line comes at the end
                self._line()

    def rate(self):
        """Units a second in this process."""
        return (self.done - self.first) / max(time.monotonic() - self.started, 1e-9)

    def text(self):
        """The figures: share, count, rate, time left, note."""
        share = 100.0 * self.done / max(self.total, 1)
        text = '%s %3d%%  %d/%d %s' % (self.label, share, self.done, self.total, self.unit)
        if self.done > self.first:
            rate = self.rate()
            text += '  %s/s' % (('%.1f' if rate < 100 else '%.0f') % rate)
            if self.done < self.total:
                text += f'  {duration((self.total - self.done) / rate)} left'
            else:
                text += f'  took {duration(time.monotonic() - self.started)}'
        return text + ('  ' + self.note if self.note else '')

    def _generate(self, end=''):
        filled = int(BAR_CELLS * self.done / max(self.total, 1))
        bar = '#' * filled + '.' * (BAR_CELLS - filled)
        self.terminal.redraw(self.text().replace(self.label, f'{self.label} [{bar}]', 1), end)

    def _line(self):
        self.terminal.line(self.text())
