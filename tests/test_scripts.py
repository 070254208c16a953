"""What the scripts take from elsewhere: no registry's host stands in the repository, Debian comes
from the machine's own sources, packages come by their hashes."""

import os
import re
import subprocess

import needs
import pytest
from toy import ROOT

REGISTRIES = re.compile(                       # `docker.io` alone is a package of Debian
    r'(debian|ubuntu|pypi|pythonhosted|npmjs|yarnpkg|anaconda|nodesource|snapcraft)\.(org|com|io)\b|'
    r'\bdocker\.(io/|com\b)|\b(ghcr|quay|gcr)\.io\b|\bmcr\.microsoft|ascendhub|\bnvcr\.', re.I)
ONE_LINE = '''# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb http://vendor.example/packages bookworm main
deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] %s bookworm main non-free  # tail
deb http://security.example/debian-security bookworm-security main
'''     # noqa: E501
DEB822 = '''Types: deb deb-src
# a comment in between
URIs: %s
 https://second.example/debian
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: https://off.example/debian
Suites: bookworm
Components: main
'''


def files():
    """Paths of the text files of the repository, from its root."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(('.venv', '.git', '.pytest'))
                      and name not in ('data', '__pycache__', 'images')]
        for name in names:
            if name.endswith(('.sh', '.py', '.md', '.toml', '.yaml', '.txt', 'Dockerfile', 'run',
                              'bench', 'lock-requirements', '.lock', '.example')):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


def shell(text, **environment):
    """(exit code, output, errors) of bash at the root of the repository."""
    needs.program('bash')
    done = subprocess.run(['bash', '-c', 'set -eu; . scripts/debian.sh; ' + text], cwd=ROOT,
                          env=dict({'PATH': os.environ['PATH']}, **environment),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    return done.returncode, done.stdout, done.stderr


def test_no_host_of_a_registry_stands_in_the_repository():
    found = []
    for name in files():
        if name == os.path.join('tests', 'test_scripts.py') or 'LICENSE' in name:
            continue
        with open(os.path.join(ROOT, name), encoding='utf-8', errors='replace') as stream:
            for number, line in enumerate(stream, 1):
                if REGISTRIES.search(line):
                    found.append('%s:%d: %s' % (name, number, line.strip()))
    assert not found


@pytest.mark.parametrize('name, text', [('sources.list', ONE_LINE),
                                        ('sources.list.d/debian.list', ONE_LINE),
                                        ('sources.list.d/debian.sources', DEB822),
                                        ('sources.list.d/debian.sources',
                                         DEB822.replace('\n', '\r\n').replace('Types', 'types'))])
@pytest.mark.parametrize('address', ['http://mirror.example/debian', 'file:/srv/debian',
                                     'https://mirror.example:8443/repository/linux'])
def test_the_mirror_is_that_of_the_machine(tmp_path, name, text, address):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((text % (address + '/')).encode())
    assert shell(f'debian_mirror {tmp_path}') == (0, address + '\n', '')
    assert shell(f'debian_mirror {tmp_path}', DEBIAN_MIRROR='http://own.example/debian') == (
        0, 'http://own.example/debian\n', '')


def test_a_list_of_mirrors_is_looked_up(tmp_path):
    (tmp_path / 'mirrors').write_text('# mine\nhttps://first.example/debian/\tpriority:1\n')
    (tmp_path / 'sources.list').write_text('deb mirror+file:%s stable main\n'
                                           % (tmp_path / 'mirrors'))
    assert shell(f'debian_mirror {tmp_path}')[1] == 'https://first.example/debian\n'


@pytest.mark.parametrize('text', ['', '# deb http://a.example/debian bookworm main\n',
                                  'deb cdrom:[Debian]/ bookworm main\n',
                                  'deb http://ubuntu.example/ubuntu jammy main universe\n',
                                  'deb http://a.example/debian bookworm contrib\n'])
def test_without_a_mirror_nothing_is_guessed(tmp_path, text):
    (tmp_path / 'sources.list').write_text(text)
    code, printed, error = shell(f'debian_mirror {tmp_path}')
    assert (code, printed) == (3, '') and 'set DEBIAN_MIRROR' in error


def test_archives_are_never_taken_unchecked(tmp_path):
    keys = tmp_path / 'keys.gpg'
    code, _, error = shell('debian_keyring', DEBIAN_KEYRING=str(keys))
    assert code == 3 and 'nothing is taken from an archive unchecked' in error
    keys.write_bytes(b'keys')
    assert shell('debian_keyring', DEBIAN_KEYRING=str(keys)) == (0, f'{keys}\n', '')
    for name in files():
        with open(os.path.join(ROOT, name), encoding='utf-8', errors='replace') as stream:
            text = stream.read().replace('\\\n', ' ')
        if name.startswith(('scripts', '.ci')):
            for line in re.findall(r'^ *debootstrap .*', text, re.M):
                assert '--keyring="$keyring"' in line and '--force-check-gpg' in line, line
            assert not re.search('no-check-gpg|allow-unauthenticated|trusted=yes|no-check-cert',
                                 text), name


@pytest.mark.parametrize('options, run, sample', [
    ([], 'painted-birds', '--config configs/painted-birds.yaml --data'),
    (['--config', 'smoke', '--set', 'stage1.epochs=3'], 'smoke',
     '--config smoke --set stage1.epochs=3 --data'),
    (['--config=configs/smoke.yaml', '--set=run.name=mine', '--until', 'embed'], 'mine',
     '--config configs/smoke.yaml --set run.name=mine --data')])
def test_the_demo_names_what_its_options_made(options, run, sample):
    """The script from where its way is settled, with `echo` for the interpreter."""
    with open(os.path.join(ROOT, 'scripts', 'demo.sh')) as stream:
        end = stream.read().partition('# The options may name')[2]
    code = 'set -euo pipefail\nlane=tf2 way=local data=data PYTHON=echo\n#' + end
    done = subprocess.run(['bash', '-c', code, 'demo.sh'] + options, stdout=subprocess.PIPE,
                          universal_newlines=True)
    assert done.returncode == 0 and f'report     data/runs/{run}/report/' in done.stdout
    assert f'-m jobs sample {sample} data ' in done.stdout


def test_the_entry_point_reads_what_cann_wrote_for_bash(tmp_path):
    """dash, which may be `sh`, ends at such a file."""
    needs.program('bash')
    cann, python = tmp_path / 'Ascend' / 'cann', tmp_path / 'venv' / 'bin' / 'python'
    for folder in (cann, python.parent):
        folder.mkdir(parents=True)
    (cann / 'set_env.sh').write_text(
        'home=$(dirname "${BASH_SOURCE[0]}")\n[[ $home == */cann ]] && export NNAE=$home\n')
    (tmp_path / 'venv' / 'versions').write_text('Python 3.7\n')
    python.write_text('#!/bin/sh\necho "$ASCEND_AICPU_PATH" "$@"\n')
    python.chmod(0o755)
    with open(os.path.join(ROOT, 'docker', 'entrypoint.sh')) as stream:
        text = stream.read().replace('/usr/local/Ascend', str(tmp_path / 'Ascend'))
    (tmp_path / 'stackgan').write_text(text.replace('/opt/venv', str(tmp_path / 'venv')))
    done = subprocess.run(['sh', str(tmp_path / 'stackgan'), 'sample', '--caption', 'a bird'],
                          stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f'{cann} -m jobs sample --caption a bird'
