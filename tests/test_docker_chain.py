"""Choosing between containers and this machine, and what can go wrong with an engine, without one.

With a real engine: test_containers.py.
"""

import os
import shutil
import subprocess
import sys

import pytest
from docker.errors import APIError
from toy import ROOT
from urllib3.exceptions import ProtocolError

from jobs.engine import chain, docker_runner
from jobs.engine.command_line import main
from jobs.engine.compose import variables
from stackgan.config import load_config
from stackgan.errors import MissingRequirement, StackganError

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

    name = 'stackgan-embed-1'

    def __init__(self, code=0, out_of_memory=False, dies=False, refused=None, status='created',
                 number=1):
        self.code, self.dies, self.refused, self.status = code, dies, refused, status
        self.attrs = {'State': {'OOMKilled': out_of_memory}}
        self.removed = self.started = False
        self.labels = {'com.docker.compose.container-number': str(number)}

    def start(self):
        self.started = True
        if self.refused:
            raise APIError('500 Server Error', explanation=self.refused)

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
    """Stands for jobs.engine.compose.Project."""

    services = {'embed': {'stop_grace_period': '5m0s'}}

    def call(self, *arguments):
        assert arguments[0] == 'up' and '--no-deps' in arguments


def run_service(monkeypatch, **facts):
    container = FakeContainer(**facts)
    monkeypatch.setattr(docker_runner, 'containers_of', lambda *arguments: [container])
    return docker_runner.run_service(None, FakeProject(), 'embed'), container


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


def test_the_first_of_several_containers_is_shown_and_all_are_removed(monkeypatch, capsys):
    containers = [FakeContainer(code=1, number=number) for number in (2, 10, 1)]
    containers[2].code = 3
    monkeypatch.setattr(docker_runner, 'containers_of', lambda *arguments: containers)
    assert docker_runner.run_service(None, FakeProject(), 'embed') == 3
    assert all(each.started and each.removed for each in containers)
    assert capsys.readouterr().out == 'a line\n'


def test_an_engine_that_goes_away_is_explained(monkeypatch):
    with pytest.raises(MissingRequirement, match='went away during embed .*what is done is kept'):
        run_service(monkeypatch, dies=True)


def test_what_the_engine_refuses_is_told(monkeypatch):
    with pytest.raises(StackganError, match='embed: the Docker engine refuses: unknown runtime'):
        run_service(monkeypatch, refused='unknown runtime specified ascend')


def test_a_job_that_runs_already_is_left_alone(monkeypatch):
    with pytest.raises(StackganError, match='already runs, in container stackgan-embed-1'):
        run_service(monkeypatch, status='running')


def test_without_the_sdk(monkeypatch):
    """The repository has a folder `docker`, which Python takes for a package."""
    monkeypatch.setitem(sys.modules, 'docker', type(sys)('docker'))
    with pytest.raises(MissingRequirement, match='SDK is not installed'):
        docker_runner.connect()


def test_what_containers_do_not_see(tmp_path):
    raw = tmp_path / 'elsewhere'
    raw.mkdir()
    arguments = ['run', '--config', 'folder', '--data', str(tmp_path / 'volume'), '--set',
                 f'data.raw={raw}', '--until', 'preprocess']
    done = call(*arguments)
    assert f'run: local, because {raw} is outside of the volume' in done.stdout
    volume = tmp_path / 'volume'
    (volume / 'raw' / 'mine').mkdir(parents=True)

    def hidden(path):
        config = load_config(ROOT + '/configs/folder.yaml', [f'data.raw={path}'])
        jobs = chain.until('preprocess', config, str(volume))
        return docker_runner.out_of_sight(jobs, config, str(volume))

    assert hidden('raw/mine') is hidden('raw/missing') is hidden('/data/raw/mine') is None
    assert hidden(volume / 'raw/mine').endswith('relative to the volume: raw/mine')
    assert hidden('../elsewhere').endswith('is a link out of the volume')
    (volume / 'raw' / 'inner').symlink_to(volume / 'raw' / 'mine')
    (volume / 'raw' / 'outer').symlink_to(raw)
    assert hidden('raw/inner') is None and 'raw/outer is a link out' in hidden('raw/outer')
    (volume / 'raw' / 'mine' / 'images').symlink_to(raw)
    assert 'raw/mine/images is a link out' in hidden('raw/mine')
    shutil.rmtree(str(volume / 'prepared'))
    (volume / 'prepared').symlink_to(raw)                       # an output on another disk
    assert '/prepared/' in hidden('raw/missing')
    assert hidden('raw/missing').endswith('is a link out of the volume')


def test_the_user_and_project_of_a_run(tmp_path, monkeypatch):
    monkeypatch.delenv('STACKGAN_UID', raising=False)
    monkeypatch.delenv('COMPOSE_PROJECT_NAME', raising=False)
    one, two = [variables('configs/smoke.yaml', [], str(tmp_path / name)) for name in 'ab']
    assert one['COMPOSE_PROJECT_NAME'] != two['COMPOSE_PROJECT_NAME']
    assert one.get('STACKGAN_UID') == (str(os.getuid()) if os.getuid() else None)
    if os.getuid() == 0:
        (tmp_path / 'a').mkdir()
        os.chown(str(tmp_path / 'a'), 4321, 8765)
        found = variables('configs/smoke.yaml', [], str(tmp_path / 'a'))
        assert (found['STACKGAN_UID'], found['STACKGAN_GID']) == ('4321', '8765')


def test_durations_of_compose():
    assert [docker_runner._seconds(text) for text in ('5m0s', '1h2m3s', '10s')] == [300, 3723, 10]


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
    assert os.listdir(str(tmp_path / 'raw')) == ['smoke.lock']     # whoever waits for it holds it
