"""Steps of Stage-I by several workers on this machine: `bench_workers.py FILE 1,2,4`.

All numbers of workers make their steps in turn, so that other programs slow all of them alike. Each
step is also made without the sums over workers, which leaves its results wrong and its work the
same: the difference is what the sums take. `strong`: a batch of one size, the workers share the
cores; `weak`: a batch of one size for each worker, each on a core of its own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(SCRIPTS)
sys.path.insert(0, ROOT)

from bench_rows import PAPER, Row, row  # noqa: E402

from stackgan.config import load_config  # noqa: E402
from stackgan.config.schema import Config  # noqa: E402
from stackgan.platforms.cores import load_tensorflow  # noqa: E402
from stackgan.platforms.rendezvous import Place  # noqa: E402
from stackgan.platforms.worker_channel import Channel, Follower, end_process  # noqa: E402
from stackgan.platforms.worker_leader import Leader  # noqa: E402

BATCH, WEAK_BATCH = 16, 8        # images of a step; for each worker
SECONDS = 900.0                  # for a worker to start
WITH, WITHOUT = 'with', 'without'


class Plan(NamedTuple):
    """Workers that make steps together."""

    kind: str                    # strong | weak
    size: int                    # workers
    batch: int                   # images of a step, of all workers
    cores: List[List[int]]       # of each worker


def plans_of(sizes: Sequence[int], cores: Sequence[int]) -> Dict[str, List[Plan]]:
    """{kind: plans} on a machine with these cores."""
    strong = [Plan('strong', n, BATCH, [list(cores[r * len(cores) // n:(r + 1) * len(cores) // n])
                                        or [cores[r * len(cores) // n]] for r in range(n)])
              for n in sizes]
    weak = [Plan('weak', n, WEAK_BATCH * n, [[cores[r]] for r in range(n)])
            for n in sizes if n <= len(cores)]
    return {'strong': strong, 'weak': weak}


class Group:
    """The processes of a plan, and the seconds of their steps."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seconds: Dict[str, List[float]] = {WITH: [], WITHOUT: []}
        self.processes = [self._start(0, 0)]
        port = int(self._line(0))
        self.processes += [self._start(rank, port) for rank in range(1, plan.size)]
        for rank in range(plan.size):
            self.lane = self._line(rank)

    def _start(self, rank: int, port: int) -> 'subprocess.Popen[str]':
        return subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), '--worker', json.dumps(
                [rank, port, self.plan])], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            universal_newlines=True, bufsize=1)

    def _line(self, rank: int) -> str:
        stream = self.processes[rank].stdout
        line = stream.readline().strip() if stream else ''
        if not line:
            raise RuntimeError(f'a worker of {self.plan} has ended')
        return line

    def step(self, way: str) -> None:
        """Lets all make a step, which takes as long as the slowest."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(way + '\n')
            process.stdin.flush()
        self.seconds[way].append(max(float(self._line(rank)) for rank in range(self.plan.size)))

    def end(self) -> None:
        for process in self.processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self.processes:
            process.wait()


def measure(plans: Sequence[Plan], steps: int) -> List[Row]:
    """Makes the steps of all plans in turn; the first of each is not counted."""
    groups = [Group(plan) for plan in plans]
    for _ in range(steps + 1):
        for group in groups:
            for way in (WITH, WITHOUT) if group.plan.size > 1 else (WITH,):
                group.step(way)
    for group in groups:
        group.end()
    return rows_of(groups[0].lane, [group.plan for group in groups],
                   [{way: statistics.median(seconds[1:]) for way, seconds in group.seconds.items()
                     if seconds} for group in groups])


def rows_of(lane: str, plans: Sequence[Plan], seconds: Sequence[Dict[str, float]]) -> List[Row]:
    """The rows of plans of one kind, with speeds beside that of the first."""
    found = []
    for plan, times in zip(plans, seconds):
        ratio = plan.batch / times[WITH] / (plans[0].batch / seconds[0][WITH])
        note = f'{ratio:.2f} x the images of {plans[0].size}'
        if WITHOUT in times:
            share = 100 * max(0.0, 1 - times[WITHOUT] / times[WITH])
            note += f'; the sums take {share:.0f} % of a step'
        found.append(row(lane, f'Stage-I, {plan.kind}, batch {plan.batch}, workers: {plan.size}',
                         round(times[WITH], 3), 's', note))
    return found


# One worker.

def work(rank: int, port: int, plan: Plan) -> None:
    """Makes a step for each line of standard input, and prints its seconds."""
    os.sched_setaffinity(0, plan.cores[rank])
    place = Place(rank, plan.size, '127.0.0.1', port, 'bench', here=plan.size)
    channel: Channel
    if rank == 0:
        channel = Leader(place, SECONDS, '')
        print(channel.port, flush=True)
    else:
        channel = Follower(place, SECONDS, '')
    config = load_config(os.path.join(ROOT, 'configs', 'birds.yaml'), PAPER + [
        f'stage1.batch_size={plan.batch}', f'platform.threads={len(plan.cores[rank])}'])
    load_tensorflow(config.platform)
    import tensorflow as tf
    ways = ways_of(config, channel if plan.size > 1 else None)
    print(f'TF {tf.__version__}', flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        ways[line.strip()]()
        print(time.perf_counter() - started, flush=True)
    if isinstance(channel, Leader):
        channel.end(0)
    end_process('', 0)


def ways_of(config: Config, channel: Any) -> Dict[str, Callable[[], Any]]:
    """{way: makes a step}, on random images."""
    import tensorflow.compat.v1 as tf

    from stackgan.platforms.session import join_workers, resolve
    from stackgan.platforms.workers import Engine, Workers

    class Unsummed(Engine):
        """Gives back what it is to sum."""

        def all_reduce(self, x: Any, network: int) -> Any:
            return tf.identity(x)

    resolved = resolve(config.platform, 1 if channel is None else channel.size)
    if channel is None:
        return {WITH: _stepper(config, resolved, None)}
    workers = join_workers(channel, config.platform, resolved)
    return {WITH: _stepper(config, resolved, workers),
            WITHOUT: _stepper(config, resolved, Workers(channel, Unsummed()))}


def _stepper(config: Config, resolved: Any, workers: Any) -> Callable[[], Any]:
    import numpy as np
    import tensorflow.compat.v1 as tf

    from stackgan.platforms.session import session_config
    from stackgan.training.stages import step_graph
    graph = tf.Graph()
    with graph.as_default(), tf.device(workers.engine.device if workers else None):
        training = step_graph(1, config, resolved, None, workers)
        options = session_config(resolved)
        if workers:
            workers.engine.configure(options)
        session = tf.Session(workers.engine.target if workers else '', config=options)
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
    rng = np.random.RandomState(0)
    feed = {each: rng.uniform(-1, 1, each.shape.as_list()).astype(each.dtype.as_numpy_dtype)
            for each in training.batch if each is not None}
    feed.update({training.generator_learning_rate: 2e-4,
                 training.discriminator_learning_rate: 2e-4})
    if workers:
        return lambda: workers.step(session, training.step, feed, False)
    return lambda: session.run([training.step, training.losses], feed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('file', nargs='?')
    parser.add_argument('sizes', nargs='?', help='numbers of workers, such as 1,2,4')
    parser.add_argument('--quick', action='store_true', help='fewer repetitions')
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        rank, port, plan = json.loads(options.worker)
        work(rank, port, Plan(*plan))
        return 0
    sizes = [int(text) for text in options.sizes.split(',')]
    plans = plans_of(sizes, sorted(os.sched_getaffinity(0)))
    with open(options.file, 'a') as stream:
        for kind in ('weak', 'strong'):
            for each in measure(plans[kind], 5 if options.quick else 12):
                stream.write(json.dumps(each) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
