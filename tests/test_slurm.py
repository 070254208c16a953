"""Chains on a real Slurm: order, failures, cancelled and requeued jobs, and what `status` says."""

import json
import os
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
from jobs.engine.submitting import steps_of
from stackgan.files import files_below

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


@needs.slurm
def test_what_slurm_refuses_leaves_nothing_submitted(cluster, tmp_path):
    before = states(cluster)
    code, text = jobs(cluster, str(tmp_path), 'submit', '--on', 'slurm', '--until', 'preprocess',
                      settings=['resources.slurm_options=--partition=nowhere'])
    assert code == 1 and 'sbatch refuses make-dataset' in text, text
    assert set(states(cluster)) == set(before)


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
    assert set(steps) <= set(BY_NAME)
