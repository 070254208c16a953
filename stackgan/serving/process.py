"""The server's side of the worker: starts it, sends requests, and kills it past its limits."""

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, cast

from stackgan.config.schema import Platform
from stackgan.files import digest_of
from stackgan.printing import printable
from stackgan.serving import frames
from stackgan.serving.gallery import GeneratedImage
from stackgan.serving.generate_request import GenerateRequest
from stackgan.serving.limits import Limits
from stackgan.serving.neighbours import COUNT, NearestRequest, Neighbour
from stackgan.serving.refusals import Refusal, stopping
from stackgan.serving.runs import Run

logger = logging.getLogger(__name__)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = (sys.executable, '-m', 'stackgan.serving.worker')
MAX_NOTICE = 400            # characters
MAX_NOTICES = 20
PNG = b'\x89PNG\r\n\x1a\n'


class Generated(NamedTuple):
    """The result of a request."""

    images: List[GeneratedImage]
    notices: List[str]          # what the encoder could not read, a sentence each


class Worker:
    """A process that handles one request at a time. Thread-safe.

    It is started when it is first needed, and again after it exited or was killed.
    """

    def __init__(self, platform: Platform, limits: Limits,
                 command: Sequence[str] = COMMAND) -> None:
        self._settings = {'platform': dataclasses.asdict(platform), 'runs': limits.runs,
                          'memory': limits.worker_bytes,
                          'seconds': limits.start_seconds + limits.generation_seconds}
        self._limits, self._command = limits, command
        self._asking = threading.Lock()        # one conversation at a time
        self._guard = threading.Lock()         # of the process and of _is_open
        self._process: Optional[subprocess.Popen] = None
        self._is_open = True
        self._doing: Optional[str] = None

    def generate(self, run: Run, request: GenerateRequest) -> Generated:
        """Raises Refusal, and `Ended` where the run ended the worker."""
        needed = run._replace(report=(), faults=(), note='', why_not='')
        frame = frames.packed({'run': needed._asdict(), 'request': request._asdict()})
        return self._ask(frame, lambda answer, content: Generated(
            _images(run, request, answer.get('sizes'), content), _texts(answer.get('notices'))))

    def find_nearest(self, request: NearestRequest) -> List[Neighbour]:
        """The nearest training images. Raises Refusal, and `Ended`."""
        frame = frames.packed({'nearest': request.prepared}, request.png)
        return self._ask(frame, _neighbours)

    def _ask(self, frame: bytes, parsed: Callable[[Dict[str, Any], bytes], Any]) -> Any:
        """What `parsed` makes of the answer; it raises Gone for what no worker would send."""
        with self._asking:
            self._doing = 'generating'
            try:
                answer, content = self._answer(frame)
                return parsed(answer, content)
            except frames.Late:
                self._end()
                raise Ended(f'it took longer than {self._limits.generation_seconds:g} seconds')
            except (frames.Gone, ValueError) as error:     # ValueError: its pipe is closed here
                code = self._end(wait=1)
                if not self._is_open:
                    raise stopping()
                if code and code < 0:
                    name = signal.Signals(-code).name
                    raise Ended(f'it was killed by {name}, possibly out of memory')
                raise Ended(str(error))
            finally:
                self._doing = None

    def _answer(self, frame: bytes) -> Tuple[Dict[str, Any], bytes]:
        process = self._begun(frame, 2)
        answer, content = frames.read(_stdout(process),
                                      time.monotonic() + self._limits.generation_seconds)
        if not isinstance(answer, dict):
            raise frames.Gone('it did not send an answer')
        for text in _texts(answer.get('log')):
            logger.info(text)
        if 'refused' in answer:
            raise _refusal(answer['refused'])
        return answer, content

    def _begun(self, frame: bytes, tries: int) -> subprocess.Popen:
        """The process, which has begun a request. One that exited meanwhile is restarted."""
        end = time.monotonic() + self._limits.start_seconds
        try:
            process = self._running(end)
            frames.write(_stdin(process), frame, end)
            frames.read(_stdout(process), end)
            return process
        except (frames.Gone, frames.Late, OSError, ValueError) as error:
            self._end()
            if tries > 1 and self._is_open:
                return self._begun(frame, tries - 1)
            logger.info(f"the worker cannot be started: {str(error) or 'it does not answer'}")
            raise Refusal(503, 'The worker process cannot be started; see the log of the server',
                          30)

    def state(
            self,
            seconds: float,  # to wait for its answer
    ) -> str:
        """'ready', 'generating', 'starting', or why it does not answer; it is then restarted."""
        if self._doing or not self._asking.acquire(timeout=seconds):
            return self._doing or 'generating'     # which has its own time limit
        try:
            if self._process is None:
                self._doing, seconds = 'starting', self._limits.start_seconds
            end = time.monotonic() + seconds
            process = self._running(end)
            frames.write(_stdin(process), frames.packed({'ping': 1}), end)
            answer, _ = frames.read(_stdout(process), end)
            return 'ready' if answer == {'pong': 1} else 'answers something else'
        except frames.Late:
            self._end()
            return 'does not answer'
        except (frames.Gone, OSError, ValueError):
            self._end()
            return 'ends when it is started'
        finally:
            self._doing = None
            self._asking.release()

    def close(self) -> None:
        """Kills it for good, whatever it is doing."""
        with self._guard:
            self._is_open = False
        self._end()

    def _running(self, end: float) -> subprocess.Popen:
        """The process, started where none is running."""
        with self._guard:
            if not self._is_open:
                raise stopping()
            if self._process is not None and self._process.poll() is not None:
                _collect(self._process)
                self._process = None
            if self._process is None:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                    cwd=ROOT, start_new_session=True)     # Ctrl-C is for the server
                os.set_blocking(_stdin(self._process), False)
                frames.write(_stdin(self._process), frames.packed(self._settings), end)
            return self._process

    def _end(self, wait: float = 0) -> Optional[int]:
        """Kills it; returns its exit status where it exited by itself within `wait` seconds."""
        with self._guard:
            process, self._process = self._process, None
        if process is None:
            return None
        try:
            code = process.wait(wait)
        except subprocess.TimeoutExpired:
            code = None
        process.kill()
        _collect(process)
        return code


class Ended(Exception):
    """A run ended the worker; the message says how."""


def _stdin(process: subprocess.Popen) -> int:
    """Descriptor of the pipe to it."""
    return cast(IO[bytes], process.stdin).fileno()


def _stdout(process: subprocess.Popen) -> int:
    """Descriptor of the pipe from it."""
    return cast(IO[bytes], process.stdout).fileno()


def _collect(process: subprocess.Popen) -> None:
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _refusal(values: Any) -> Refusal:
    """The refusal that a worker sent. Raises Gone for anything else."""
    if isinstance(values, list) and len(values) == 3 and values[0] in (400, 503):
        retry_after = values[2] if type(values[2]) is int else None
        return Refusal(values[0], ''.join(_texts(values[1:2])), retry_after)
    raise frames.Gone('it did not send a refusal')


def _texts(values: Any) -> List[str]:
    """A worker's messages, shortened and printable; none where it sent anything else."""
    values = values if isinstance(values, list) else []
    return [printable(each)[:MAX_NOTICE] for each in values[:MAX_NOTICES] if isinstance(each, str)]


def _images(run: Run, request: GenerateRequest, sizes: Any, content: bytes) -> List[GeneratedImage]:
    """The images whose PNGs are concatenated in `content`. Raises Gone for anything else."""
    variants = request.variants()
    whole = (isinstance(sizes, list) and all(isinstance(row, list) for row in sizes)
             and [len(row) for row in sizes] == [run.stages] * len(variants)
             and all(type(size) is int and size > 0 for row in sizes for size in row)
             and sum(map(sum, sizes)) == len(content))
    if not whole:
        raise frames.Gone('it sent other images than were requested')
    images, start = [], 0
    for variant, row in zip(variants, sizes):
        stages = {}
        for stage, size in enumerate(row, 1):
            stages[stage] = content[start:start + size]
            start += size
            if not stages[stage].startswith(PNG):
                raise frames.Gone('it sent something that is not a PNG')
        more = dict(request.more(), position=variant.position) if request.more() else {}
        id = digest_of([run.digest, request.caption, variant.seed, variant.copy]
                       + ([more] if more else []))[:20]
        images.append(GeneratedImage(id, run.name, request.caption, variant.seed, variant.copy,
                                     stages, more))
    return images


def _neighbours(answer: Dict[str, Any], content: bytes) -> List[Neighbour]:
    """The training images whose PNGs are concatenated in `content`. Raises Gone for others."""
    facts: Any = answer.get('nearest')
    sizes: Any = answer.get('sizes')
    whole = (isinstance(facts, list) and isinstance(sizes, list)
             and len(facts) == len(sizes) <= COUNT and all(map(_are_facts, facts))
             and all(type(size) is int and size > 0 for size in sizes)
             and sum(sizes) == len(content))
    if not whole:
        raise frames.Gone('it sent something else than training images')
    found, start = [], 0
    for (name, caption, distance, mirrored), size in zip(facts, sizes):
        png = content[start:start + size]
        start += size
        if not png.startswith(PNG):
            raise frames.Gone('it sent something that is not a PNG')
        found.append(Neighbour(printable(name)[:MAX_NOTICE], printable(caption)[:MAX_NOTICE],
                               distance, mirrored, png))
    return found


def _are_facts(values: Any) -> bool:
    """Whether a value is [name, caption, distance, mirrored] of a training image."""
    return (isinstance(values, list) and [type(each) for each in values] == [str, str, float, bool]
            and 0 <= values[2] <= 255)
