"""docker/install-packages.sh installs what has a listed hash and nothing else, local wheels too."""

import hashlib
import os
import subprocess
import sys
import zipfile

import needs
import pytest
from toy import ROOT

VERSION = '%d.%d' % sys.version_info[:2]
SCRIPT = os.path.join(ROOT, 'docker', 'install-packages.sh')


def wheel(folder, text, name='tiny_package', version='1.0'):
    """Writes a wheel whose module holds a text; returns its sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f'{name}-{version}-py3-none-any.whl')
    info = f'{name}-{version}.dist-info/'
    files = {name + '.py': f'TEXT = {text!r}\n',
             info + 'METADATA': 'Metadata-Version: 2.1\nName: {}\nVersion: {}\n'.format(
                 name.replace('_', '-'), version),
             info + 'WHEEL': 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n'
                             'Tag: py3-none-any\n'}
    files[info + 'RECORD'] = ''.join(f'{each},,\n' for each in list(files) + [info + 'RECORD'])
    with zipfile.ZipFile(str(path), 'w') as archive:
        for each, content in files.items():
            archive.writestr(each, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Build:
    """The folder that a build has, with a list of one package."""

    def __init__(self, folder):
        self.folder, self.wheels = folder, folder / 'wheels'
        self.wheels.mkdir()

    def ask_for(self, digest, version='1.0'):
        (self.folder / 'requirements.txt').write_text(
            f'# Python {VERSION}; made by a test.\ntiny-package=={version} ; python_version > "3" '
            f'\\\n'
            f'    --hash=sha256:{digest}\n')

    def install(self, *arguments, **more):
        """(exit code, what it says)."""
        environment = dict(os.environ, BUILD=str(self.folder), VENV=str(self.folder / 'venv'),
                           PYTHON=sys.executable, PLATFORM='cpu', PIP_CONFIG_FILE=os.devnull)
        environment.update(more)
        done = subprocess.run([needs.program('sh'), SCRIPT] + list(arguments), env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True)
        return done.returncode, done.stdout

    def holds(self):
        """What the module says that is installed."""
        return subprocess.check_output(
            [str(self.folder / 'venv' / 'bin' / 'python'), '-c',
             'import tiny_package; print(tiny_package.TEXT)'], universal_newlines=True).strip()


@pytest.fixture
def build(tmp_path):
    return Build(tmp_path)


def test_a_listed_wheel_is_installed(build):
    build.ask_for(wheel(build.wheels, 'right'))
    code, said = build.install()
    assert code == 0, said
    assert build.holds() == 'right'
    version = '.'.join(map(str, sys.version_info[:3]))
    assert (build.folder / 'venv' / 'versions').read_text() == f'Python {version}\n'


def test_another_wheel_of_that_name_is_refused(build):
    build.ask_for(wheel(build.folder / 'index', 'right'))
    wheel(build.wheels, 'wrong')
    code, said = build.install()
    assert code != 0 and 'DO NOT MATCH THE HASHES' in said
    assert 'docker/wheels has not what docker/requirements asks for' in said
    code, said = build.install(str(build.folder / 'target'))
    assert code != 0 and not (build.folder / 'target' / 'tiny_package.py').exists()


def test_a_wheel_that_the_site_built_is_checked_by_its_own_sums(build):
    build.ask_for(wheel(build.folder / 'index', 'right'))
    digest = wheel(build.wheels, 'own')
    name = 'tiny_package-1.0-py3-none-any.whl'
    (build.wheels / 'SHA256SUMS').write_text(f'{digest}  {name}\n')
    code, said = build.install()
    assert code == 0, said
    assert build.holds() == 'own'
    wheel(build.wheels, 'changed since')
    (build.folder / 'requirements.txt').unlink()
    build.ask_for(digest)
    assert build.install(str(build.folder / 'target'))[0] != 0


@pytest.mark.parametrize('line', ['x' * 64 + '  tiny_package-1.0-py3-none-any.whl', 'hello',
                                  'a' * 64 + '  tiny_package-1.0.tar.gz'])
def test_sums_that_are_none_are_named(build, line):
    build.ask_for(wheel(build.wheels, 'right'))
    (build.wheels / 'SHA256SUMS').write_text(line + '\n')
    code, said = build.install()
    assert code != 0 and 'docker/wheels/SHA256SUMS: ' in said and 'Traceback' not in said


def test_another_version_is_not_taken_for_it(build):
    digest = wheel(build.wheels, 'newer', version='1.1')
    build.ask_for(digest)
    (build.wheels / 'SHA256SUMS').write_text(f'{digest}  tiny_package-1.1-py3-none-any.whl\n')
    assert build.install()[0] != 0


@pytest.mark.parametrize('platform, text', [
    ('cpu-tf2', 'requirements.txt installs no TensorFlow for '),
    ('ascend', 'the base image has no TensorFlow 1.15, which platform ascend takes from it')])
def test_an_image_for_training_without_tensorflow_is_not_built(build, platform, text):
    """As with the empty wheel `tensorflow` 2.15.1 of ARM."""
    build.ask_for(wheel(build.wheels, 'right'))
    bare = build.folder / 'python'                    # the base's, without packages
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    more = {'PYTHON': str(bare)} if platform == 'ascend' else {}
    code, said = build.install(PLATFORM=platform, TENSORFLOW='yes', **more)
    assert code == 1 and text in said and 'docker/wheels' not in said
    assert not (build.folder / 'venv' / 'versions').exists()


def test_on_arm_the_locks_name_the_wheel_that_holds_tensorflow():
    for path in ('docker/requirements/train-cpu-tf2.txt', 'scripts/requirements/tf2.txt'):
        with open(os.path.join(ROOT, path)) as stream:
            lines = [line for line in stream if line.startswith('tensorflow') and '2.15.1' in line]
        arm = [line.split('==')[0] for line in lines
               if "!= 'x86_64'" in line and "sys_platform == 'linux'" in line]
        assert arm == ['tensorflow-cpu-aws'], path
