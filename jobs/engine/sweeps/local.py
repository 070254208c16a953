"""The jobs of a sweep as processes of this machine, each on a share of its cores or a card."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import FrameType
from typing import IO, Dict, Iterator, List, Optional, Sequence, Set

from stackgan.errors import Interrupted, StackganError
from stackgan.printing import echo, echo_error
from stackgan.progress import duration

from ..chain import PACKAGE
from ..contract import folder_of, state_of
from ..locks import is_locked
from ..signals import heeded
from .plan import Node
from .schedule import DONE, HELD, TO_DO, Outcome, Schedule
from .sharing import take_equal_output
from .trials import Sweep

CARD_VARIABLES = ('CUDA_VISIBLE_DEVICES', 'ASCEND_DEVICE_ID')
LAST_BYTES = 4096            # of what a failed job printed, in which its last line is
NOT_HANDED_ON = ('STACKGAN_SET', 'STACKGAN_CONFIG')      # the configuration of a run has them


def run_here(sweep: Sweep, nodes: Sequence[Node], volume: str, parallel: int,
             cards: Sequence[str]) -> Outcome:
    """Runs the jobs. Raises Interrupted after a signal, when those that ran have saved."""
    running = Processes(sweep, nodes, volume, parallel, cards)
    with running.signals_handed_on():
        outcome = Schedule(nodes, parallel, running.look, running.run,
                           lambda: bool(running.stops)).run()
    if running.stops:
        raise Interrupted(signal.Signals(running.stops[0]).name)
    return outcome


class Processes:
    """The processes of the jobs that run."""

    def __init__(self, sweep: Sweep, nodes: Sequence[Node], volume: str, parallel: int,
                 cards: Sequence[str]) -> None:
        self.logs, self.volume = os.path.join(sweep.folder, 'logs'), volume
        self.cards, self.shares = list(cards), cores_of_slots(parallel)
        self.stops: List[int] = []
        self.count, self.total = 0, len(nodes)
        self.told: Set[str] = set()
        self.processes: 'Dict[int, subprocess.Popen[bytes]]' = {}      # {slot: process}

    def look(self, node: Node) -> str:
        """Whether a job's output is there; links that of another run if it is equal."""
        job, config = node.job, node.trial.config
        if state_of(job, config, self.volume).word in ('done', 'not needed'):
            self.count += 1
            return DONE
        holder = is_locked(folder_of(job, config, self.volume))
        if holder:
            self._tell_once(f'{node.name} waits for {holder}')
            return HELD
        try:
            taken = take_equal_output(job, config, self.volume)
        except StackganError:                        # another sweep is at it
            return HELD
        if taken is None:
            return TO_DO
        self.count += 1
        echo(f'[{self.count}/{self.total}] {node.name}: linked from '
             f'{os.path.relpath(taken, self.volume)}')
        return DONE

    def run(self, node: Node, slot: int, alone: bool) -> int:
        """Runs a job in its slot to its end and returns the exit code. Called in a thread."""
        os.makedirs(self.logs, exist_ok=True)
        path = os.path.join(self.logs, f'{node.trial.run}.{node.job.name}.txt')
        started = time.monotonic()
        with open(path, 'ab') as stream:
            if self.stops:
                return Interrupted.exit_code
            process = self.processes[slot] = self._start(node, slot, alone, stream)
            if self.stops:                           # it came before the process was in the list
                process.send_signal(signal.SIGTERM)
            code = process.wait()
            del self.processes[slot]
        seconds = duration(time.monotonic() - started)
        if code == 0:
            self.count += 1
            echo(f'[{self.count}/{self.total}] {node.name}: done in {seconds}')
        elif not self.stops:
            echo_error(f'{node.name}: failed with exit code {code} after {seconds}: '
                       f'{last_line(path)} ({path})')
        return code

    def _start(self, node: Node, slot: int, alone: bool,
               stream: IO[bytes]) -> 'subprocess.Popen[bytes]':
        cores = self.shares[slot] if self.shares and not alone else None
        if cores and self.shares:
            os.sched_setaffinity(0, cores)           # of this thread, and so of its child
        elif self.shares:
            os.sched_setaffinity(0, set().union(*self.shares))
        environment = {name: value for name, value in os.environ.items()
                       if name not in NOT_HANDED_ON}
        if self.cards:
            card = self.cards[slot % len(self.cards)]
            environment.update(dict.fromkeys(CARD_VARIABLES, card))
        # A session of its own: signals of the terminal come from here, once.
        return subprocess.Popen(command_of(node, self.volume), stdout=stream, stderr=stream,
                                stdin=subprocess.DEVNULL, env=environment, start_new_session=True)

    def _tell_once(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            echo(text)

    @contextmanager
    def signals_handed_on(self) -> Iterator[None]:
        """A signal asks all jobs to save and end; a second Ctrl-C ends them at once."""
        def hand_on(number: int, frame: Optional[FrameType]) -> None:
            self.stops.append(number)
            again = len(self.stops) > 1 and number == signal.SIGINT
            for process in list(self.processes.values()):
                process.send_signal(signal.SIGKILL if again else signal.SIGTERM)

        before = {number: signal.signal(number, hand_on) for number in heeded()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def command_of(node: Node, volume: str) -> List[str]:
    """The command of a job."""
    return [sys.executable, '-m', PACKAGE, node.job.name, '--config', node.trial.path, '--data',
            volume] + list(node.words)


def cores_of_slots(parallel: int) -> List[Set[int]]:
    """The cores of this process, divided among the slots; [] if they cannot be."""
    if parallel < 2 or not hasattr(os, 'sched_getaffinity'):
        return []
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < parallel:
        return []
    return [set(cores[slot * len(cores) // parallel:(slot + 1) * len(cores) // parallel])
            for slot in range(parallel)]


def last_line(path: str) -> str:
    """The last line of a file, at most 300 characters."""
    with open(path, 'rb') as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - LAST_BYTES))
        lines = stream.read().decode('utf-8', 'replace').replace('\r', '\n').strip().splitlines()
    return lines[-1][:300] if lines else 'it printed nothing'
