"""The job contract: up to date, stale, locks, kills, full disk, read-only output, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace

import needs
import pytest
from toy import ROOT, tiny_config

from jobs.engine.contract import Input, Job, differences, read_manifest, state_of
from jobs.engine.execution import execute
from jobs.engine.locks import is_locked, locked
from stackgan.errors import InputError, MissingRequirement, StackganError
from stackgan.files import atomic_write, files_below, write_json

OPTIONS = dict(force=False, restart=False)


def run(job, volume, config=None, **options):
    return execute(job, config or tiny_config(), str(volume), Namespace(**dict(OPTIONS, **options)))


def make_job(name='write', output='out', body=None, **fields):
    """A job that writes its batch size, or what `body` does."""
    def write(work):
        with open(os.path.join(work.folder, 'size.txt'), 'w') as stream:
            stream.write('%d' % work.config.train.batch_size)
    return Job(name=name, summary='writes', output=lambda config: output,
               inputs=fields.pop('inputs', lambda config, volume: ()),
               settings=lambda config: {'train': {'batch_size': config.train.batch_size,
                                                  'log': config.train.log_every_steps}},
               run=body or write, uses_tensorflow=False, **fields)


def content(folder):
    return {name: open(os.path.join(str(folder), name), 'rb').read()
            for name in files_below(str(folder))}


# Up to date, stale, extended.

def test_a_second_run_does_nothing(tmp_path, capsys):
    calls = []
    job = make_job(body=lambda work: calls.append(1))
    assert run(job, tmp_path) == 0 and run(job, tmp_path) == 0
    assert calls == [1]
    assert 'write: up to date' in capsys.readouterr().out
    assert state_of(job, tiny_config(), str(tmp_path)).word == 'done'
    run(job, tmp_path, force=True)
    assert calls == [1, 1]


def test_the_manifest_says_what_was_made(tmp_path):
    run(make_job(), tmp_path)
    manifest = read_manifest(str(tmp_path / 'out'))
    assert manifest['files']['size.txt']['size'] == 1
    assert manifest['request']['settings'] == {'train.batch_size': 4, 'train.log': 2}
    assert set(manifest['files']) == {'size.txt', 'config.yaml'}
    assert {'stackgan', 'python'} <= set(manifest['versions'])
    assert not os.path.exists(str(tmp_path / 'out.partial'))


def test_another_setting_makes_it_stale(tmp_path):
    run(make_job(), tmp_path)
    config = tiny_config('train.batch_size=8')
    state = state_of(make_job(), config, str(tmp_path))
    assert state == ('stale', 'train.batch_size 4 -> 8')
    assert run(make_job(), tmp_path, config) == 0
    assert (tmp_path / 'out' / 'size.txt').read_text() == '8'


def test_a_setting_of_another_job_does_not(tmp_path):
    run(make_job(), tmp_path)
    assert state_of(make_job(), tiny_config('stage1.epochs=7'), str(tmp_path)).word == 'done'


@pytest.mark.parametrize('damage', ['remove', 'cut'])
def test_a_damaged_output_is_made_again(tmp_path, damage):
    run(make_job(), tmp_path)
    path = str(tmp_path / 'out' / 'size.txt')
    os.unlink(path) if damage == 'remove' else open(path, 'w').close()
    assert state_of(make_job(), tiny_config(), str(tmp_path)).word == 'stale'
    assert run(make_job(), tmp_path) == 0
    assert open(path).read() == '4'


def test_a_changed_input_makes_it_stale_and_an_equal_one_does_not(tmp_path):
    first = make_job('first', 'a')
    second = make_job('second', 'b', inputs=lambda config, volume: [Input('a', 'a', 'first')])
    run(first, tmp_path), run(second, tmp_path)
    run(first, tmp_path, force=True)                        # the same content again
    assert state_of(second, tiny_config(), str(tmp_path)).word == 'done'
    run(first, tmp_path, tiny_config('train.batch_size=8'))
    assert state_of(second, tiny_config(), str(tmp_path)) == ('stale', 'a changed')


def test_raw_files_that_change_make_it_stale(tmp_path):
    (tmp_path / 'raw').mkdir()
    (tmp_path / 'raw' / 'one.txt').write_text('1')
    job = make_job(inputs=lambda config, volume: [Input('raw', 'raw')])
    run(job, tmp_path)
    assert state_of(job, tiny_config(), str(tmp_path)).word == 'done'
    (tmp_path / 'raw' / 'two.txt').write_text('2')
    assert state_of(job, tiny_config(), str(tmp_path)) == ('stale', 'raw changed')


def test_missing_inputs_say_what_to_do(tmp_path, capsys):
    needs_job = make_job(inputs=lambda config, volume: [Input('a', 'a', 'first')])
    assert run(needs_job, tmp_path) == 2
    assert 'a is not there yet; run first first' in capsys.readouterr().err
    needs_raw = make_job(inputs=lambda config, volume: [Input('raw', 'raw/x')])
    assert run(needs_raw, tmp_path) == 2
    assert 'raw/x is missing; put it there' in capsys.readouterr().err
    assert os.listdir(str(tmp_path)) == []


def test_growing_settings_extend_a_finished_output(tmp_path):
    def body(work):
        with open(os.path.join(work.folder, 'lines.txt'), 'a') as stream:
            stream.write('%d ' % work.config.train.log_every_steps)
    job = make_job(body=body, growing=('train.log',))
    run(job, tmp_path)
    run(job, tmp_path, tiny_config('train.log_every_steps=9'))
    assert (tmp_path / 'out' / 'lines.txt').read_text() == '2 9 '
    run(job, tmp_path, tiny_config('train.batch_size=8'))
    assert (tmp_path / 'out' / 'lines.txt').read_text() == '2 '
    run(job, tmp_path, tiny_config('train.log_every_steps=9'), restart=True)
    assert (tmp_path / 'out' / 'lines.txt').read_text() == '9 '


def test_precious_work_is_not_thrown_away_unasked(tmp_path, capsys):
    def stop(work):
        open(os.path.join(work.folder, 'half'), 'w').close()
        raise StackganError('no luck')
    assert run(make_job(body=stop, precious=True), tmp_path) == 1
    other = tiny_config('train.batch_size=8')
    assert run(make_job(precious=True), tmp_path, other) == 2
    message = capsys.readouterr().err
    assert 'train.batch_size 4 -> 8' in message and '--restart' in message
    assert os.path.exists(str(tmp_path / 'out.partial' / 'half'))
    assert run(make_job(precious=True), tmp_path, other, restart=True) == 0
    assert not os.path.exists(str(tmp_path / 'out' / 'half'))
    run(make_job(precious=True), tmp_path)                  # replaces a finished one
    assert (tmp_path / 'out.previous' / 'size.txt').read_text() == '8'


def test_unfinished_work_of_the_same_request_goes_on(tmp_path):
    def first(work):
        open(os.path.join(work.folder, 'half'), 'w').close()
        raise RuntimeError('bad luck')
    assert run(make_job(body=first), tmp_path) == 1
    assert state_of(make_job(), tiny_config(), str(tmp_path)).word == 'unfinished'
    assert run(make_job(), tmp_path) == 0
    assert os.path.exists(str(tmp_path / 'out' / 'half'))


def test_not_needed(tmp_path, capsys):
    job = make_job(not_needed=lambda config, volume: 'you have one')
    assert run(job, tmp_path) == 0
    assert 'not needed: you have one' in capsys.readouterr().out
    assert state_of(job, tiny_config(), str(tmp_path)) == ('not needed', 'you have one')


def test_differences_are_named():
    old = {'form': 1, 'settings': {'a': 1, 'b': 2}, 'inputs': {'x': 'q'}}
    new = {'form': 2, 'settings': {'a': 3, 'c': 2}, 'inputs': {'x': 'r'}}
    assert differences(old, new, ('a',)) == ['made by another version of the job', 'b 2 -> None',
                                             'c None -> 2', 'x changed']


# Failures.

@pytest.mark.parametrize('error, code, text', [
    (InputError('a.jpg: is empty'), 2, 'write: error: a.jpg: is empty'),
    (MissingRequirement('no driver'), 3, 'write: error: no driver'),
    (StackganError('diverged'), 1, 'write: error: diverged'),
    (ValueError('two\nlines'), 1, 'write: error: ValueError: two lines; the traceback is in')])
def test_failures_are_one_line_with_an_exit_code(tmp_path, capsys, error, code, text):
    def fail(work):
        raise error
    assert run(make_job(body=fail), tmp_path) == code
    err = capsys.readouterr().err
    assert text in err and len(err.splitlines()) == 1 and 'Traceback' not in err
    log = (tmp_path / 'out.partial' / 'log.txt').read_text()
    assert ('Traceback' in log) == isinstance(error, ValueError)


def test_a_failure_leaves_the_existing_output_as_it_was(tmp_path):
    run(make_job(), tmp_path)
    before = content(tmp_path / 'out')

    def fail(work):
        raise ValueError('bad luck')
    assert run(make_job(body=fail), tmp_path, tiny_config('train.batch_size=8')) == 1
    assert content(tmp_path / 'out') == before


def test_a_full_disk_is_explained_and_loses_nothing(tmp_path, capsys):
    def fill(work):
        with open(os.path.join(work.folder, 'large'), 'wb') as stream:
            stream.write(b'x' * (3 << 20))
    with needs.mounted(tmp_path, 'size=2m'):
        assert run(make_job(), tmp_path) == 0
        before = content(tmp_path / 'out')
        assert run(make_job(body=fill), tmp_path, tiny_config('train.batch_size=8')) == 1
        assert f'no space left on {tmp_path}' in capsys.readouterr().err
        assert content(tmp_path / 'out') == before
        os.unlink(str(tmp_path / 'out.partial' / 'large'))         # someone makes room
        assert run(make_job(), tmp_path, tiny_config('train.batch_size=8')) == 0


def test_a_read_only_volume_is_explained(tmp_path, capsys):
    with needs.mounted(tmp_path, 'size=2m'):
        run(make_job(), tmp_path)
        subprocess.run(['mount', '-o', 'remount,ro', str(tmp_path)], check=True)
        assert run(make_job(), tmp_path, tiny_config('train.batch_size=8')) == 1
        assert 'cannot write' in capsys.readouterr().err
        assert run(make_job(), tmp_path) == 0                      # up to date needs no writing


# Locks, kills, signals: processes of their own.

SLOW = '''
import sys, time
sys.path[:0] = [%r, %r]
from argparse import Namespace
from test_contract import make_job, tiny_config
from jobs.engine.execution import execute
def body(work):
    for i in range(3):
        open(work.folder + "/%%d" %% i, "w").write("x" * 1000)
        print("wrote", i, flush=True)
        time.sleep(%f)
sys.exit(execute(make_job(body=body), tiny_config(), %r,
                 Namespace(force=False, restart=False)))
'''


def slow_process(volume, seconds):
    code = SLOW % (ROOT, os.path.join(ROOT, 'tests'), seconds, str(volume))
    return subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, universal_newlines=True, cwd=ROOT)


def test_two_jobs_on_one_output(tmp_path, capsys):
    process = slow_process(tmp_path, 30)
    assert process.stdout.readline().startswith('wrote')
    assert run(make_job(), tmp_path) == 1
    message = capsys.readouterr().err
    assert 'another job is writing' in message and 'process %d' % process.pid in message
    assert 'process %d' % process.pid in is_locked(str(tmp_path / 'out'))
    process.kill()
    process.communicate()
    assert is_locked(str(tmp_path / 'out')) is None
    assert run(make_job(), tmp_path) == 0                  # the lock went with the process


def test_sigterm_ends_with_130_and_keeps_what_is_done(tmp_path):
    process = slow_process(tmp_path, 30)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    text = process.communicate()[0]
    assert process.returncode == 130 and 'interrupted by SIGTERM' in text
    assert (tmp_path / 'out.partial' / '0').exists() and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('after', [0.0, 0.05, 0.12, 0.2])
def test_a_kill_at_any_time_never_leaves_half_an_output(tmp_path, after):
    process = slow_process(tmp_path, 0.05)
    process.stdout.readline()
    time.sleep(after)
    process.kill()
    process.communicate()
    assert (tmp_path / 'out').exists() == (read_manifest(str(tmp_path / 'out')) is not None)
    process = slow_process(tmp_path, 0)
    assert process.wait() == 0
    process.stdout.close()
    assert sorted(read_manifest(str(tmp_path / 'out'))['files']) == ['0', '1', '2', 'config.yaml']


def test_a_commit_that_was_cut_off_is_finished(tmp_path):
    run(make_job(), tmp_path)
    os.rename(str(tmp_path / 'out'), str(tmp_path / 'out.partial'))     # killed before the name
    calls = []
    assert run(make_job(body=lambda work: calls.append(1)), tmp_path) == 0
    assert calls == [] and read_manifest(str(tmp_path / 'out'))


def test_what_a_kill_inside_atomic_write_left_is_removed(tmp_path):
    killed = ('import os, sys; from stackgan.files import atomic_write\n'
              'with atomic_write(sys.argv[1], "w"): os._exit(1)')
    partial = tmp_path / 'out.partial' / 'deep'
    job = make_job()

    def interrupted(work):
        partial.mkdir()
        (partial / '.mine.tmp').write_text('of a user')
        subprocess.run([sys.executable, '-c', killed, str(partial / 'grid.png')],
                       env=dict(os.environ, PYTHONPATH=ROOT))
        assert len(list(partial.iterdir())) == 2
        raise InputError('interrupted')

    assert run(make_job(body=interrupted), tmp_path) == 2
    assert run(job, tmp_path) == 0
    assert set(read_manifest(str(tmp_path / 'out'))['files']) == {
        'size.txt', 'config.yaml', 'deep/.mine.tmp'}


def test_the_lock_names_its_holder(tmp_path):
    with locked(str(tmp_path / 'x'), 'job-a'):
        facts = json.loads((tmp_path / 'x.lock').read_text())
        assert facts['job'] == 'job-a' and facts['pid'] == os.getpid()


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path):
    path = str(tmp_path / 'facts.json')
    write_json(path, {'a': 1})
    with pytest.raises(ZeroDivisionError):
        with atomic_write(path, 'w') as stream:
            stream.write('half')
            1 // 0
    assert json.load(open(path)) == {'a': 1} and os.listdir(str(tmp_path)) == ['facts.json']
    plain = str(tmp_path / 'plain')
    open(plain, 'w').close()
    assert os.stat(path).st_mode == os.stat(plain).st_mode     # readable as any other file
