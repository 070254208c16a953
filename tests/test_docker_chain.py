"""Choosing between containers and this machine, and what can go wrong with an engine, without one.

With a real engine: test_containers.py.
"""

import os
import subprocess
import sys

import pytest
from toy import ROOT
from urllib3.exceptions import ProtocolError

from jobs import docker_chain
from jobs.command_line import main
from stackgan.errors import MissingRequirement

NO_ENGINE = {'DOCKER_HOST': 'unix:///nowhere/docker.sock'}


def call(*arguments, **environment):
    return subprocess.run([sys.executable, '-m', 'jobs'] + list(arguments), cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, env=dict(os.environ, **environment))


def test_without_an_engine_the_chain_runs_here_and_says_why(tmp_path):
    arguments = ['run', '--config', 'smoke', '--data', str(tmp_path), '--until', 'make-dataset']
    done = call(*arguments, **NO_ENGINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('run: local, because no Docker engine answers')
    assert 'make-dataset: done' in done.stdout
    done = call(*arguments + ['--on', 'docker'], **NO_ENGINE)
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1
    assert 'no Docker engine answers' in done.stderr and 'run with --on local' in done.stderr


class FakeContainer:
    """Stands for a container of the SDK; its engine may die while it is waited for."""

    def __init__(self, code=0, out_of_memory=False, dies=False):
        self.code, self.dies = code, dies
        self.attrs = {'State': {'OOMKilled': out_of_memory}}
        self.removed = False

    def start(self):
        pass

    def logs(self, stream, follow):
        if self.dies:
            raise ProtocolError('connection broken')
        return iter([b'a line\n'])

    def wait(self):
        if self.dies:
            raise ProtocolError('connection broken')
        return {'StatusCode': self.code}

    def reload(self):
        pass

    def remove(self, force):
        self.removed = True


class FakeProject:
    """Stands for jobs.compose.Project."""

    services = {'embed': {'stop_grace_period': '5m0s'}}

    def call(self, *arguments):
        assert arguments[0] == 'up' and '--no-deps' in arguments


def run_service(monkeypatch, **facts):
    container = FakeContainer(**facts)
    monkeypatch.setattr(docker_chain, 'container_of', lambda *arguments: container)
    return docker_chain.run_service(None, FakeProject(), 'embed'), container


@pytest.mark.parametrize('facts, code, text', [
    ({}, 0, ''),
    ({'code': 3}, 3, ''),
    ({'code': 137}, 1, 'embed: error: killed by signal 9'),
    ({'code': 137, 'out_of_memory': True}, 1, 'raise STACKGAN_MEMORY'),
    ({'code': 127}, 1, '')])
def test_exit_codes(monkeypatch, capsys, facts, code, text):
    ended, container = run_service(monkeypatch, **facts)
    shown = capsys.readouterr()
    assert ended == code and container.removed
    assert shown.out == 'a line\n' and text in shown.err and bool(text) == bool(shown.err)


def test_an_engine_that_goes_away_is_explained(monkeypatch):
    with pytest.raises(MissingRequirement, match='went away while embed ran .*what is done is kept'):
        run_service(monkeypatch, dies=True)


def test_durations_of_compose():
    assert [docker_chain._seconds(text) for text in ('5m0s', '1h2m3s', '10s')] == [300, 3723, 10]


def test_settings_of_the_environment(tmp_path):
    done = call('sample', '--dry-run', '--config', 'smoke', '--data', str(tmp_path), '--set',
                'sample.seed=4', STACKGAN_SET="'sample.seed=3' stage1.epochs=7")
    assert 'seed: 4' in done.stdout and 'epochs: 7' in done.stdout
    done = call('status', STACKGAN_SET="'half")
    assert done.returncode == 2 and 'STACKGAN_SET=' in done.stderr


def test_logs_and_clean(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))                     # no docker here
    common = ['--config', 'smoke', '--data', str(tmp_path)]
    assert main(['logs', 'make-dataset'] + common) == 2
    assert 'make-dataset has not run in' in capsys.readouterr().err
    assert main(['make-dataset'] + common) == 0
    capsys.readouterr()
    assert main(['logs', 'make-dataset'] + common) == 0
    assert 'done in' in capsys.readouterr().out
    assert main(['clean'] + common) == 0
    assert (tmp_path / 'raw' / 'smoke').exists() and 'no containers' in capsys.readouterr().out
    assert main(['clean', 'make-dataset', 'preprocess'] + common) == 0
    assert 'preprocess has no output' in capsys.readouterr().out
    assert list((tmp_path / 'raw').iterdir()) == []
