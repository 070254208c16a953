"""Runs the jobs of a sweep on this machine, several at once.

A job starts when those it needs are done. One that another run has made already is linked, and two
that would make the same output never run at the same time. Which jobs are done is read from the
volume, so a sweep that was stopped or killed resumes by the same command.
"""

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Callable, Dict, List, NamedTuple, Sequence, Set, Tuple

from .plan import Node

HELD_SECONDS = 2.0             # after which a job of another process is looked at again

DONE, HELD, TO_DO = 'done', 'held', 'to do'


class Outcome(NamedTuple):
    codes: Dict[Tuple[int, str], int]      # exit code of each (run, job) that ran
    not_run: List[Node]                    # since a job that they need failed, or on a stop

    @property
    def exit_code(self) -> int:
        """0; of the jobs that failed the one code that all have, else 1."""
        failed = {code for code in self.codes.values() if code}
        return 0 if not failed else failed.pop() if len(failed) == 1 else 1


class Schedule:
    """The jobs of a sweep that are not done yet, and those that run."""

    def __init__(
            self,
            nodes: Sequence[Node],                       # in the order in which they may start
            limit: int,                                  # jobs at once
            look: Callable[[Node], str],                 # DONE, HELD (by another process) or TO_DO
            run: Callable[[Node, int, bool], int],       # (job, its slot, alone) -> exit code
            is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.nodes, self.limit, self.look, self.is_stopped = list(nodes), limit, look, is_stopped
        self.run_node = run
        self.done: Set[Tuple[int, str]] = set()
        self.codes: Dict[Tuple[int, str], int] = {}
        self.failed: Set[str] = set()             # keys: no other run tries the same again
        self.running: 'Dict[Future[int], Tuple[Node, int]]' = {}
        self.held = 0

    def run(self) -> Outcome:
        """Runs all that can be run; a failure ends what depends on it, and nothing else."""
        with ThreadPoolExecutor(self.limit) as pool:
            while not self.is_stopped():
                self._start_ready(pool)
                if not self.running and not self.held:
                    break
                self._wait()
            while self.running:
                self._wait()
        return Outcome(self.codes, self.nodes)

    def _start_ready(self, pool: ThreadPoolExecutor) -> None:
        ready = self._ready()
        alone = len(ready) == 1 and not self.running and not self.held
        for node in ready:
            slots = set(range(self.limit)) - {slot for _, slot in self.running.values()}
            if self.is_stopped() or len(self.running) + self.held >= self.limit:
                return
            slot = min(slots)
            self.nodes.remove(node)
            self.running[pool.submit(self.run_node, node, slot, alone)] = (node, slot)

    def _ready(self) -> List[Node]:
        """Jobs that can start now, one for each output, as many as there are slots and at least
        two if there are two. Takes out those that are done."""
        found: List[Node] = []
        again = True
        while again:                           # a job that is done frees others
            again, self.held, found = False, 0, []
            keys = self.failed | {node.key for node, _ in self.running.values()}
            for node in list(self.nodes):
                if len(found) >= max(2, self.limit - len(self.running)):
                    break
                if node.key in keys or not all(
                        (node.number, name) in self.done for name in node.after):
                    continue
                state = self.look(node)
                if state == DONE:
                    self.nodes.remove(node)
                    self.done.add((node.number, node.job.name))
                    again = True
                    continue
                keys.add(node.key)
                if state == HELD:
                    self.held += 1
                else:
                    found.append(node)
        return found

    def _wait(self) -> None:
        if not self.running:
            time.sleep(HELD_SECONDS)
            return
        finished, _ = wait(list(self.running), HELD_SECONDS if self.held else None,
                           FIRST_COMPLETED)
        for each in finished:
            node, _ = self.running.pop(each)
            code = each.result()
            self.codes[node.number, node.job.name] = code
            if code == 0:
                self.done.add((node.number, node.job.name))
            else:
                self.failed.add(node.key)
