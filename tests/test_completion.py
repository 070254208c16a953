"""Completion, asked of a real bash."""

import os
import subprocess

import needs
import pytest
from toy import ROOT

from jobs.engine.command_line import main


def complete(script, *words):
    """What bash offers for the last of the words."""
    ask = ('COMP_WORDS=(%s); COMP_CWORD=%d; _stackgan; printf "%%s\\n" "${COMPREPLY[@]}"'
           % (' '.join(f"'{word}'" for word in words), len(words) - 1))
    done = subprocess.run([needs.program('bash'), '-c', script + '\n' + ask], cwd=ROOT,
                          stdout=subprocess.PIPE, check=True, universal_newlines=True)
    return done.stdout.split()


@pytest.fixture
def script(capsys):
    assert main(['completion', 'bash']) == 0
    return capsys.readouterr().out


def test_words_are_completed(script):
    assert complete(script, 'stackgan', 'train-s') == ['train-stage1', 'train-stage2',
                                                       'train-scorer']
    assert complete(script, 'stackgan', 'sample', '--capt') == ['--caption', '--captions']
    assert complete(script, 'stackgan', 'run', '--config', 'fol') == ['folder', 'folder-cpu']
    assert complete(script, 'stackgan', 'run', '--on', '') == ['auto', 'docker', 'local']
    assert complete(script, 'stackgan', 'submit', '--on', 's') == ['slurm']
    assert complete(script, 'stackgan', 'logs', 'rep') == ['report']
    assert complete(script, 'stackgan', 'run', '--until', 'em') == ['embed']


def test_files_are_completed_where_no_word_fits(script):
    assert 'README.md' in complete(script, 'stackgan', 'sample', '--captions', 'READ')


def test_zsh_is_told_to_understand_it(capsys):
    assert main(['completion', 'zsh']) == 0
    assert 'bashcompinit' in capsys.readouterr().out


def test_the_version(capsys):
    with pytest.raises(SystemExit) as done:
        main(['--version'])
    assert done.value.code == 0
    with open(os.path.join(ROOT, 'stackgan', '__init__.py'), encoding='utf-8') as stream:
        version = stream.read().split("__version__ = '")[1].split("'")[0]
    assert capsys.readouterr().out == f'stackgan {version}\n'
