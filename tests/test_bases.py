"""scripts/configure.sh and docker/bases.lock, with a Docker client that has two lists of images."""

import os
import shutil
import subprocess
import sys

import needs
import pytest
from toy import ROOT

NAME = 'python:3.7-slim-bookworm'
FIRST, SECOND, OWN = ['sha256:' + letter * 64 for letter in 'abc']
# Reads `here` (NAME ID DIGEST-or-dash) and `registry` (NAME DIGEST) beside it.
CLIENT = f'''#!{sys.executable} -SE
import os, sys
folder = os.path.dirname(os.path.abspath(__file__))
read = lambda name: [line.split() for line in open(os.path.join(folder, name))]
words, name = sys.argv[1:], sys.argv[-1]
plain, _, digest = name.partition('@')
if words[:2] == ['image', 'inspect']:
    for each, image, known in read('here'):
        if each == plain and digest in ('', known):
            if '.Id' in words[3] if words[2] == '--format' else '':
                print(image)
            elif known != '-':
                print(each.split(':')[0] + '@' + known)
            sys.exit(0)
    sys.exit(1)
if words[0] == 'pull':
    for each, known in read('registry'):
        if each == plain and digest in ('', known):
            open(os.path.join(folder, 'here'), 'a').write(
                '%s id-of-%s %s\\n' % (each, known, known))
            sys.exit(0)
    sys.exit(1)
if words[:3] == ['buildx', 'imagetools', 'inspect']:
    found = [known for each, known in read('registry') if each == name]
    print(*found)
    sys.exit(not found)
sys.exit(words[0] not in ('info', 'compose'))
'''


class Site:
    """A checkout with configure.sh on a machine with that client."""

    def __init__(self, folder):
        self.folder = folder
        for name in ('scripts', 'docker', 'bin'):
            (folder / name).mkdir()
        for name in ('scripts/configure.sh', 'scripts/bases.sh', 'scripts/ascend.sh',
                     'docker/bases.lock'):
            shutil.copy(os.path.join(ROOT, name), str(folder / name))
        (folder / 'scripts' / 'base-image.sh').write_text(
            f'#!/bin/sh\necho "stackgan-base:$1 {OWN} -" >> bin/here\n')
        (folder / 'scripts' / 'cann-image.sh').write_text(
            f'#!/bin/sh\necho "stackgan-cann:$1-$2 {OWN} -" >> bin/here\n')
        (folder / 'bin' / 'docker').write_text(CLIENT)
        for name in ('bin/docker', 'scripts/base-image.sh', 'scripts/cann-image.sh'):
            (folder / name).chmod(0o755)
        self.have(), self.offer()

    def have(self, *lines):
        (self.folder / 'bin' / 'here').write_text(''.join(line + '\n' for line in lines))

    def offer(self, *lines):
        (self.folder / 'bin' / 'registry').write_text(''.join(line + '\n' for line in lines))

    def call(self, *arguments, **environment):
        """(exit code, what it says)."""
        needs.program('bash')
        path = '{}:{}'.format(self.folder / 'bin', os.environ['PATH'])
        done = subprocess.run(['bash', str(self.folder / 'scripts' / 'configure.sh')]
                              + list(arguments), env=dict({'PATH': path}, **environment),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True)
        return done.returncode, done.stdout

    def variables(self):
        """.env as a dict."""
        return dict(line.split('=', 1) for line in (self.folder / '.env').read_text().splitlines())

    def base(self):
        """(STACKGAN_BASE, STACKGAN_BASE_DIGEST) of .env."""
        found = self.variables()
        return found['STACKGAN_BASE'], found['STACKGAN_BASE_DIGEST']

    def locked(self):
        lines = (self.folder / 'docker' / 'bases.lock').read_text().splitlines()
        return dict(line.split() for line in lines if not line.startswith('#'))


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_locked_base_is_built_on_by_its_digest(site):
    site.offer(f'{NAME} {FIRST}')
    code, said = site.call('--update-bases')
    assert code == 0 and FIRST in said
    assert site.locked() == {NAME: FIRST}              # the other one cannot be had
    assert site.call('cpu')[0] == 0
    assert site.base() == (f'{NAME}@{FIRST}', FIRST)


def test_another_base_of_that_name_is_refused(site):
    site.offer(f'{NAME} {FIRST}')
    site.call('--update-bases')
    site.offer(f'{NAME} {SECOND}')
    site.have(f'{NAME} {OWN} {SECOND}')
    code, said = site.call('cpu')
    assert code == 3 and not (site.folder / '.env').exists()
    assert f'{NAME} is another one than in docker/bases.lock: {SECOND}, not {FIRST}' in said
    assert f'scripts/configure.sh --update-bases {NAME}' in said
    assert site.call('--update-bases', NAME)[0] == 0 and site.locked() == {NAME: SECOND}
    assert site.call('cpu')[0] == 0 and site.base()[1] == SECOND


def test_a_locked_base_is_pulled_by_its_digest_where_the_name_has_moved_on(site):
    site.offer(f'{NAME} {FIRST}')
    site.call('--update-bases')
    site.have(f'{NAME} {OWN} {SECOND}')
    site.offer(f'{NAME} {FIRST}', f'{NAME} {SECOND}')
    assert site.call('cpu')[0] == 0
    assert site.base() == (f'{NAME}@{FIRST}', FIRST)


def test_without_a_lock_the_base_is_named_with_the_digest_it_has(site):
    site.offer(f'{NAME} {FIRST}')
    code, said = site.call('cpu')
    assert code == 0 and f'no digest of {NAME} in docker/bases.lock' in said
    assert site.base() == (NAME, FIRST)


def test_a_base_made_here_has_its_id(site):
    code, said = site.call('cpu')
    assert code == 0 and 'no registry gives ' + NAME in said
    assert site.base() == ('stackgan-base:3.7', OWN)
    assert site.call('--update-bases')[0] == 0
    assert site.locked() == {'stackgan-base:3.7': OWN}
    assert site.call('cpu')[0] == 0 and site.base() == ('stackgan-base:3.7', OWN)
    site.have(f'stackgan-base:3.7 {SECOND} -')
    code, said = site.call('cpu')
    assert code == 3 and f'{SECOND}, not {OWN}' in said


def test_what_cannot_be_asked_for_stays_locked(site):
    site.offer(f'{NAME} {FIRST}', f'mine/base:1 {SECOND}')
    site.call('--update-bases', 'mine/base:1')
    site.call('--update-bases', NAME)
    assert site.locked() == {NAME: FIRST, 'mine/base:1': SECOND}
    site.offer()
    code, said = site.call('--update-bases')
    assert code == 0 and 'mine/base:1: cannot be pulled; ' + SECOND in said
    assert site.locked() == {NAME: FIRST, 'mine/base:1': SECOND}


@pytest.mark.parametrize('chip, words, base', [
    ('910B3', ('--cann', '8.5'), 'stackgan-cann:8.5.0-910b'),
    ('310P3', ('--cann', '8.5.1'), 'stackgan-cann:8.5.1-310p'),
    ('950PR', ('--cann', '9.1.0-beta.3'), 'stackgan-cann:9.1.0-beta.3-950'),
    (None, ('--cann', '9.0.0', '--chip', 'a3'), 'stackgan-cann:9.0.0-a3')])
def test_a_base_of_the_cann_and_chip_asked_for_is_made(site, chip, words, base):
    if chip:
        program = site.folder / 'bin' / 'npu-smi'
        program.write_text(f'#!/bin/sh\necho "0  0  0  Ascend {chip}"\n')
        program.chmod(0o755)
    code, said = site.call('ascend', *words)
    assert code == 0, said
    assert site.base() == (base, OWN) and site.variables()['STACKGAN_PLATFORM'] == 'ascend'
    assert site.variables()['COMPOSE_FILE'] == 'compose.yaml:compose.ascend.yaml'


@pytest.mark.parametrize('words, text', [
    (('--cann', 'latest'), "--cann 'latest': must be a version"),
    (('--cann', '8.5', '--chip', '910c'), "--chip '910c': must be 910, 910b, a3, 950 or 310p"),
    (('--cnan', '8.5'), "'--cnan': must be --cann VERSION or --chip CHIP")])
def test_other_words_are_refused(site, words, text):
    code, said = site.call('ascend', *words)
    assert code == 2 and text in said and not (site.folder / '.env').exists()


@pytest.mark.parametrize('mode, warned', [(0o660, False), (0o600, True)])
def test_the_group_of_the_device_nodes_is_written(site, mode, warned):
    node = site.folder / 'davinci_manager'
    node.write_text('')
    node.chmod(mode)
    site.have(f'stackgan-cann:8.5.0-910b {OWN} -')
    code, said = site.call('ascend', '--cann', '8.5', ASCEND_NODES=str(site.folder))
    assert code == 0 and ('may not read and write' in said) == warned
    assert site.variables()['ASCEND_GID'] == str(node.stat().st_gid)


def test_without_nodes_it_is_said(site):
    site.have(f'stackgan-cann:8.5.0-910b {OWN} -')
    said = site.call('ascend', '--cann', '8.5', ASCEND_NODES=str(site.folder))[1]
    assert 'no {} on this machine'.format(site.folder / 'davinci_manager') in said


@pytest.mark.parametrize('words, code, text', [
    (('cpu',), 3, 'no package index has TensorFlow 1.15 for ARM'),
    (('gpu',), 3, 'choose cpu-tf2'),
    (('cpu-tf2',), 0, 'platform cpu-tf2 on stackgan-base:3.11'),
    (('ascend',), 0, 'platform ascend on ascend-tensorflow-arm:20.2.0')])
def test_on_arm(site, words, code, text):
    program = site.folder / 'bin' / 'uname'
    program.write_text('#!/bin/sh\necho aarch64\n')
    program.chmod(0o755)
    site.have(f'ascend-tensorflow-arm:20.2.0 {OWN} -')
    found, said = site.call(*words)
    assert found == code and text in said, said
    (site.folder / 'docker' / 'wheels').mkdir()
    (site.folder / 'docker' / 'wheels' / 'tensorflow-1.15.0-cp37-none-linux_aarch64.whl').touch()
    assert site.call('cpu')[0] == 0                     # with a wheel of one's own
