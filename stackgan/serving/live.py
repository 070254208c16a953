"""A live view of the jobs on a volume: their states, progress, newest grid, curves and errors.

Only reads, and only while somebody looks: what is read is shared by all who look, and takes a
bounded share of the time of a processor however large the volume is.
"""

import hashlib
import logging
import threading
import time
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.files import digest_of
from stackgan.printing import printable
from stackgan.reporting.training_charts import training_charts
from stackgan.serving.job_files import MAX_TEXT, JobFiles, JobProgress, error_in

logger = logging.getLogger(__name__)

SECONDS = 2.0                # between two looks at the volume, at least
IDLE_SHARE = 10              # so many times as long as a look took, at least
MAX_JOBS = 100
SHOWN_STATES = {'running': 'running', 'done': 'done', 'not needed': 'not needed',
                'stale': 'out of date', 'unfinished': 'stopped', 'queued': 'queued',
                'missing': 'waiting', 'waiting': 'waiting'}
FAILED = 'failed'


class JobRow(NamedTuple):
    """A line of `status`."""

    job: str
    state: str       # done | stale | unfinished | missing | waiting | not needed | running | queued
    output: str      # folder, relative to the volume
    detail: str


class LiveJob(NamedTuple):
    """A job as it is shown."""

    job: str
    state: str                             # of SHOWN_STATES, or FAILED
    output: str                            # folder, relative to the volume
    detail: str = ''
    progress: Optional[JobProgress] = None
    stats: Tuple[Tuple[str, float], ...] = ()        # the newest line of stats.jsonl
    charts: Tuple[Tuple[str, str], ...] = ()         # (title, <svg> as text)
    grid: Optional[str] = None             # file name of the newest sample grid
    error: str = ''
    log: Tuple[str, ...] = ()              # its last lines, of a job that runs or has failed

    @property
    def id(self) -> str:
        """For addresses within the page."""
        return 'job-' + hashlib.sha256(self.output.encode('utf-8', 'replace')).hexdigest()[:12]

    @property
    def version(self) -> str:
        """Changes when anything that is shown does."""
        return digest_of([self._asdict()])[:16]


class LiveJobs:
    """The jobs of a volume. Thread-safe."""

    def __init__(
            self,
            volume: str,                           # folder of the data volume
            rows: Callable[[], List[JobRow]],      # the lines of `status`
            clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._volume, self._rows, self._clock = volume, rows, clock
        self._files = JobFiles(volume)
        self._lock = threading.Lock()
        self._found: List[LiveJob] = []
        self._next = float('-inf')           # when to look again
        self._charts: Dict[str, Tuple[Any, Any]] = {}      # output -> (version of stats, drawn)

    def all(self) -> List[LiveJob]:
        """The jobs in the order of the chain, as of a moment ago."""
        with self._lock:
            started = self._clock()
            if started >= self._next:
                self._found = self._look()
                took = self._clock() - started
                self._next = self._clock() + max(SECONDS, IDLE_SHARE * took)
            return self._found

    def grid(
            self,
            id: str,         # of a job
            name: str,       # of a file
    ) -> Optional[BinaryIO]:
        """The stream of a sample grid of a job, or None."""
        found = next((each for each in self.all() if each.id == id), None)
        if found is None:
            return None
        return self._files.grid(self._files.folder_of(found.output), name)

    def _look(self) -> List[LiveJob]:
        try:
            rows = self._rows()[:MAX_JOBS]
        except Exception as error:           # whatever is on the volume: the page is still shown
            logger.info(f'the state of the jobs cannot be read: {type(error).__name__}: {error}')
            return self._found
        kept = {row.output for row in rows}
        self._charts = {output: each for output, each in self._charts.items() if output in kept}
        return [self._live(row) for row in rows]

    def _live(self, row: JobRow) -> LiveJob:
        detail = printable(row.detail.replace(self._volume + '/', ''))[:MAX_TEXT]
        state = SHOWN_STATES.get(row.state, row.state)
        job = LiveJob(printable(row.job)[:MAX_TEXT], state, printable(row.output)[:MAX_TEXT],
                      detail)
        if job.output != row.output or state in ('waiting', 'not needed', 'queued'):
            return job
        folder = self._files.folder_of(row.output)
        stats, charts = self._drawn(row.output, folder)
        job = job._replace(grid=self._files.last_grid(folder), stats=stats, charts=charts)
        if state not in ('running', 'stopped'):
            return job
        log = self._files.log(folder)
        error = error_in(log) if state == 'stopped' else ''
        return job._replace(state=FAILED if error else state, error=error, log=tuple(log),
                            progress=self._files.progress(folder))

    def _drawn(self, output: str, folder: str) -> Tuple[Any, Any]:
        """(newest statistics, charts), made anew when stats.jsonl has changed."""
        version = self._files.stats_version(folder)
        if version is None:
            return (), ()
        known = self._charts.get(output)
        if known is None or known[0] != version:
            stats = self._files.stats(folder)
            newest: Dict[str, float] = {}
            for line in stats[-20:]:
                newest.update(line)
            charts = training_charts(stats, output.rpartition('/')[2])
            known = version, (tuple(sorted(newest.items())),
                              tuple(each for each in charts if each[1]))
            self._charts[output] = known
        return known[1]


def version_of(jobs: Sequence[LiveJob]) -> str:
    """Changes when anything of any job does."""
    return digest_of([each.version for each in jobs])[:16]
