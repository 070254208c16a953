"""What this machine lacks makes tests skip, with a reason; nothing fails for want of it."""

import os
import re

import needs
import pytest
import reader
from toy import ROOT

# Debian's docker.io without docker-compose: it shows its own help for a command that it has not.
CLIENT = '''#!/bin/sh
case "$*" in *--help) echo "Usage:  docker [OPTIONS] COMMAND" ;;
*) echo "docker: unknown command: docker $1" >&2; exit 1 ;; esac
'''


@pytest.fixture
def client(tmp_path, monkeypatch):
    """PATH with nothing but a Docker client without plugins, and `sh`."""
    (tmp_path / 'docker').write_text(CLIENT)
    (tmp_path / 'docker').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    needs.has_compose.cache_clear()
    yield tmp_path
    needs.has_compose.cache_clear()


def test_a_docker_client_without_compose_is_none(client):
    assert not needs.has_compose()
    reader._check_options('up', ['--no-such-option'])            # nobody here to ask
    os.unlink(str(client / 'docker'))
    needs.has_compose.cache_clear()
    assert not needs.has_compose()


def test_a_program_that_is_not_here_is_named(client):
    with pytest.raises(pytest.skip.Exception, match='no program sed on PATH; install it'):
        reader._call(['sed', '-n', 'p'])


def test_one_place_knows_what_a_machine_may_lack():
    """Files of tests neither look for programs nor skip by themselves."""
    own = ('shutil.which(', "environ.get('STACKGAN_TEST_ENGINE", "environ.get('STACKGAN_OTHER",
           "environ.get('STACKGAN_SHARED", "['mount'", "['git'", "['tar'", "['cp'", "['node'")
    found = []
    for name in sorted(os.listdir(os.path.join(ROOT, 'tests'))):
        if name.endswith('.py') and name not in ('needs.py', os.path.basename(__file__)):
            with open(os.path.join(ROOT, 'tests', name), encoding='utf-8') as stream:
                text = stream.read()
            if 'needs.program(' in text or 'needs.mounted(' in text:     # asked before it is used
                continue
            found += [f'{name}: {part}' for part in own if part in text]
    assert not found


def test_reasons_say_how_to_get_it():
    """Each reason of a skip names a remedy."""
    with open(os.path.join(ROOT, 'tests', 'needs.py'), encoding='utf-8') as stream:
        text = re.sub(r"'\s+'", '', stream.read())
    reasons = re.findall(r"(?:reason=|skip\()\s*'([^']+)'", text)
    assert len(reasons) >= 7
    for reason in reasons:
        assert re.search('install|mount|makes|names|scripts/test.sh|root', reason), reason
