"""scripts/configure.sh and docker/bases.lock, with a Docker client that has two lists of images."""

import os
import re
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
        for name in ('scripts/configure.sh', 'scripts/bases.sh', 'docker/bases.lock'):
            shutil.copy(os.path.join(ROOT, name), str(folder / name))
        (folder / 'scripts' / 'base-image.sh').write_text(
            f'#!/bin/sh\necho "stackgan-base:$1 {OWN} -" >> bin/here\n')
        (folder / 'bin' / 'docker').write_text(CLIENT)
        for path in (folder / 'bin' / 'docker', folder / 'scripts' / 'base-image.sh'):
            path.chmod(0o755)
        self.have(), self.offer()

    def have(self, *lines):
        (self.folder / 'bin' / 'here').write_text(''.join(line + '\n' for line in lines))

    def offer(self, *lines):
        (self.folder / 'bin' / 'registry').write_text(''.join(line + '\n' for line in lines))

    def call(self, *arguments):
        """(exit code, what it says)."""
        needs.program('bash')
        path = '{}:{}'.format(self.folder / 'bin', os.environ['PATH'])
        done = subprocess.run(['bash', str(self.folder / 'scripts' / 'configure.sh')]
                              + list(arguments), env={'PATH': path}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True)
        return done.returncode, done.stdout

    def base(self):
        """(STACKGAN_BASE, STACKGAN_BASE_DIGEST) of .env."""
        text = (self.folder / '.env').read_text()
        return tuple(re.search(f'^{name}=(.*)$', text, re.M).group(1)
                     for name in ('STACKGAN_BASE', 'STACKGAN_BASE_DIGEST'))

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
