"""File systems that refuse what POSIX promises, quotas and limits of file sizes."""

import errno
import fcntl
import os
import resource
import shutil
import subprocess
import sys

import pytest
from test_contract import content, make_job, run
from toy import ROOT, tiny_config

from jobs.engine.execution import explain
from jobs.engine.locks import is_locked
from stackgan import file_systems
from stackgan.file_systems import (
    copy_tree,
    file_system_of,
    link_or_copy,
    no_room,
    refusal,
    symlink_or_copy,
)
from stackgan.files import atomic_write, read_json, write_json

REFUSALS = [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL]


def refuse(monkeypatch, owner, name, number):
    def refusing(*arguments, **more):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(owner, name, refusing)


@pytest.mark.parametrize('number', REFUSALS)
def test_a_job_works_without_rights_flushes_links_and_times(tmp_path, monkeypatch, number):
    for name in ('chmod', 'fsync', 'link', 'symlink', 'utime'):
        refuse(monkeypatch, os, name, number)
    refuse(monkeypatch, shutil, 'copystat', number)
    job = make_job(growing=('train.log',))
    assert run(job, tmp_path) == 0
    assert run(job, tmp_path, tiny_config('train.log_every_steps=9')) == 0      # copies and extends
    assert content(tmp_path / 'out')['size.txt'] == b'4'


def test_a_disk_that_fails_is_not_passed_over(tmp_path, monkeypatch):
    refuse(monkeypatch, os, 'fsync', errno.EIO)
    with pytest.raises(OSError):
        write_json(str(tmp_path / 'a'), 1)
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_without_locks_it_says_so_and_names_the_file_system(tmp_path, monkeypatch, capsys, number):
    assert run(make_job(), tmp_path) == 0
    refuse(monkeypatch, fcntl, 'flock', number)
    assert run(make_job(), tmp_path, tiny_config('train.batch_size=8')) == 3
    err = capsys.readouterr().err
    assert 'out.lock cannot be locked' in err and os.strerror(number) in err
    assert file_system_of(str(tmp_path)) in err and len(err.splitlines()) == 1
    assert content(tmp_path / 'out')['size.txt'] == b'4'
    assert run(make_job(), tmp_path) == 0                            # up to date needs no lock
    assert is_locked(str(tmp_path / 'out')) is None


@pytest.mark.parametrize('number', [errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.ENODEV])
def test_other_refusals_name_the_file_system(tmp_path, capsys, number):
    def body(work):
        raise OSError(number, os.strerror(number), os.path.join(work.folder, 'a:b'))
    assert run(make_job(body=body), tmp_path) == 3
    err = capsys.readouterr().err
    assert 'a:b' in err and file_system_of(str(tmp_path)) in err and len(err.splitlines()) == 1


def test_an_invalid_argument_of_ours_is_no_file_system(tmp_path):
    assert refusal(OSError(errno.EINVAL, os.strerror(errno.EINVAL)), str(tmp_path)) is None
    assert refusal(OSError(errno.EINVAL, 'not a regular file', str(tmp_path))) is None
    assert 'ValueError' in explain(ValueError('x'), str(tmp_path), None)


def test_links_become_copies(tmp_path, monkeypatch):
    (tmp_path / 'folder' / 'inner').mkdir(parents=True)
    (tmp_path / 'folder' / 'inner' / 'a').write_text('x')
    refuse(monkeypatch, os, 'symlink', errno.EPERM)
    refuse(monkeypatch, os, 'link', errno.EPERM)
    symlink_or_copy(str(tmp_path / 'folder'), str(tmp_path / 'one'))
    copy_tree(str(tmp_path / 'folder'), str(tmp_path / 'two'))
    link_or_copy(str(tmp_path / 'one' / 'inner' / 'a'), str(tmp_path / 'three'))
    assert content(tmp_path / 'one') == content(tmp_path / 'two') == {'inner/a': b'x'}
    assert (tmp_path / 'three').read_text() == 'x'


def test_the_file_system_is_the_nearest_above(tmp_path, monkeypatch):
    (tmp_path / 'mounts').write_text(
        f'a / ext4 rw 0 0\nb {os.path.realpath(str(tmp_path))}/usb\\040stick exfat rw 0 0\nc '
        f'{os.path.realpath(str(tmp_path))}/usb nfs4 rw 0 0\n')
    monkeypatch.setattr(file_systems, 'MOUNTS', str(tmp_path / 'mounts'))
    assert file_system_of(str(tmp_path / 'usb stick' / 'x')).startswith('exfat at ')
    assert file_system_of(str(tmp_path / 'usb')).startswith('nfs4 at ')
    assert file_system_of(str(tmp_path / 'usb2')) == 'ext4 at /'
    monkeypatch.setattr(file_systems, 'MOUNTS', str(tmp_path / 'none'))
    assert file_system_of(str(tmp_path)) == 'this file system'


@pytest.mark.parametrize('error, reason', [
    (OSError(errno.ENOSPC, 'x'), 'MiB free'), (OSError(errno.EDQUOT, 'x'), 'quota of user'),
    (OSError(errno.EFBIG, 'x'), 'ulimit -f'), (OSError('96 requested and 64 written'), 'MiB free'),
    (RuntimeError(f'Writing a; {os.strerror(errno.EDQUOT)}'), 'quota of user'),
    (RuntimeError(f'Writing a; {os.strerror(errno.EFBIG)}'), 'ulimit -f')])
def test_quotas_and_limits_get_the_advice_of_a_full_disk(tmp_path, error, reason):
    text = no_room(error, str(tmp_path))
    assert text.startswith(f'no space left on {tmp_path}') and reason in text
    assert 'make room' in text and 'run the same command again' in text
    assert no_room(ValueError('x'), str(tmp_path)) is None


LIMITED = '''
import sys
sys.path[:0] = [%r, %r]
from test_contract import make_job, run
import numpy as np
def body(work):
    with open(work.folder + '/large', 'wb') as stream:
        if sys.argv[2] == 'numpy':
            np.save(stream, np.zeros(1 << 18))
        stream.write(b'x' * (1 << 20))
sys.exit(run(make_job(body=body), sys.argv[1]))
'''


@pytest.mark.parametrize('how', ['python', 'numpy'])
def test_a_limit_of_file_sizes_is_met_for_real(tmp_path, how):
    code = LIMITED % (ROOT, os.path.join(ROOT, 'tests'))
    done = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path), how], stderr=subprocess.PIPE, cwd=ROOT,
        universal_newlines=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                       (1 << 18, 1 << 18)))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert 'no space left on' in done.stderr and 'make room' in done.stderr


def test_names_that_are_no_utf_8_survive_json(tmp_path):
    value = {'caf\udce9': ['\u65e5', '\udcff']}
    write_json(str(tmp_path / 'a'), value)
    assert read_json(str(tmp_path / 'a')) == value
    (tmp_path / 'a').read_text(encoding='utf-8')
    with atomic_write(str(tmp_path / 'b'), 'w') as stream:
        stream.write('\udce9')
    assert (tmp_path / 'b').read_bytes() == b'\\udce9'
