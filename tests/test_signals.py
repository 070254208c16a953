"""Being asked to stop by SIGINT, SIGTERM or SIGHUP, alone or several, or told to ignore it."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque

import pytest
from test_contract import make_job, run
from toy import ROOT, heed

from jobs.engine.signals import Stop
from stackgan.data.worker_pool import WorkerPool
from stackgan.errors import Interrupted

JOB = """
import sys, time
sys.path[:0] = [%r, %r]
from test_contract import make_job, run
def body(work):
    with work.stop.deferred():
        print('ready', flush=True)
        for _ in range(%d):
            time.sleep(0.05)
            if work.stop.requested:
                open(work.folder + '/saved', 'w').close()
                from stackgan.errors import Interrupted
                raise Interrupted('a signal')
sys.exit(run(make_job(body=body), sys.argv[1]))
"""
# What `run` starts: -m jobs finds it in the working directory.
CHILD = """
import signal, sys, time
def note(number, frame):
    open('got', 'a').write(signal.Signals(number).name)
    sys.exit(130)
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, note)
print('ready', flush=True)
time.sleep(600)
"""


def start(code, *arguments, **how):
    how['preexec_fn'] = how.get('preexec_fn') or heed
    process = subprocess.Popen([sys.executable, '-c', code] + list(arguments),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               universal_newlines=True, **how)
    assert process.stdout.readline() == 'ready\n'
    return process


def job(volume, rounds, **how):
    return start(JOB % (ROOT, os.path.join(ROOT, 'tests'), rounds), str(volume), **how)


def ignoring(*numbers):
    """What nohup does before it starts a program."""
    def ignore():
        heed()
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
    return ignore


@pytest.mark.parametrize('numbers', [
    [signal.SIGHUP], [signal.SIGTERM], [signal.SIGHUP, signal.SIGHUP],
    [signal.SIGTERM, signal.SIGHUP, signal.SIGTERM], [signal.SIGHUP, signal.SIGTERM]])
def test_a_job_that_is_asked_to_stop_saves_and_leaves(tmp_path, numbers):
    process = job(tmp_path, 10000)
    for number in numbers:
        process.send_signal(number)
    text = process.communicate()[0]
    assert process.returncode == 130 and 'interrupted by a signal' in text
    assert os.path.exists(str(tmp_path / 'out.partial' / 'saved'))


@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGTERM])
def test_what_a_process_was_started_to_ignore_stays_ignored(tmp_path, number):
    process = job(tmp_path, 20, preexec_fn=ignoring(number))
    process.send_signal(number)
    text = process.communicate()[0]
    assert process.returncode == 0 and 'done in' in text


def test_ctrl_c_stops_a_background_job_of_a_shell(tmp_path):
    process = job(tmp_path, 10000, preexec_fn=ignoring(signal.SIGINT))
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130


def test_a_job_in_a_thread_heeds_none(tmp_path):
    """Whose program this is in has handlers of its own."""
    codes, before = [], signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: codes.append(run(make_job(), tmp_path)))
    thread.start()
    thread.join()
    assert codes == [0] and signal.getsignal(signal.SIGTERM) == before


def test_only_ctrl_c_is_impatient():
    stop = Stop()
    with stop.deferred():
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            stop._receive(number, None)
        with pytest.raises(Interrupted, match='SIGINT'):
            stop._receive(signal.SIGINT, None)
    with pytest.raises(Interrupted, match='SIGHUP'):
        Stop()._receive(signal.SIGHUP, None)


@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize('nohup', [False, True])
def test_run_hands_on_what_it_is_asked(tmp_path, number, nohup):
    (tmp_path / 'jobs').mkdir()
    (tmp_path / 'jobs' / '__init__.py').write_text('')
    (tmp_path / 'jobs' / '__main__.py').write_text(CHILD)
    code = (f'import sys; sys.path.insert(0, {ROOT!r})\nfrom jobs.engine import chain\n'
            'sys.exit(chain._run_process("x", []))')
    process = start(code, cwd=str(tmp_path),
                    preexec_fn=ignoring(number) if nohup else None)
    process.send_signal(number)
    if nohup:
        process.send_signal(signal.SIGTERM if number == signal.SIGHUP else signal.SIGHUP)
        number = signal.SIGTERM if number == signal.SIGHUP else signal.SIGHUP
    process.communicate()
    assert process.returncode == 130
    assert (tmp_path / 'got').read_text() == signal.Signals(number).name


def test_workers_leave_a_closed_terminal_to_the_process_that_started_them():
    with WorkerPool(abs, 2) as pool:
        for process, _ in pool.workers:
            os.kill(process.pid, signal.SIGHUP)
            os.kill(process.pid, signal.SIGINT)
        assert sorted(pool.results(deque([-1, -2, -3]))) == [1, 2, 3]
