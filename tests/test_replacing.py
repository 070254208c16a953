"""A finished training that took long is replaced only when that is asked for."""

import io
import os
import shutil
import sys

import pytest
from test_resuming import JOB, stage, toy, trained, volume  # noqa: F401, fixtures
from volume_toy import ARGUMENTS, run_job, toy_config

from jobs import train_stage2
from jobs.engine import chain, command_line, docker_runner
from jobs.engine.chain import rows_of_status, run_chain
from jobs.engine.contract import read_manifest, state_of
from jobs.engine.replacing import replaced_by
from stackgan.errors import InputError
from stackgan.files import read_json, write_json

CHANGED = ('train.batch_size=8',)


def took(folder, seconds):
    path = os.path.join(folder, 'manifest.json')
    write_json(path, dict(read_json(path), seconds=seconds))


@pytest.fixture
def long(volume):                                                # noqa: F811
    """A volume whose Stage-I took three hours."""
    took(stage(volume), 3 * 3600)
    return volume


def test_it_is_kept_and_the_message_says_what_to_do(long, capsys):
    before = read_manifest(stage(long))
    assert run_job(JOB, long, toy_config(*CHANGED)) == 2
    said = capsys.readouterr().err
    assert (f'{stage(long)}, a finished training of 3h00m, would be replaced: stage1.batch_size 4 '
            f'-> 8; set it '
            'back, choose another run.name, or pass --restart') in said, said
    assert read_manifest(stage(long)) == before
    assert not os.path.exists(stage(long) + '.partial')


def test_it_is_replaced_when_asked_and_kept_beside(long, monkeypatch):
    before = read_manifest(stage(long))
    assert run_job(JOB, long, toy_config(*CHANGED), restart=True) == 0
    assert read_manifest(stage(long))['request']['settings']['stage1.batch_size'] == 8
    assert read_manifest(stage(long) + '.previous') == before
    took(stage(long), 3600)
    monkeypatch.setenv('STACKGAN_RESTART', 'train-stage2,train-stage1')
    assert run_job(JOB, long, toy_config('train.batch_size=2')) == 0


def test_what_took_minutes_is_replaced_as_before(volume):        # noqa: F811
    took(stage(volume), 599)
    assert run_job(JOB, volume, toy_config(*CHANGED)) == 0


def test_more_epochs_extend_it(long, capsys):
    assert run_job(JOB, long, toy_config('stage1.epochs=4')) == 0
    assert 'extending the finished output' in capsys.readouterr().out
    assert read_manifest(stage(long))['seconds'] > 3 * 3600          # all that was worked on it


def test_begun_anew_it_goes_on_without_being_asked_again(long):
    assert run_job(JOB._replace(run=lambda work: 1 / 0), long, toy_config(*CHANGED),
                   restart=True) == 1
    assert run_job(JOB, long, toy_config(*CHANGED)) == 0


@pytest.mark.parametrize('answer, code', [('y\n', 0), ('\n', 2), ('no\n', 2), ('', 2)])
def test_a_person_at_a_terminal_is_asked(long, monkeypatch, capsys, answer, code):
    class Typed(io.StringIO):
        def isatty(self):
            return True
    monkeypatch.setattr(sys, 'stdin', Typed(answer))
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    assert run_job(JOB, long, toy_config(*CHANGED)) == code
    assert 'Replace it? [y/N]' in capsys.readouterr().err


def test_a_chain_finds_it_before_anything_runs(long, monkeypatch):
    ran = []
    monkeypatch.setattr(chain, '_run_process', lambda name, given: ran.append((name, given)) or 0)
    config = toy_config(*CHANGED)
    with pytest.raises(InputError, match='pass --restart train-stage1 to replace it'):
        run_chain(config, long, 'train-stage2', [])
    assert not ran
    run_chain(config, long, 'train-stage2', ['--data', 'x'], ['train-stage1'])
    assert ('train-stage1', ['--data', 'x', '--restart']) in ran
    assert ('train-stage2', ['--data', 'x']) in ran


def test_what_follows_from_a_change_counts(long, monkeypatch):
    """A short Stage-I is made anew, and a long Stage-II would be for it."""
    config = toy_config()
    took(stage(long), 60)
    second = os.path.join(long, 'runs', 'toy', 'stage2')
    shutil.copytree(stage(long), second)
    job = train_stage2.JOB
    from jobs.engine.contract import request_of
    path = os.path.join(second, 'manifest.json')
    write_json(path, dict(read_json(path), seconds=7200,
                          request=request_of(job, config, long)))
    assert state_of(job, config, long).word == 'done'
    changed = toy_config('stage1.learning_rate_half_life_epochs=1')
    assert state_of(job, changed, long).word == 'done'
    found = replaced_by(chain.until('train-stage2', changed, long), changed, long)
    assert list(found) == ['train-stage2']
    assert 'depends on train-stage1' in found['train-stage2'].reason
    assert not replaced_by(chain.until('train-stage2', config, long), config, long)


def test_status_and_a_dry_run_show_it(long, capsys):
    rows = rows_of_status(toy_config(*CHANGED), long, {})
    row, = [row for row in rows if row[0] == 'train-stage1']
    assert row[3].endswith('--restart replaces the finished training of 3h00m')
    settings = [word for text in CHANGED for word in ('--set', text)]
    assert command_line.main(['run', '--dry-run', '--data', long] + ARGUMENTS + settings) == 0
    line, = [line for line in capsys.readouterr().out.splitlines()
             if line.startswith('train-stage1 ')]
    assert 'needs --restart' in line and 'a finished training of 3h00m' in line


def test_containers_are_told(long, monkeypatch):
    """The chain in containers asks before it looks for an engine, and hands the answer on."""
    given = []
    monkeypatch.setattr(docker_runner, 'connect', lambda: None)
    monkeypatch.setattr(docker_runner, 'Project', lambda environment: given.append(environment))
    with pytest.raises(InputError, match='--restart train-stage1'):
        docker_runner.run_chain(toy_config(*CHANGED), long, 'train-stage1', {})
    assert not given
    with pytest.raises(AttributeError):                         # of the project that is none
        docker_runner.run_chain(toy_config(*CHANGED), long, 'train-stage1', {}, ['train-stage1'])
    assert given == [{'STACKGAN_RESTART': 'train-stage1'}]


def test_the_seconds_of_all_processes_count(trained, tmp_path):             # noqa: F811
    volume = shutil.copytree(trained, str(tmp_path / 'volume'))              # noqa: F811
    config = toy_config('train.batch_size=2')

    def fail(work):
        with open(os.path.join(work.folder, 'stats.jsonl'), 'w') as stream:
            stream.write('{}\n')
        began = os.path.getmtime(os.path.join(work.folder, 'request.json'))
        os.utime(stream.name, (began + 500, began + 500))
        raise ZeroDivisionError

    def finish(work):
        os.remove(os.path.join(work.folder, 'stats.jsonl'))
        JOB.run(work)

    assert run_job(JOB._replace(run=fail), volume, config) == 1
    assert run_job(JOB._replace(run=fail), volume, config) == 1
    assert run_job(JOB._replace(run=finish), volume, config) == 0
    assert 1000 <= read_manifest(stage(volume))['seconds'] < 1060
