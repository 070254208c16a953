"""Chains on a real Slurm: order, failures, cancelled and requeued jobs, and what `status` says."""

import json
import os
import re
import subprocess
import sys
import time

import needs
import pytest
import slurm_cluster
from needs import ROOT
from toy import tiny_config

from jobs.engine import slurm
from jobs.engine.chain import BY_NAME, until
from jobs.engine.submitting import Step, steps_of
from jobs.engine.sweeps import arrays, trials
from jobs.engine.sweeps.plan import nodes_of
from stackgan.config import load_config
from stackgan.files import files_below

SMOKE = os.path.join(ROOT, 'configs', 'smoke.yaml')
SMALL = ['resources.training.cores=1', 'resources.training.memory_gib=1',
         'resources.other.cores=1', 'resources.other.memory_gib=1', 'platform.threads=1']


@pytest.fixture(scope='module')
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp('slurm')
    try:
        yield slurm_cluster.start(folder)
    finally:
        slurm_cluster.stop(folder)


def jobs(cluster, volume, *words, settings=()):
    """Runs a command on smoke; returns (exit code, what it prints)."""
    command = [sys.executable, '-m', 'jobs'] + list(words) + ['--config', 'smoke', '--data', volume]
    for text in SMALL + list(settings):
        command += ['--set', text]
    done = subprocess.run(command, cwd=ROOT, env=cluster, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    return done.returncode, done.stdout


def numbers_of(volume):
    with open(os.path.join(volume, 'runs/smoke/slurm/submitted.json')) as stream:
        return json.load(stream)


def wait_until(holds, seconds=120):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def states(cluster):
    """{number: state} of the jobs that Slurm remembers."""
    lines = slurm_cluster.call(cluster, 'squeue', '--states=all', '-h', '-o', '%i %T').split('\n')
    return dict(line.split() for line in lines if line)


@pytest.mark.newest
@needs.slurm
def test_a_chain_in_its_order_then_nothing_to_do(cluster, tmp_path):
    volume = str(tmp_path)
    code, text = jobs(cluster, volume, 'submit', '--on', 'slurm', '--until', 'preprocess')
    assert code == 0 and text.count('submitted as Slurm job') == 2, text
    _, status = jobs(cluster, volume, 'status')
    assert 'queued' in status or 'running' in status, status
    last = numbers_of(volume)['preprocess']
    wait_until(lambda: states(cluster)[last] == 'COMPLETED')
    assert os.path.exists(os.path.join(volume, 'prepared/smoke/manifest.json'))
    code, text = jobs(cluster, volume, 'submit', '--on', 'slurm', '--until', 'preprocess')
    assert (code, text) == (0, 'submit: everything is up to date\n')


@pytest.mark.newest
@needs.slurm
def test_a_job_that_fails_cancels_what_needs_it(cluster, tmp_path):
    volume, bad = str(tmp_path), ['make_dataset=null', 'data.raw=nowhere']
    code, text = jobs(cluster, volume, 'submit', '--on', 'slurm', '--until', 'embed', settings=bad)
    assert code == 0, text
    numbers = numbers_of(volume)
    wait_until(lambda: states(cluster)[numbers['embed']] == 'CANCELLED')
    assert states(cluster)[numbers['preprocess']] == 'FAILED'
    code, text = jobs(cluster, volume, 'logs', 'preprocess', settings=bad)
    assert code == 0 and 'nowhere is missing' in text, text


@pytest.mark.newest
@needs.slurm
def test_an_interrupted_job_is_queued_again_and_resumes(cluster, tmp_path):
    volume = str(tmp_path)
    code, text = jobs(cluster, volume, 'submit', '--on', 'slurm', '--until', 'preprocess',
                      settings=['make_dataset.images=1200', 'data.shard_images=8'])
    assert code == 0, text
    number, folder = numbers_of(volume)['preprocess'], os.path.join(volume, 'prepared/smoke')
    wait_until(lambda: len(files_below(folder + '.partial')) > 12, 240)
    slurm_cluster.call(cluster, 'scancel', '--batch', '--signal=USR1', number)
    wait_until(lambda: os.path.exists(folder + '/log.txt'), 240)
    with open(folder + '/log.txt') as stream:
        text = stream.read()
    assert 'interrupted by' in text and 'resuming: ' in text, text


@pytest.mark.newest
@needs.slurm
def test_what_slurm_refuses_leaves_nothing_submitted(cluster, tmp_path):
    before = states(cluster)
    code, text = jobs(cluster, str(tmp_path), 'submit', '--on', 'slurm', '--until', 'preprocess',
                      settings=['resources.slurm_options=--partition=nowhere'])
    assert code == 1 and 'sbatch refuses make-dataset' in text, text
    assert set(states(cluster)) == set(before)


# A fake of Python for the tasks of a sweep, which logs what would run; one run's training fails.
FAKE_TASK = '''#!/bin/bash
shift 3
run=$(basename "${@: -1}" .yaml)
echo "$2 $run" >> {log}
if [ "$2 $run" = "train-stage1 smoke-epochs-2" ]; then exit 1; fi
'''


@pytest.mark.newest
@needs.slurm
def test_a_sweep_runs_as_arrays_whose_tasks_wait_for_those_they_read(cluster, tmp_path,
                                                                     monkeypatch):
    log, fake = tmp_path / 'log', tmp_path / 'python'
    fake.write_text(FAKE_TASK.replace('{log}', str(log)))
    fake.chmod(0o755)
    sweep = trials.make_sweep(
        'smoke', [{'stage1.epochs': epochs} for epochs in (1, 2, 3)],
        lambda given: load_config(SMOKE, SMALL + list(given)), str(tmp_path), None, 1)
    done = ('make-dataset', 'preprocess', 'train-text-encoder', 'train-scorer')
    planned = arrays.arrays_of(nodes_of(sweep, str(tmp_path)), lambda node: node.job.name in done)
    monkeypatch.setenv('SLURM_CONF', cluster['SLURM_CONF'])
    monkeypatch.setattr(sys, 'executable', str(fake))
    last = arrays.submit(planned, sweep, str(tmp_path), 2)[-1]
    queued = slurm.queued(sweep.trials[2].config, str(tmp_path))
    assert set(queued) == {'train-stage1', 'sample', 'score'}, queued       # none for embed
    assert all(re.match(r'Slurm job \d+_2 pending', text) for text in queued.values()), queued
    wait_until(lambda: states(cluster).get(last) == 'COMPLETED')
    lines = [line.split() for line in log.read_text().splitlines()]
    assert lines[0] == ['embed', 'smoke-epochs-1'] and lines[-1][0] == '--name'  # of the report
    names = [(job, run[-1]) for job, run in lines[1:-1]]
    assert sorted(names) == sorted([('train-stage1', '1'), ('train-stage1', '2'),
                                    ('train-stage1', '3'), ('sample', '1'), ('sample', '3'),
                                    ('score', '1'), ('score', '3')])
    for run in '13':
        assert all(names.index(('train-stage1', run)) < names.index((job, run))
                   for job in ('sample', 'score'))


# A fake of Python for the workers of a training: they meet, and at first wait for a stop.
FAKE_WORKER = '''#!{python}
import os, signal, sys, time
sys.path.insert(0, {root!r})
from stackgan.platforms.rendezvous import from_environment
from stackgan.platforms.worker_channel import Follower
from stackgan.platforms.worker_leader import Leader
signal.signal(signal.SIGTERM, lambda *more: os._exit(130))
place = from_environment(os.environ)
with open({log!r} + '.%d' % place.rank, 'a') as stream:
    stream.write('%d of %d on %s\\n' % (place.rank, place.size, os.environ['SLURMD_NODENAME']))
channel = (Follower if place.rank else Leader)(place, 60.0, '')
channel.gather()
if os.environ.get('SLURM_RESTART_COUNT', '0') == '0':
    time.sleep(300)
if place.rank == 0:
    channel.end(0)
channel.wait_for_end() if place.rank else sys.exit(0)
'''


@pytest.mark.newest
@needs.slurm
def test_workers_on_two_nodes_meet_stop_together_and_are_queued_again(cluster, tmp_path,
                                                                      monkeypatch):
    log, fake = tmp_path / 'log', tmp_path / 'python'
    fake.write_text(FAKE_WORKER.format(python=sys.executable, root=ROOT, log=str(log)))
    fake.chmod(0o755)
    config = load_config(SMOKE, SMALL + ['platform.workers=2',
                                         'resources.slurm_options=--nodes=2'])
    monkeypatch.setenv('SLURM_CONF', cluster['SLURM_CONF'])
    monkeypatch.setattr(sys, 'executable', str(fake))
    step = Step(BY_NAME['train-stage1'], [], config.resources.training)
    number = slurm.submit([step], config, str(tmp_path), [], [])['train-stage1']

    def lines():
        return ['\n'.join(path.read_text().splitlines()) for path in sorted(tmp_path.glob('log.*'))]

    wait_until(lambda: lines() == ['0 of 2 on n1', '1 of 2 on n2'])
    slurm_cluster.call(cluster, 'scancel', '--batch', '--signal=USR1', number)
    wait_until(lambda: states(cluster)[number] == 'COMPLETED')
    assert [text.count('of 2 on') for text in lines()] == [2, 2]


def test_a_script_asks_for_what_the_configuration_says(tmp_path):
    config = tiny_config('resources.training.cards=2', 'resources.training.hours=1.5',
                         'resources.slurm_options=--partition=gpu --comment="a b"')
    steps = {step.job.name: step for step in steps_of(
        until('train-stage1', config, str(tmp_path)), config, str(tmp_path))}
    assert steps['train-stage1'].after == ['preprocess', 'embed']
    text = slurm.script_of(steps['train-stage1'], config, str(tmp_path), ['--set', 'a b'], True)
    for words in ('--gres=gpu:2', '--time=90', '--partition=gpu', "'--comment=a b'",
                  "--set 'a b' $", '--requeue'):
        assert words in text, text
    plain = slurm.script_of(steps['preprocess'], config, str(tmp_path), [])
    assert '--gres' not in plain and 'anew' not in plain
    assert subprocess.run(['bash', '-n'], input=text, universal_newlines=True).returncode == 0
    several = slurm.script_of(steps['train-stage1'], tiny_config(
        'platform.workers=2', 'stage1.batch_size=4', 'resources.training.cards=1',
        'resources.training.cores=6', 'resources.training.memory_gib=10'), str(tmp_path), [])
    for words in ('--ntasks=2', 'gpus-per-task=2', '--mem-per-cpu=4096M', '\nsrun '):
        assert words in several, several
    auto = slurm.script_of(steps['train-stage1'], tiny_config('platform.workers=auto'),
                           str(tmp_path), [])
    assert '--ntasks=1' in auto and 'srun' not in auto
    assert set(steps) <= set(BY_NAME)
