"""Chains that were submitted to Kubernetes, on a fake of its API (tests/fakes/kubernetes_api.py).

kubectl is a fake too, which sends what it is told to that server; there is no cluster here.
"""

import json
import os
import subprocess
import sys

import pytest
import yaml
from needs import ROOT

from jobs.engine import kubernetes, kubernetes_queue
from jobs.engine.chain import until
from jobs.engine.command_line import main
from stackgan.config import load_config

FAKES = os.path.join(ROOT, 'tests', 'fakes')
FOUR = ['platform.workers=4']
KINDS = ['configmaps', 'jobs', 'networkpolicies', 'persistentvolumeclaims']


@pytest.fixture
def api(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(FAKES)
    from kubernetes_api import FakeKubernetes
    program = tmp_path / 'bin' / 'kubectl'
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKES}/kubectl "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', str(program.parent), prepend=os.pathsep)
    found = FakeKubernetes()
    monkeypatch.setenv('FAKE_KUBERNETES', found.address)
    yield found
    found.close()


class Commands:
    """Runs commands on smoke, up to Stage-I."""

    def __init__(self, volume, capsys):
        self.volume, self.capsys = volume, capsys

    def __call__(self, *words, settings=()):
        more = ['--until', 'train-stage1'] if words[0] == 'submit' else []
        code = main(list(words) + more + ['--config', 'smoke', '--data', self.volume] + [
            word for text in settings for word in ('--set', text)])
        shown = self.capsys.readouterr()
        return code, shown.out + shown.err

    def submit(self, settings=()):
        code, text = self('submit', '--on', 'kubernetes', settings=settings)
        assert code == 0, text
        return text

    def status(self):
        """{job: rest of its line}."""
        code, text = self('status')
        assert code == 0
        return dict(line.split(None, 1) for line in text.splitlines()[2:])


@pytest.fixture
def commands(tmp_path, capsys):
    return Commands(str(tmp_path / 'volume'), capsys)


def job_of(api):
    return next(name for kind, name in api.objects if kind == 'jobs')


@pytest.mark.parametrize('settings, more', [([], []), (FOUR, ['services'])])
def test_what_is_created_is_what_is_printed(api, commands, settings, more):
    commands.submit(settings)
    assert sorted(kind for kind, _ in api.objects) == sorted(KINDS + more)
    config = load_config(os.path.join(ROOT, 'configs', 'smoke.yaml'), list(settings))
    wanted = kubernetes.manifests(until('train-stage1', config, commands.volume), config)
    for each in yaml.safe_load_all(kubernetes.text_of(wanted)):
        found = next(other for (_, name), other in api.objects.items()
                     if name == each['metadata']['name'] and other['kind'] == each['kind'])
        assert {key: found[key] for key in each if key != 'metadata'} == {
            key: value for key, value in each.items() if key != 'metadata'}
        assert found['metadata']['labels'] == each['metadata']['labels']


def test_a_second_one_changes_nothing_and_cannot_be_created(api, commands):
    commands.submit()
    before = json.dumps(sorted(map(str, api.objects.items())))
    assert 'unchanged' in commands.submit() and 'created' not in commands.submit()
    assert json.dumps(sorted(map(str, api.objects.items()))) == before
    manifest = dict(api.objects['jobs', job_of(api)])
    done = subprocess.run(['kubectl', 'create', '-f', '-'], input=yaml.safe_dump(manifest),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 1 and 'AlreadyExists' in done.stderr
    commands.submit(['train.batch_size=16'])               # another Job beside the first
    assert sum(kind == 'jobs' for kind, _ in api.objects) == 2


def test_one_that_is_over_is_removed_and_created_again(api, commands):
    commands.submit()
    name = job_of(api)
    api.start_pods(name)
    first = api.objects['jobs', name]['metadata']['uid']
    api.end(name, 'Failed', 'BackoffLimitExceeded')
    text = commands.submit()
    assert f'job/{name} created' in text
    assert api.objects['jobs', name]['metadata']['uid'] != first
    assert not [kind for kind, _ in api.objects if kind == 'pods']
    assert ('DELETE', f'/apis/batch/v1/namespaces/default/jobs/{name}') in api.requests


def test_status_and_logs_of_a_chain(api, commands):
    assert commands.status()['preprocess'].startswith('waiting')
    commands.submit()
    name = job_of(api)
    code, text = commands('logs', 'preprocess')
    assert code == 2 and f'preprocess has not begun in the Kubernetes job {name}' in text
    pod, = api.start_pods(name)
    api.objects['pods', pod]['status']['conditions'] = [
        {'type': 'PodScheduled', 'status': 'False', 'message': '0/3 nodes are available'}]
    assert commands.status()['make-dataset'].split(None, 2)[::2] == [
        'queued', f'Kubernetes job {name}: 0/3 nodes are available']
    api.objects['pods', pod]['status']['conditions'] = []
    api.run(pod, 'make-dataset', 0, 'make-dataset: done\n')
    api.run(pod, 'preprocess', log='preprocess  23%\n')
    found = commands.status()
    assert found['make-dataset'].split(None, 2)[::2] == [
        'done', f'Kubernetes job {name}; the output is on the claim stackgan-data']
    assert found['preprocess'].split(None, 2)[::2] == ['running', f'Kubernetes job {name}']
    assert found['train-stage1'].startswith('queued')
    assert found['score'].startswith('waiting')            # was not submitted
    assert commands('logs', 'make-dataset') == (0, 'make-dataset: done\n')
    assert commands('logs', 'preprocess') == (0, 'preprocess  23%\n')
    code, text = commands('logs', 'score')
    assert code == 2 and 'score has not begun' in text


def test_status_of_a_chain_that_failed(api, commands):
    commands.submit()
    name = job_of(api)
    pod, = api.start_pods(name)
    api.run(pod, 'make-dataset', 0)
    api.run(pod, 'preprocess', 2, 'preprocess: error: bad image\n')
    assert commands.status()['preprocess'].split(None, 2)[::2] == [
        'failed', f'Kubernetes job {name}, exit code 2']
    api.end(name, 'Failed', 'PodFailurePolicy', 'Container preprocess failed with exit code 2')
    found = commands.status()
    assert found['make-dataset'].startswith('done')
    assert found['preprocess'].split(None, 2)[2] == (
        f'Kubernetes job {name}: PodFailurePolicy Container preprocess failed with exit code 2')
    assert found['train-stage1'].startswith('waiting')     # nothing of the cluster's
    assert 'bad image' in commands('logs', 'preprocess')[1]


def test_a_replaced_pod_and_that_of_worker_0_are_looked_at(api, commands):
    commands.submit(FOUR)
    name = job_of(api)
    first = api.start_pods(name)
    assert len(first) == 4
    api.run(first[0], 'make-dataset', 1, 'evicted\n')
    second = api.start_pods(name)
    api.run(second[0], 'make-dataset', log='again\n')
    api.run(second[3], 'make-dataset', 0, 'not the first\n')
    assert commands.status()['make-dataset'].startswith('running')
    assert commands('logs', 'make-dataset') == (0, 'again\n')


def test_a_run_that_is_gone_or_a_cluster_that_does_not_answer(api, commands, monkeypatch):
    commands.submit()
    api.delete('jobs', job_of(api))
    assert commands.status()['make-dataset'].startswith('missing')
    code, text = commands('logs', 'make-dataset')
    assert code == 2 and 'make-dataset has not run' in text
    monkeypatch.setenv('FAKE_KUBERNETES', 'http://127.0.0.1:1')
    assert commands.status()['make-dataset'].startswith('missing')
    code, text = commands('logs', 'make-dataset')
    assert code == 1 and 'kubectl refuses' in text


def test_a_record_of_someone_else_names_no_option(api, commands, monkeypatch):
    commands.submit()
    config = load_config(os.path.join(ROOT, 'configs', 'smoke.yaml'), [])
    path = os.path.join(commands.volume, 'runs/smoke/kubernetes/submitted.json')
    for content in ('{"job": "--all"}', '[]', '{"job": 3}', 'x'):
        with open(path, 'w') as stream:
            stream.write(content)
        asked = len(api.requests)
        assert kubernetes_queue.states(config, commands.volume) == {}
        assert len(api.requests) == asked
