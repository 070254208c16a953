"""scripts/environment.sh: what a lane's environment holds, and on which Pythons."""

import os
import re
import subprocess
import sys

import needs
import pytest
from toy import ROOT

FOLDER = os.path.join(ROOT, 'scripts', 'requirements')
LANES = {'tf1': ('tf1', 'test'), 'tf2': ('tf2', 'test'), 'docker': ('docker',)}


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding='utf-8') as stream:
        return stream.read()


def shell(text, **environment):
    """(exit code, output) of bash at the root of the repository, with no HOME."""
    done = subprocess.run([needs.program('bash'), '-c',
                           'set -euo pipefail; . scripts/environment.sh; ' + text], cwd=ROOT,
                          env=dict({'PATH': os.environ['PATH']}, **environment),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    return done.returncode, done.stdout.strip()


def wanted(extra):
    """[(package, what follows it)] of an extra of pyproject.toml and what it takes in."""
    text = read('pyproject.toml')
    body = re.search(rf'^{re.escape(extra)} = \[(.*?)\]$', text, re.M | re.S).group(1)
    found = []
    for requirement in re.findall(r'"([^"]+)"', body):
        inner = re.match(r'stackgan\[([\w,-]+)\]', requirement)
        if inner:
            for each in inner.group(1).split(','):
                found += wanted(each)
        else:
            found.append(re.match(r'([\w.-]+)(.*)', requirement).groups())
    return found


@pytest.mark.parametrize('name', sorted(os.listdir(FOLDER)))
def test_environments_are_pinned_and_hashed(name):
    blocks = re.findall(r'^[^\s#].*(?:\n[ \t].*)*', read('scripts', 'requirements', name), re.M)
    assert len(blocks) > 5
    for block in blocks:
        assert re.match(r'[\w.-]+==[^\s;]+', block) and '--hash=sha256:' in block, block


@pytest.mark.parametrize('lane', sorted(LANES))
def test_the_pinned_packages_are_those_of_pyproject(lane):
    """Whoever changes pyproject.toml runs scripts/lock-requirements."""
    text = read('scripts', 'requirements', lane + '.txt')
    pins = {}
    for name, version in re.findall(r'^([\w.-]+)==([^\s;]+)', text, re.M):
        pins.setdefault(name, set()).add(version)
    for extra in LANES[lane]:
        for name, rest in wanted(extra):
            if re.search({'tf1': r"version >= '3\.(8|12)'",
                          'tf2': r"version < '3\.8'"}.get(lane, '$^'), rest):
                continue
            if "sys_platform != 'linux'" in rest:            # the locks are for Linux
                continue
            assert name in pins, name
            exact = re.match(r'==([\w.]+)', rest)
            assert not exact or exact.group(1) in pins[name], (name, rest, pins[name])


@pytest.mark.parametrize('lane, version, file', [
    ('tf1', '3.7', 'tf1'), ('tf1', '3.8', ''), ('tf2', '3.8', ''), ('tf2', '3.9', 'tf2'),
    ('tf2', '3.12', 'tf2'), ('tf2', '3.13', 'tf2'), ('tf2', '3.14', ''),
    ('docker', '3.7', 'docker'), ('tools', '3.9', ''), ('tools', '3.11', 'tools'),
    ('none', '3.11', '')])
def test_a_lock_is_for_the_pythons_it_names(lane, version, file):
    if not sys.platform.startswith('linux'):
        pytest.skip('the locks are for Linux; elsewhere pyproject.toml is taken')
    expected = (0, f'scripts/requirements/{file}.txt') if file else (1, '')
    assert shell(f'lock_for {lane} {version}') == expected
    assert shell(f'lock_for {lane} {version}', STACKGAN_LOCK='off') == (1, '')


def test_a_python_of_another_name_is_found(tmp_path):
    """`python3` alone, as in many images; no HOME, no pyenv."""
    version = '%d.%d' % sys.version_info[:2]
    (tmp_path / 'python3').symlink_to(sys.executable)
    for name in ('bash', 'env'):
        (tmp_path / name).symlink_to(needs.program(name))
    code, found = shell(f'find_python {version}', PATH=str(tmp_path))
    assert (code, found) == (0, str(tmp_path / 'python3'))
    assert shell('find_python 3.99', PATH=str(tmp_path))[0] == 1


@pytest.mark.parametrize('lane', ['tf1', 'tf2', 'docker'])
def test_nothing_is_installed_without_a_hash_or_built_by_what_has_none(lane):
    """setuptools and wheel of the file come first, where it has them, and build the rest."""
    code, said = shell('pip_install() { echo "$*" | sed "s/ -r .*//"; '
                       'sed -n "s/==.*//p" "${@: -1}" | sort -u | wc -l; }; '
                       f'install_locked scripts/requirements/{lane}.txt')
    lines = said.splitlines()
    assert code == 0 and all('--no-deps --require-hashes' in line for line in lines[::2])
    assert lines[-2].endswith('--no-build-isolation') and int(lines[-1]) > 5
    assert lines[1:-2] == (['2'] if lane != 'docker' else [])
