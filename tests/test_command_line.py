"""`python -m jobs`: helps, dry runs, status, exit codes, speed of an up-to-date answer."""

import os
import subprocess
import sys

import pytest
from toy import ROOT

from jobs.engine import chain, command_line
from jobs.engine.command_line import main
from jobs.engine.completion import commands_of

SMOKE = ['--config', os.path.join(ROOT, 'configs', 'smoke.yaml')]


def call(*arguments, **environment):
    return subprocess.run([sys.executable, '-m', 'jobs'] + list(arguments), cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, env=dict(os.environ, **environment))


def test_the_help_names_every_job_and_exit_code():
    done = call('--help')
    assert done.returncode == 0
    for name in chain.NAMES + ('run', 'status', 'exit codes', '130'):
        assert name in done.stdout


@pytest.mark.parametrize('command', ('run', 'status', 'logs', 'clean', 'serve') + chain.NAMES)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as done:
        main([command, '--help'])
    assert done.value.code == 0
    text = capsys.readouterr().out
    assert '--config' in text and '--set' in text and '--data' in text


def test_dry_run_prints_the_configuration_and_the_plan(tmp_path, capsys):
    arguments = SMOKE + ['--data', str(tmp_path), '--set', 'train.batch_size=6', '--dry-run']
    assert main(['run', '--until', 'preprocess'] + arguments) == 0
    text = capsys.readouterr().out
    assert 'batch_size: 6' in text and 'raw: raw/smoke' not in text.split('JOB')[0].split('\n')[0]
    assert 'make-dataset  would run' in text and 'train-stage1' not in text.split('JOB')[1]
    assert main(['train-stage1'] + arguments) == 0
    assert 'train-stage1  would run  waiting' in capsys.readouterr().out
    assert os.listdir(str(tmp_path)) == []


def test_status_of_an_empty_volume(tmp_path, capsys):
    assert main(['status', '--data', str(tmp_path)] + SMOKE) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ['JOB', 'STATE', 'OUTPUT', 'DETAIL']
    assert [line.split()[0] for line in lines[2:]] == list(chain.NAMES)
    assert lines[2].split()[1] == 'missing' and lines[3].split()[1] == 'waiting'


NOT_FOR_STATUS = ('numpy', 'PIL', 'tensorflow', 'socket', 'tempfile', 'concurrent.futures',
                  'jobs.engine.execution', 'jobs.engine.docker_runner', 'jobs.engine.verify',
                  'jobs.engine.sweeps', 'jobs.engine.kubernetes', 'jobs.serve')


def test_status_imports_no_more_than_it_needs(tmp_path):
    code = ('import sys; from jobs.engine.command_line import main\n'
            'assert main(sys.argv[1:]) == 0\n'
            f'print("imported:", *sorted(set(sys.modules) & set({NOT_FOR_STATUS!r})))')
    done = subprocess.run([sys.executable, '-c', code, 'status', '--data', str(tmp_path)] + SMOKE,
                          cwd=ROOT, stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == 'imported:'


def test_a_command_alone_is_parsed_as_it_is_among_all():
    every = command_line._parser()
    for name, command in commands_of(every).items():
        alone = command_line._parser(name)
        assert alone.format_usage() == every.format_usage()
        if name == 'completion':
            assert list(commands_of(alone)) == list(commands_of(every))
        else:
            assert list(commands_of(alone)) == [name]
        assert commands_of(alone)[name].format_help() == command.format_help()


@pytest.mark.parametrize('words, said', [
    (['stats'], "invalid choice: 'stats' (choose from"), (['status', '--job'], 'unrecognized'),
    ([], 'required: command')])
def test_words_that_are_no_command_are_told(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and said in capsys.readouterr().err.replace('COMMAND', 'command')


@pytest.mark.parametrize('arguments, text', [
    (['--config', 'nowhere.yaml'], 'nowhere.yaml: cannot be read'),
    (['--config', 'burds'], 'no such file, and configs/ has only birds, birds-improved, flowers,'),
    (['--set', 'train.batchsize=2'], 'unknown key train.batchsize; did you mean batch_size?')])
def test_bad_configuration_is_exit_code_2_and_one_line(arguments, text):
    done = call('preprocess', *arguments)
    assert done.returncode == 2 and text in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ''


def test_environment_variables_name_configuration_and_volume(tmp_path):
    done = call('status', STACKGAN_CONFIG='smoke', STACKGAN_DATA=str(tmp_path))
    assert f'configuration smoke, volume {tmp_path}' in done.stdout


def test_missing_raw_data_is_exit_code_2(tmp_path):
    done = call('run', '--on', 'local', '--config', 'birds', '--data', str(tmp_path))
    assert done.returncode == 2
    assert 'make-dataset: not needed' in done.stdout
    assert 'raw/birds is missing; put the raw dataset there' in done.stderr
    assert 'preprocess ended with exit code 2, the rest was not run' in done.stderr
