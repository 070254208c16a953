"""`clean` removes the outputs that are named, whatever docker can or cannot do, and says it."""

import os

import pytest

from jobs.engine import compose
from jobs.engine.command_line import main
from stackgan.errors import ConfigError, MissingRequirement

CONFIG = "*' config '*) echo '{\"name\": \"x\", \"services\": {}}';; "
HELP = 'Run docker --help for more information'
# What a `docker` on PATH does with its words; others than Compose and an engine have other words.
CLIENTS = {
    'no plugin': (f"*) echo 'docker: unknown command: docker compose' >&2; echo '{HELP}' >&2; "
                  'exit 1;;', 0,
                  'no containers: docker has no Compose v2 (docker: unknown command'),
    'no plugin, before 23': (f"*compose*) echo 'unknown flag: --profile' >&2; echo '{HELP}' >&2; "
                             "exit 125;;", 0, 'no containers: docker has no Compose v2'),
    'another language': ("*) echo 'Unbekannter Befehl' >&2; exit 1;;", 0,
                         'no containers: docker has no Compose v2 (Unbekannter Befehl)'),
    'no engine': (CONFIG + "*) echo 'Cannot connect to the daemon' >&2; exit 1;;", 0,
                  'no containers: the Docker engine does not answer (Cannot connect'),
    'no project': ("*) echo 'no json';;", 0, 'no containers: docker compose config gives no'),
    'says nothing': ('*) exit 1;;', 0, 'docker has no Compose v2 (no output)'),
    'a failure': (CONFIG + f"*' down '*) echo 'network busy' >&2; echo '{HELP}' >&2; exit 1;; "
                  "*) echo 28.2;;", 2,
                  'the containers were not removed: docker compose --profile * down '
                  '--remove-orphans: network busy'),
    'all is well': (CONFIG + '*) echo 28.2;;', 0, 'removed the containers of the project'),
}


@pytest.fixture
def output(tmp_path, monkeypatch):
    """The options of a volume that holds an output of make-dataset, finished and unfinished."""
    def pretend(client):
        path = tmp_path / 'bin' / 'docker'
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\ncase " $* " in {client} esac\n')
        path.chmod(0o755)
        monkeypatch.setenv('PATH', str(path.parent))
    for name in ('smoke', 'smoke.partial', 'smoke.partial.copy', 'smoke.previous'):
        (tmp_path / 'volume' / 'raw' / name).mkdir(parents=True)
        (tmp_path / 'volume' / 'raw' / name / 'file').write_text('x')
    return pretend, str(tmp_path / 'volume' / 'raw'), ['--config', 'smoke', '--data',
                                                       str(tmp_path / 'volume')]


@pytest.mark.parametrize('name', sorted(CLIENTS))
def test_outputs_go_whatever_docker_does(output, capsys, name):
    pretend, folder, words = output
    client, code, said = CLIENTS[name]
    pretend(client)
    assert main(['clean'] + words) == code
    assert sorted(os.listdir(folder)) == ['smoke', 'smoke.partial', 'smoke.partial.copy',
                                          'smoke.previous']
    capsys.readouterr()
    assert main(['clean', 'make-dataset'] + words) == code
    out, err = capsys.readouterr()
    assert said in (out if code == 0 else err) and HELP not in out + err
    assert os.listdir(folder) == ['smoke.lock']


def test_a_chain_in_containers_says_what_is_missing(output, monkeypatch):
    pretend, _, _ = output
    pretend(CLIENTS['no plugin'][0])
    with pytest.raises(MissingRequirement, match='no Compose v2'):
        compose.Project({})
    pretend(f"*version*) echo v2;; *) echo 'services.x: bad' >&2; echo '{HELP}' >&2; exit 15;;")
    with pytest.raises(ConfigError, match='services.x: bad$'):
        compose.Project({})
