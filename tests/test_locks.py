"""A lock is a file of its own: nothing that lies in its place is followed, awaited or emptied."""

import json
import os
import subprocess
import sys

import pytest
from toy import ROOT

from jobs.engine.locks import holder, is_locked, locked
from stackgan.errors import InputError, StackganError


def take(folder):
    with locked(str(folder), 'report'):
        return is_locked(str(folder))


def test_a_link_in_its_place_leaves_its_target_alone(tmp_path):
    target = tmp_path / 'precious'
    target.write_text('mine')
    os.symlink(str(target), str(tmp_path / 'report.lock'))
    with pytest.raises(InputError, match='report.lock: is a link, .*; remove it$') as caught:
        take(tmp_path / 'report')
    assert target.read_text() == 'mine' and caught.value.exit_code == 2
    assert is_locked(str(tmp_path / 'report')) is None


def test_a_dangling_link_makes_no_file(tmp_path):
    os.symlink(str(tmp_path / 'elsewhere'), str(tmp_path / 'report.lock'))
    with pytest.raises(InputError, match='is a link'):
        take(tmp_path / 'report')
    assert os.listdir(str(tmp_path)) == ['report.lock']


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(str(tmp_path / 'a.lock'))
    os.mkdir(str(tmp_path / 'b.lock'))
    for name in ('a', 'b'):
        with pytest.raises(InputError, match=name + '.lock: must be a regular file'):
            take(tmp_path / name)
        assert is_locked(str(tmp_path / name)) is None
        assert holder(str(tmp_path / name) + '.lock') == 'its lock file does not name the process'


def test_a_file_that_holds_something_else_is_kept(tmp_path):
    own = tmp_path / 'notes'
    own.write_text('mine')
    os.link(str(own), str(tmp_path / 'report.lock'))          # a hard link is no link to be seen
    with pytest.raises(InputError, match='report.lock: is not a lock file'):
        take(tmp_path / 'report')
    assert own.read_text() == 'mine'


@pytest.mark.parametrize('left', ['', '{"job": "report", "pid": 1}', '{"jo'])
def test_what_a_killed_job_left_is_taken_over(tmp_path, left):
    (tmp_path / 'report.lock').write_text(left)
    assert take(tmp_path / 'report').startswith('report, process %d on ' % os.getpid())
    assert (tmp_path / 'report.lock').read_text() == ''


@pytest.mark.parametrize('content', [
    b'[1]', b'"x"', b'{"job": 1}', b'\xff', b'[' * 4000, b'{' * 9999, b'1' * 4000])
def test_any_content_has_no_holder_and_no_traceback(tmp_path, content):
    (tmp_path / 'report.lock').write_bytes(content)
    assert holder(str(tmp_path / 'report.lock')) == 'its lock file does not name the process'


def test_a_lock_that_is_held_is_left_as_it_is(tmp_path):
    code = ('import sys\nfrom jobs.engine.locks import locked\n'
            'with locked(sys.argv[1], "report"):\n    print("held", flush=True)\n    input()\n')
    other = subprocess.Popen([sys.executable, '-c', code, str(tmp_path / 'report')], cwd=ROOT,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b'held\n'
        with pytest.raises(StackganError, match='process %d on' % other.pid):
            take(tmp_path / 'report')
        assert json.loads((tmp_path / 'report.lock').read_text())['pid'] == other.pid
    finally:
        other.communicate(b'\n')
    assert take(tmp_path / 'report')
