"""What is installed: one name in site-packages, and a command that runs from anywhere."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from toy import ROOT

from stackgan import __version__


def call(*words, **options):
    return subprocess.run(list(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, **options)


def test_every_package_is_listed():
    with open(os.path.join(ROOT, 'pyproject.toml'), encoding='utf-8') as stream:
        listed = re.findall(r'"([\w.]+)"', re.search(r'^packages = \[([^]]*)\]', stream.read(),
                                                     re.M).group(1))
    found = {'stackgan.configs', 'stackgan.fonts'}                       # files alone
    for top, name in (('stackgan', 'stackgan'), ('jobs', 'stackgan.jobs')):
        for parent, _, files in os.walk(os.path.join(ROOT, top)):
            if '__init__.py' in files:
                below = os.path.relpath(parent, os.path.join(ROOT, top))
                found.add('.'.join([name] + ([] if below == '.' else below.split(os.sep))))
    assert sorted(found) == listed


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """A folder as site-packages, with the package in it, made from a copy of the checkout."""
    if call(sys.executable, '-c', 'import setuptools, wheel; '
            'assert int(setuptools.__version__.split(".")[0]) >= 61').returncode:
        pytest.skip('setuptools from 61 on and wheel are not in this environment: pip install '
                    '"setuptools>=61" wheel')
    copy, wheels = tmp_path_factory.mktemp('copy'), tmp_path_factory.mktemp('wheels')
    for name in ('stackgan', 'jobs', 'configs'):
        shutil.copytree(os.path.join(ROOT, name), str(copy / name),
                        ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(os.path.join(ROOT, name), str(copy / name))
    done = call(sys.executable, '-c', 'from setuptools import build_meta; '
                f'build_meta.build_wheel({str(wheels)!r})', cwd=str(copy))
    assert done.returncode == 0, done.stdout
    folder = tmp_path_factory.mktemp('site')
    with zipfile.ZipFile(str(wheels / os.listdir(str(wheels))[0])) as wheel:
        wheel.extractall(str(folder))
    return folder


def test_one_name_is_installed(installed):
    assert sorted(name for name in os.listdir(str(installed))
                  if not name.endswith('.dist-info')) == ['stackgan']
    info, = [name for name in os.listdir(str(installed)) if name.endswith('.dist-info')]
    assert (installed / info / 'entry_points.txt').read_text().split() == [
        '[console_scripts]', 'stackgan', '=', 'stackgan.jobs.__main__:main']


def test_it_runs_from_anywhere(installed, tmp_path):
    environment = dict(os.environ, PYTHONPATH=str(installed))
    start = ('import sys; sys.argv[0] = "stackgan"; from stackgan.jobs.__main__ import main; '
             'sys.exit(main())')

    def command(*words):
        # -I would drop PYTHONPATH; the checkout of the environment comes behind it.
        return call(sys.executable, '-c', start, *words, cwd=str(tmp_path), env=environment)

    assert command('--version').stdout.strip() == 'stackgan ' + __version__
    status = command('status', '--config', 'birds', '--data', str(tmp_path))
    assert status.returncode == 0 and 'train-stage1' in status.stdout, status.stdout
    code = 'import stackgan.jobs.engine.chain as c; print(c.PACKAGE, c.__file__)'
    name, path = call(sys.executable, '-c', code, cwd=str(tmp_path),
                      env=environment).stdout.split(None, 1)
    assert name == 'stackgan.jobs' and path.startswith(str(installed))
    missing = command('run', '--on', 'docker', '--config', 'smoke', '--data', str(tmp_path))
    assert missing.returncode == 3, missing.stdout


def test_a_job_of_a_chain_is_started_by_the_installed_name(installed, tmp_path):
    environment = dict(os.environ, PYTHONPATH=str(installed))
    done = call(sys.executable, '-m', 'stackgan.jobs', 'run', '--on', 'local', '--until',
                'make-dataset', '--config', 'smoke', '--data', str(tmp_path / 'data'),
                cwd=str(tmp_path), env=environment)
    assert done.returncode == 0 and 'run: make-dataset done' in done.stdout, done.stdout
