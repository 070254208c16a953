"""Processes that perform tasks, and die with the process that started them.

What multiprocessing.Pool lacks here: a worker that is killed ends the work with an error instead
of a wait without end; an interrupt stops at once; tasks may be added while results come in.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from multiprocessing.connection import wait

from stackgan.errors import StackganError

try:
    from multiprocessing import resource_tracker as tracker
except ImportError:                                # Python 3.7
    from multiprocessing import semaphore_tracker as tracker  # type: ignore

ORPHAN_CHECK_SECONDS = 0.2
STOP_SECONDS = 5.0


class WorkerFailed(Exception):
    """Holds the traceback of a worker, as the cause of the exception that is raised here."""


class WorkerPool:
    """A context manager: `count` processes that call `function`, importable, with one task each.

    The processes are started afresh ('spawn'), so that they share no threads, locks or signal
    handlers with this one. On leaving, whatever is still being done is killed.
    """

    def __init__(self, function, count):
        self.function, self.count = function, count
        self.workers = []            # (process, connection)

    def __enter__(self):
        context = multiprocessing.get_context('spawn')
        # A terminal sends Ctrl-C, and SIGHUP when it closes, to all processes; the workers inherit
        # that they do not see it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        tracker.ensure_running()                   # it would let SIGINT through again
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

    def __exit__(self, kind, value, trace):
        self._kill()

    def _kill(self):
        for process, connection in self.workers:
            connection.close()
            if process.pid is not None:
                process.kill()
                process.join(STOP_SECONDS)
        self.workers = []

    def results(self, tasks):
        """Yields the result of each task of a deque, in the order in which they are done.

        The caller may add tasks to the deque until the last result has come. An exception in a
        worker is raised here; a worker that died raises StackganError.
        """
        idle = [connection for _, connection in self.workers]
        busy = {}
        while tasks or busy:
            while tasks and idle:
                connection, task = idle.pop(), tasks.popleft()
                busy[connection] = task
                self._talk(connection, task, lambda: connection.send(task))  # noqa: B023
            for connection in wait(list(busy)):
                result = self._talk(connection, busy[connection], connection.recv)
                del busy[connection]
                idle.append(connection)
                yield _unpacked(result)

    def _talk(self, connection, task, act):
        try:
            return act()
        except (EOFError, ConnectionError):
            process = [each for each, theirs in self.workers if theirs is connection][0]
            process.join(STOP_SECONDS)
            code = process.exitcode
            died = ('was killed by signal %d' % -code if code is not None and code < 0 else
                    f'ended with exit code {code}')
            raise StackganError(f'a worker process {died} (out of memory?) while it worked on '
                                f'{task}; the '
                                'same command resumes where this one stopped')


def _unpacked(result):
    value, failure, text = result
    if failure is not None:
        raise failure from WorkerFailed('in a worker process:\n' + text)
    return value


def _work(function, connection, parent):
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
            result = function(task), None, None
        except Exception as error:
            result = None, error, traceback.format_exc()
        try:
            connection.send(result)
        except ConnectionError:
            return
        except Exception:                           # an exception that cannot be pickled
            connection.send((None, RuntimeError(result[2].strip().split('\n')[-1]), result[2]))


def _die_with(parent):
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK_SECONDS)
    os._exit(1)
