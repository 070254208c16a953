"""The server's side of the worker: starts it, asks it, and ends it when it takes too much."""

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import NamedTuple

from stackgan.files import digest_of
from stackgan.printing import printable
from stackgan.serving import frames
from stackgan.serving.gallery import GeneratedImage
from stackgan.serving.refusals import Refusal, stopping

logger = logging.getLogger(__name__)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = (sys.executable, '-m', 'stackgan.serving.worker')
MAX_NOTICE = 400            # characters
MAX_NOTICES = 20
PNG = b'\x89PNG\r\n\x1a\n'


class Generated(NamedTuple):
    """What came of a request."""

    images: list        # [Image]
    notices: list       # what the encoder could not read, a sentence each


class Worker:
    """A process that generates one request after the other. For any number of threads.

    It is started when it is first needed, and anew after it has ended or was ended.
    """

    def __init__(
            self,
            platform,          # the `platform` section
            limits,            # Limits
            command=COMMAND,
    ):
        self._settings = {'platform': dataclasses.asdict(platform), 'runs': limits.runs,
                          'memory': limits.worker_bytes,
                          'seconds': limits.start_seconds + limits.drawing_seconds}
        self._limits, self._command = limits, command
        self._asking = threading.Lock()        # one conversation at a time
        self._guard = threading.Lock()         # of the two below
        self._process, self._is_open, self._doing = None, True, None

    def generate(
            self,
            run,               # Run
            asked,             # GenerateRequest
    ):
        """`Generated`. Raises Refusal, and `Ended` where the run ended the worker."""
        with self._asking:
            self._doing = 'generating'
            try:
                return self._generate(run, asked)
            except frames.Late:
                self._end()
                raise Ended(f'it took longer than {self._limits.drawing_seconds:g} seconds')
            except (frames.Gone, ValueError) as error:     # ValueError: its pipe is closed here
                code = self._end(wait=1)
                if not self._is_open:
                    raise stopping()
                raise Ended(f'it was killed by {signal.Signals(-code).name}, possibly out of memory' if code and code < 0 else str(error))
            finally:
                self._doing = None

    def _generate(self, run, asked):
        needed = run._replace(report=(), faults=(), note='', why_not='')
        frame = frames.packed({'run': needed._asdict(), 'asked': asked._asdict()})
        process = self._begun(frame, 2)
        answer, content = frames.read(process.stdout.fileno(),
                                      time.monotonic() + self._limits.drawing_seconds)
        if not isinstance(answer, dict):
            raise frames.Gone('it sent something else than an answer')
        for text in _texts(answer.get('log')):
            logger.info(text)
        if 'refused' in answer:
            raise _refusal(answer['refused'])
        return Generated(_images(run, asked, answer.get('sizes'), content),
                         _texts(answer.get('notices')))

    def _begun(self, frame, tries):
        """The process, which begins with a request. One that ended meanwhile is started anew."""
        end = time.monotonic() + self._limits.start_seconds
        try:
            process = self._running(end)
            frames.write(process.stdin.fileno(), frame, end)
            frames.read(process.stdout.fileno(), end)
            return process
        except (frames.Gone, frames.Late, OSError, ValueError) as error:
            self._end()
            if tries > 1 and self._is_open:
                return self._begun(frame, tries - 1)
            logger.info('the worker cannot be started: %s' % (str(error) or 'it does not answer'))
            raise Refusal(503, 'The worker process cannot be started; see the log of the server',
                          30)

    def state(
            self,
            seconds,           # to wait for its answer
    ):
        """'ready', 'generating', 'starting', or why it does not answer; it is then started anew."""
        if self._doing or not self._asking.acquire(timeout=seconds):
            return self._doing or 'generating'     # which has a time of its own
        try:
            if self._process is None:
                self._doing, seconds = 'starting', self._limits.start_seconds
            end = time.monotonic() + seconds
            process = self._running(end)
            frames.write(process.stdin.fileno(), frames.packed({'ping': 1}), end)
            answer, _ = frames.read(process.stdout.fileno(), end)
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

    def close(self):
        """Ends it for good, whatever it is doing."""
        with self._guard:
            self._is_open = False
        self._end()

    def _running(self, end):
        """The process, started where there is none."""
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
                os.set_blocking(self._process.stdin.fileno(), False)
                frames.write(self._process.stdin.fileno(), frames.packed(self._settings), end)
            return self._process

    def _end(self, wait=0):
        """Kills it; its own exit status where it ended by itself within `wait` seconds."""
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


def _collect(process):
    process.wait()
    process.stdin.close()
    process.stdout.close()


def _refusal(values):
    """The Refusal a worker sends. Raises Gone for anything else."""
    if isinstance(values, list) and len(values) == 3 and values[0] in (400, 503):
        retry_after = values[2] if type(values[2]) is int else None
        return Refusal(values[0], ''.join(_texts(values[1:2])), retry_after)
    raise frames.Gone('it sent something else than a refusal')


def _texts(values):
    """What a worker says, short and printable; nothing where it says anything else."""
    values = values if isinstance(values, list) else []
    return [printable(each)[:MAX_NOTICE] for each in values[:MAX_NOTICES] if isinstance(each, str)]


def _images(run, asked, sizes, content):
    """[Image] of the PNGs that follow each other in `content`. Raises Gone for anything else."""
    whole = (isinstance(sizes, list) and all(isinstance(row, list) for row in sizes)
             and [len(row) for row in sizes] == [run.stages] * asked.count
             and all(type(size) is int and size > 0 for row in sizes for size in row)
             and sum(map(sum, sizes)) == len(content))
    if not whole:
        raise frames.Gone('it sent other images than were asked for')
    images, start = [], 0
    for copy, row in enumerate(sizes):
        stages = {}
        for stage, size in enumerate(row, 1):
            stages[stage] = content[start:start + size]
            start += size
            if not stages[stage].startswith(PNG):
                raise frames.Gone('it sent what is no PNG')
        images.append(GeneratedImage(digest_of([run.digest, asked.caption, asked.seed, copy])[:20],
                                     run.name, asked.caption, asked.seed, copy, stages))
    return images
