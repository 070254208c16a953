"""Preprocessing that is killed, interrupted or out of room; the processes that do the work."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections import deque

import needs
import pytest
from PIL import Image
from raw_toy import content, image, make_cub, noise, run, settings

from stackgan.data import shards
from stackgan.data.images import Crop
from stackgan.data.prepared import LOW
from stackgan.data.shards import Block, Target, perform
from stackgan.data.worker_pool import WorkerPool
from stackgan.errors import StackganError

HERE = os.path.dirname(os.path.abspath(__file__))

SCRIPT = f"""
import sys
sys.path[:0] = [{HERE!r}, {os.path.dirname(HERE)!r}]
from raw_toy import settings
from logged import attach
from stackgan.data.preprocessing import preprocess
from toy import pause_where_told

class Shown:
    append = staticmethod(print)

def main():
    pause_where_told()
    attach(Shown())
    preprocess(sys.argv[1], sys.argv[2], settings(shard_images=4, workers=int(sys.argv[3])))

main()
"""


def start(raw, folder, workers=2, pause=''):
    return subprocess.Popen([sys.executable, '-c', SCRIPT, raw, folder, str(workers)],
                            env=dict(os.environ, TOY_PAUSE=pause),
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            universal_newlines=True, start_new_session=True)


def processes_of_session(session):
    """Ids of the living processes of a session."""
    found = []
    for name in os.listdir('/proc'):
        try:
            with open(f'/proc/{name}/stat') as stream:
                fields = stream.read().rsplit(')', 1)[1].split()
        except (OSError, IndexError):
            continue
        if fields[0] != 'Z' and int(fields[3]) == session:
            found.append(int(name))
    return found


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f'nothing came of it in {seconds:g} s'
        time.sleep(0.002)


def test_killed_again_and_again_it_ends_like_an_uninterrupted_run(tmp_path):
    raw, folder = make_cub(tmp_path / 'raw', 200), str(tmp_path / 'out')
    seed = random.randrange(10 ** 6)
    print('seed', seed)                          # shown when the test fails
    chance, records = random.Random(seed), os.path.join(folder, 'unfinished')

    def recorded():
        return len(os.listdir(records)) if os.path.isdir(records) else 0

    kept, goal = 0, 0
    for _ in range(3):
        goal += chance.randrange(1, 8)
        process = start(raw, folder, pause='0.6 preprocess')
        wait_for(lambda: recorded() >= goal)
        time.sleep(chance.random() * 0.02)
        process.kill()
        process.stdout.close()
        process.wait()
        wait_for(lambda: not processes_of_session(process.pid))          # workers die too
        kept = 4 * len([name for name in os.listdir(records) if name.endswith('.json')])
    assert 0 < kept < 200 and not os.path.exists(os.path.join(folder, 'dataset.json'))
    process = start(raw, folder)
    said = process.communicate()[0]
    assert process.returncode == 0 and 'resuming: ' in said
    assert int(said.split('resuming: ')[1].split()[0]) >= kept - 4
    run(raw, tmp_path / 'straight', settings(shard_images=4))
    assert content(folder) == content(tmp_path / 'straight')


WAITING = f"""
import signal, sys, time
from collections import deque
sys.path.insert(0, {os.path.dirname(HERE)!r})
signal.signal(signal.SIGINT, signal.default_int_handler)     # a shell's background job ignores it
from stackgan.data.worker_pool import WorkerPool
with WorkerPool(time.sleep, 2) as pool:
    print('started', flush=True)
    list(pool.results(deque([60, 60])))
"""


def test_workers_die_with_their_parent_in_the_middle_of_a_task():
    process = subprocess.Popen([sys.executable, '-c', WAITING], stdout=subprocess.PIPE,
                               start_new_session=True)
    process.stdout.readline()
    wait_for(lambda: len(processes_of_session(process.pid)) >= 3)
    time.sleep(0.4)                                  # until both sleep, for a minute
    process.kill()
    process.stdout.close()
    process.wait()
    wait_for(lambda: not processes_of_session(process.pid))


def test_ctrl_c_stops_all_in_the_middle_of_a_task():
    process = subprocess.Popen([sys.executable, '-c', WAITING], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    process.stdout.readline()
    wait_for(lambda: len(processes_of_session(process.pid)) >= 3)
    time.sleep(0.4)                                  # until both sleep, for a minute
    os.killpg(process.pid, signal.SIGINT)            # as a terminal does
    process.communicate(timeout=30)
    assert process.returncode != 0
    wait_for(lambda: not processes_of_session(process.pid))


def test_a_killed_worker_ends_the_work_with_an_error():
    with WorkerPool(os._exit, 1) as pool:
        with pytest.raises(StackganError, match='ended with exit code 3 .*the same command'):
            list(pool.results(deque([3])))
    with WorkerPool(abs, 1) as pool:
        os.kill(pool.workers[0][0].pid, signal.SIGKILL)
        with pytest.raises(StackganError, match='killed by signal 9'):
            list(pool.results(deque([-1])))


def test_tasks_may_be_added_while_results_come():
    tasks, found = deque([-1, -2, -3]), []
    with WorkerPool(abs, 2) as pool:
        for result in pool.results(tasks):
            found.append(result)
            if result == 3:
                tasks.append(-4)
    assert sorted(found) == [1, 2, 3, 4]


def test_what_a_full_disk_takes_only_in_part_is_written_on(tmp_path, monkeypatch):
    whole = os.pwrite
    monkeypatch.setattr(shards.os, 'pwrite', lambda descriptor, data, offset: whole(
        descriptor, data[:1000], offset))
    targets = [Target(LOW, str(tmp_path / 'a.tmp'), '')]
    path = image(tmp_path / 'a.png')
    perform(Block(0, 0, [(path, None)], Crop('stretch', 0.75), targets))
    expected = noise(0).resize((LOW, LOW), Image.BICUBIC).tobytes()
    assert (tmp_path / 'a.tmp').read_bytes()[128:] == expected


@needs.dev_full
def test_a_full_disk_in_a_worker_is_told_as_such(tmp_path):
    targets = [Target(LOW, '/dev/full', str(tmp_path / 'a.npy'))]
    path = image(tmp_path / 'a.png')
    block = Block(0, 0, [(path, None)], Crop('stretch', 0.75), targets)
    with WorkerPool(perform, 1) as pool:
        with pytest.raises(OSError) as caught:
            list(pool.results(deque([block])))
    assert caught.value.errno == errno.ENOSPC
