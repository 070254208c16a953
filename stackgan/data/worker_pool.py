"""Processes that perform tasks and exit with the process that started them.

Unlike multiprocessing.Pool: if a worker is killed, the caller gets an error instead of waiting
forever; an interrupt stops the work at once; tasks may be added while results come in.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Tuple, Type, TypeVar

from stackgan.errors import StackganError

try:
    from multiprocessing import resource_tracker as tracker
except ImportError:                                # Python 3.7
    from multiprocessing import semaphore_tracker as tracker  # type: ignore

ORPHAN_CHECK_SECONDS = 0.2
STOP_SECONDS = 5.0

Function = Callable[[Any], Any]
Answer = Tuple[Any, Optional[Exception], str]      # result or exception, traceback as text
T = TypeVar('T')


class WorkerFailed(Exception):
    """The traceback of a worker, as the cause of the exception raised in this process."""


class WorkerPool:
    """A context manager: `count` processes that call `function` with one task at a time.

    The processes are started with 'spawn', so that they share no threads, locks or signal handlers
    with this one. On exit, processes that are still working are killed.
    """

    def __init__(
            self,
            function: Function,      # importable: at the top level of a module
            count: int,
    ):
        self.function, self.count = function, count
        self.workers: List[Tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> 'WorkerPool':
        context = multiprocessing.get_context('spawn')
        # A terminal sends SIGINT (Ctrl-C) and SIGHUP (closing) to all processes; the workers
        # inherit a mask that blocks both.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        tracker.ensure_running()                   # it unblocks SIGINT
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(self.count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(self.function, theirs, os.getpid()),
                                          daemon=True)
                self.workers.append((process, ours))
                process.start()
                theirs.close()
        except BaseException:
            self._kill()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._kill()

    def _kill(self) -> None:
        for process, connection in self.workers:
            connection.close()
            if process.pid is not None:
                process.kill()
                process.join(STOP_SECONDS)
        self.workers = []

    def results(self, tasks: Deque[Any]) -> Iterator[Any]:
        """Yields the result of each task, in the order in which they finish.

        The caller may add tasks to `tasks` until the last result has come. An exception in a
        worker is raised here too; if a worker dies, StackganError is raised.
        """
        idle = [connection for _, connection in self.workers]
        busy: Dict[Any, Any] = {}              # connection -> task
        while tasks or busy:
            while tasks and idle:
                connection, task = idle.pop(), tasks.popleft()
                busy[connection] = task
                self._talk(connection, task, lambda: connection.send(task))  # noqa: B023
            ready: Any                         # typeshed: a connection, socket or number
            for ready in wait(list(busy)):
                result = self._talk(ready, busy[ready], ready.recv)
                del busy[ready]
                idle.append(ready)
                yield _unpacked(result)

    def _talk(self, connection: Connection, task: Any, act: Callable[[], T]) -> T:
        try:
            return act()
        except (EOFError, ConnectionError):
            process = [each for each, theirs in self.workers if theirs is connection][0]
            process.join(STOP_SECONDS)
            code = process.exitcode
            died = (f'was killed by signal {-code}' if code is not None and code < 0 else
                    f'ended with exit code {code}')
            raise StackganError(f'a worker process {died} (out of memory?) while it worked on '
                                f'{task}; run the same command again to resume')


def _unpacked(result: Answer) -> Any:
    value, failure, text = result
    if failure is not None:
        raise failure from WorkerFailed('in a worker process:\n' + text)
    return value


def _work(function: Function, connection: Connection, parent: int) -> None:
    """Main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    while True:
        try:
            task = connection.recv()
        except (EOFError, ConnectionError):
            return
        try:
            result: Answer = (function(task), None, '')
        except Exception as error:
            result = (None, error, traceback.format_exc())
        try:
            connection.send(result)
        except ConnectionError:
            return
        except Exception:                           # an exception that cannot be pickled
            connection.send((None, RuntimeError(result[2].strip().split('\n')[-1]), result[2]))


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK_SECONDS)
    os._exit(1)
