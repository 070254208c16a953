"""`verify`: every byte of every output is read; what is damaged is named, with what to do."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from toy import ROOT
from volume_toy import damage_manifest, flip, make_output

from jobs.engine.command_line import main

SETTINGS = ['--set', 'run.name=toy', '--set', 'data.name=toy']


def write(folder):
    for name in ('a.txt', 'deep/b.bin', 'deep/empty'):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as stream:
            stream.write(b'' if name.endswith('empty') else os.urandom(3000000))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A volume of outputs of several jobs, runs and configurations, and what is none."""
    volume = str(tmp_path_factory.mktemp('made'))
    for job, output in (('preprocess', 'prepared/toy'), ('train-stage1', 'runs/toy/stage1'),
                        ('sample', 'runs/toy/samples'), ('sample', 'runs/toy/samples-0a1b2c3d'),
                        ('sample', 'runs/other/samples'), ('make-dataset', 'raw/toy')):
        make_output(volume, job, output, write)
    os.makedirs(volume + '/raw/mine')
    damage_manifest(volume + '/raw/mine', '{"of": "another program"}')
    os.makedirs(volume + '/runs/toy/embeddings.partial')
    return volume


@pytest.fixture
def volume(made, tmp_path):
    return shutil.copytree(made, str(tmp_path / 'volume'))


def verify(volume, capsys, *jobs):
    """(exit code, lines on standard output, lines on standard error)."""
    code = main(['verify', '--data', volume] + SETTINGS + list(jobs))
    output = capsys.readouterr()
    return code, output.out.splitlines(), output.err.splitlines()


def test_whole_outputs_are_listed(volume, capsys):
    code, out, err = verify(volume, capsys)
    assert code == 0 and out[-1] == 'verify: 6 of 6 outputs are whole'
    assert 'verify: runs/toy/samples-0a1b2c3d is whole: 4 files, 5.7 MiB' in out
    assert len(out) == 7 and not [line for line in err if 'error' in line]
    assert any('100%' in line and 'MiB' in line and '/s' in line for line in err)


@pytest.mark.parametrize('jobs, outputs', [
    (['sample'], ['runs/toy/samples', 'runs/toy/samples-0a1b2c3d']),
    (['preprocess', 'make-dataset'], ['prepared/toy', 'raw/toy'])])
def test_the_outputs_of_jobs(volume, capsys, jobs, outputs):
    code, out, _ = verify(volume, capsys, *jobs)
    assert code == 0 and [line.split()[1] for line in out[:-1]] == outputs


def test_one_flipped_byte_in_each_output(volume, capsys):
    folders = ['raw/toy', 'prepared/toy', 'runs/other/samples', 'runs/toy/samples',
               'runs/toy/samples-0a1b2c3d', 'runs/toy/stage1']
    for folder in folders:
        flip(os.path.join(volume, folder, 'deep/b.bin'), 1234567)
    assert main(['status', '--data', volume] + SETTINGS) == 0      # which looks at sizes alone
    capsys.readouterr()
    code, out, err = verify(volume, capsys)
    errors = [line for line in err if line.startswith('verify: error:')]
    assert code == 1 and out == ['verify: 0 of 6 outputs are whole']
    assert errors[::2] == [f'verify: error: {folder}/deep/b.bin has other bytes than were written'
                           for folder in folders]
    assert 'make-dataset --force' in errors[1] and 'preprocess --force' in errors[3]
    assert 'train-stage1 --force resumes from its newest complete checkpoint' in errors[-1]


@pytest.mark.parametrize('damage, text', [
    (os.unlink, 'a.txt is missing'),
    (lambda path: os.truncate(path, 5), 'a.txt has 5 bytes instead of 3000000'),
    (lambda path: (os.unlink(path), os.mkfifo(path)), 'a.txt is not a regular file'),
    (lambda path: damage_manifest(os.path.dirname(path), '[]'), 'manifest.json is damaged'),
    (lambda path: os.unlink(os.path.dirname(path) + '/manifest.json'),
     'manifest.json is missing')])
def test_other_damage(volume, capsys, damage, text):
    damage(volume + '/runs/toy/stage1/a.txt')
    code, out, err = verify(volume, capsys)
    assert code == 1 and 'verify: error: runs/toy/stage1/' + text in ' '.join(err)
    assert out[-1] == 'verify: 5 of 6 outputs are whole'


def test_what_is_not_there_is_a_mistake(volume, tmp_path, capsys):
    code, _, err = verify(volume, capsys, 'export')
    assert code == 2 and 'export has no finished output in' in err[-1]
    code, _, err = verify(str(tmp_path / 'nowhere'), capsys)
    assert code == 2 and 'holds no finished output' in err[-1]


def test_an_output_written_anew_meanwhile_is_no_damage(volume, capsys, monkeypatch):
    """A job replaces an output while it is read: what was read belongs to neither."""
    from jobs.engine import verify as module
    read = module.damaged_files

    def replace_and_read(folder, files, advance):
        if folder.endswith('stage1'):
            with open(folder + '/manifest.json') as stream:
                manifest = json.load(stream)
            flip(folder + '/a.txt', 0)
            damage_manifest(folder, json.dumps(dict(manifest, finished='2030-01-01T00:00:00')))
        return read(folder, files, advance)
    monkeypatch.setattr(module, 'damaged_files', replace_and_read)
    code, _, err = verify(volume, capsys, 'train-stage1')
    assert code == 1 and 'changed during verification; run verify again' in ' '.join(err)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_130(volume, number):
    """Not after all files: they are held back until the signal has been sent."""
    code = '''
import os, sys, time
from stackgan import integrity
def slow(path, copy_to=None, advance=None):
    os.write(1, b'reading\\n')            # two threads read; whole lines of each
    sys.stdin.read(1)
    return ''
integrity.digest_of_blocks = slow
from jobs.engine.command_line import main
sys.exit(main())'''
    process = subprocess.Popen([sys.executable, '-c', code, 'verify', '--data', volume],
                               cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b'reading\n'
    process.send_signal(number)
    out = process.communicate(b'x' * 100)[0]
    assert process.returncode == 130 and out.count(b'reading') <= 8
    assert b'interrupted by %s' % number.name.encode() in out
