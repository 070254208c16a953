"""The line between worker 0 and each other worker: start, beats, digests, the end of all.

Gradients do not travel here. A worker that dies closes its connection, one that is stopped or cut
off sends no more beats, and one that hangs sends beats that no longer count up; so worker 0 can
name it, which TensorFlow cannot (1.15 waits for ever for a worker that was killed).

Messages are lines of JSON, bounded, from machines of one training; `platform.worker_timeout` is
how long a worker may be silent. Imports no TensorFlow.
"""

import json
import logging
import os
import queue
import socket
import threading
import time
from typing import Any, Callable, Dict, List, NoReturn, Optional

from stackgan import printing
from stackgan.errors import StackganError
from stackgan.platforms.rendezvous import Place

logger = logging.getLogger(__name__)

BEAT_SECONDS = 0.5
MAX_BYTES = 1 << 20          # of a message
END_SECONDS = 5.0            # for the others to end by themselves
AGAIN = 'run the same command to resume'
DONE = 1 << 40               # more than the progress of any worker whose part is not done


class Line:
    """A connection that carries messages."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection, self.stream = connection, connection.makefile('rb')
        self.lock = threading.Lock()

    def send(self, **message: Any) -> None:
        """Sends a message, or nothing if the other side is gone: whoever reads notices that."""
        data = json.dumps(message).encode() + b'\n'
        try:
            with self.lock:
                self.connection.sendall(data)
        except OSError:
            pass

    def receive(self) -> Optional[Dict[str, Any]]:
        """The next message; None if the connection is closed or brings something else."""
        try:
            line = self.stream.readline(MAX_BYTES)
            message = json.loads(line.decode()) if line.endswith(b'\n') else None
        except (OSError, ValueError):
            return None
        return message if isinstance(message, dict) else None

    def close(self) -> None:
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()


class Channel:
    """What both sides have."""

    def __init__(self, place: Place, timeout: float, settings: str) -> None:
        self.rank, self.size, self.place = place.rank, place.size, place
        self.timeout, self.settings = timeout, settings
        self.host = socket.gethostname()
        self.addresses: List[str] = []     # host:port of all workers for the gradients, by rank
        self.count = 0                     # even: in its own work; odd: waiting for the others
        self.is_stepping = False           # whether beats must count up
        self.held: Optional[socket.socket] = None

    def hold_port(self) -> int:
        """A free port, or the one that was chosen, until `release_port` lets TensorFlow have it."""
        self.held = socket.socket()
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.held.bind(('', self.place.own_port))
        except OSError as error:
            raise StackganError(f'worker {self.rank} on {self.host} cannot listen on port '
                                f'{self.place.own_port}: {error.strerror}; does another program '
                                'use it?')
        return int(self.held.getsockname()[1])

    def release_port(self) -> None:
        if self.held is not None:
            self.held.close()

    def advance(self) -> None:
        """Is called before and after each wait for the others."""
        self.count += 1

    def gather(self) -> None:
        """Waits until all workers are there. Raises StackganError."""
        raise NotImplementedError

    def share_step(self, step: int) -> int:
        """Worker 0's step on every worker."""
        raise NotImplementedError

    def rest(self) -> None:
        """From now on beats need not count up: the steps are done."""
        self.is_stepping = False

    def compare(self, step: int, names: List[str], digests: List[int]) -> None:
        """Raises StackganError on worker 0 if another has other digests."""
        raise NotImplementedError

    def begin_part(self, task: Dict[str, Any]) -> None:
        """Worker 0 lets all begin parts of a task, once all are there. Raises StackganError."""

    def finish_part(self) -> None:
        """This worker has done its part; returns on worker 0 when the others have too."""
        self.count += DONE                 # so it is not the slowest

    def explain(self, error: BaseException) -> NoReturn:
        """For an error of TensorFlow that another worker may have caused: that ends the process."""
        time.sleep(END_SECONDS)
        text = ' '.join(str(error).split())[:300]
        raise StackganError(f'worker {self.rank} on {self.host} cannot go on with the others: '
                            f'{type(error).__name__}: {text}; {AGAIN}')


class Follower(Channel):
    """Any other worker: does as worker 0 says, and ends with it."""

    def __init__(
            self,
            place: Place,
            timeout: float,      # seconds
            settings: str,
            leave: Optional[Callable[[str, int], Any]] = None,    # ends the process
    ) -> None:
        super().__init__(place, timeout, settings)
        self.leave, self.leader = leave or end_process, f'worker 0 on {place.host}'
        self.line = Line(self._connect())
        self.heard = time.monotonic()
        self.begun, self.started = threading.Event(), threading.Event()
        self.first, self.is_over = 0, False
        self.tasks: 'queue.Queue[Dict[str, Any]]' = queue.Queue()     # from `begin_part`
        self.line.send(token=place.token, rank=self.rank, host=self.host, port=self.hold_port(),
                       settings=settings, phase=place.phase)
        for work, name in ((self._read, 'read'), (self._beat, 'beat')):
            threading.Thread(target=work, name='workers-' + name, daemon=True).start()

    def _connect(self) -> socket.socket:
        ends = time.monotonic() + self.timeout
        while True:
            try:
                connection = socket.create_connection((self.place.host, self.place.port),
                                                      self.timeout)
                connection.settimeout(None)
                return connection
            except OSError as error:
                if time.monotonic() > ends:
                    raise StackganError(
                        f'worker {self.rank} on {self.host} cannot reach worker 0 at '
                        f'{self.place.host}:{self.place.port} within {self.timeout:g} s '
                        f'(platform.worker_timeout): {error}')
            time.sleep(0.2)

    def gather(self) -> None:
        """Waits until worker 0 has all workers."""
        self.begun.wait()

    def share_step(self, step: int) -> int:
        self.started.wait()
        return self.first

    def compare(self, step: int, names: List[str], digests: List[int]) -> None:
        self.line.send(step=step, digests=digests)

    def finish_part(self) -> None:
        super().finish_part()
        self.line.send(done=True)

    def fail(self, text: str, code: int) -> None:
        """Tells worker 0, which ends all, why this worker cannot go on."""
        self.line.send(failed=text, code=code)
        self.wait_for_end(END_SECONDS)

    def wait_for_end(self, seconds: Optional[float] = None) -> None:
        """Waits for worker 0 to end this process."""
        threading.Event().wait(seconds)

    def _read(self) -> None:
        while True:
            message = self.line.receive()
            self.heard = time.monotonic()
            if message is None:
                return self._fail(f'{self.leader} is gone; all workers stop, {AGAIN}')
            if isinstance(message.get('end'), int):
                self.is_over = True
                self.leave('', message['end'])
                return
            if isinstance(message.get('begin'), list):
                self.addresses = [str(each) for each in message['begin']]
                self.begun.set()
            if isinstance(message.get('step'), int):
                self.first = message['step']
                self.started.set()
            if isinstance(message.get('task'), dict):
                self.tasks.put(message['task'])

    def _beat(self) -> None:
        while not self.is_over:
            self.line.send(beat=self.count)
            time.sleep(BEAT_SECONDS)
            if time.monotonic() - self.heard > self.timeout:
                self._fail(f'{self.leader} has not answered for {self.timeout:g} s '
                           f'(platform.worker_timeout); all workers stop, {AGAIN}')

    def _fail(self, text: str) -> None:
        """Ends; one of several that lose worker 0 says so."""
        self.is_over = True
        self.leave(text if self.rank == 1 else '', StackganError.exit_code)


def end_process(text: str, code: int) -> None:
    """Ends this process from any thread, whatever the others wait for in TensorFlow."""
    if text:
        logger.error(text)
    printing.finish()
    os._exit(code)
