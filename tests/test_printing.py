"""Showing is never part of the work: closed, full, stopped and limited terminals, foreign names."""

import io
import os
import pty
import subprocess
import sys
import termios

import needs
import pytest
from toy import ROOT

from stackgan import printing

# A job's worth of lines, and what others print: then it says what its work was.
WORK = '''
import os, sys, warnings, logging
from stackgan import printing
printing.prepare()
from stackgan.progress import Progress
try:
    with Progress('work', %(lines)d, 'lines') as progress:
        for i in range(%(lines)d):
            printing.echo('line %%d ' %% i + 60 * 'x')
            printing.echo_error('caption \\u65e5\\u672c')
            progress.advance(note='\\u65e5')
    print('\\u65e5\\u672c')
    warnings.warn('odd')
    logging.error('odd')
    with printing.silenced_errors():
        pass
    with open(%(path)r, 'w') as stream:
        stream.write('done')
finally:
    printing.finish()
'''
FAREWELL = "import stackgan.printing as p; p.FAREWELL_SECONDS = 0.2\n"


def work(path, lines=20, before='', **how):
    code = before + WORK % dict(lines=lines, path=str(path))
    return subprocess.Popen([sys.executable, '-c', code], cwd=ROOT, **how)


def jobs(words, redirection='', **environment):
    """`python -m jobs` by a shell, with redirections; (exit code, standard output and error)."""
    done = subprocess.run(
        [needs.program('bash'), '-c', f'exec "$0" -m jobs {words} {redirection}',
         sys.executable], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ, **environment))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


FULL = [pytest.param(text, marks=needs.dev_full)
        for text in ('>/dev/full', '2>/dev/full', '>/dev/full 2>/dev/full <&-')]


@pytest.mark.parametrize('redirection', ['>&-', '2>&-', '>&- 2>&-'] + FULL)
def test_streams_that_are_closed_or_full(tmp_path, redirection):
    code = WORK % dict(lines=20, path=str(tmp_path / 'work'))
    done = subprocess.run(
        [needs.program('bash'), '-c', 'exec "$0" -c "$1" ' + redirection, sys.executable, code],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert done.returncode == 0 and (tmp_path / 'work').read_text() == 'done'


@pytest.mark.parametrize('words, code', [
    ('status --config smoke', 0), ('--help', 0), ('preprocess --help', 0), ('nonsense', 2),
    ('status --config nowhere.yaml', 2), ('run --dry-run --config smoke', 0)])
@pytest.mark.parametrize('redirection', ['>&- 2>&-', FULL[2], '| true'])
def test_the_exit_code_is_that_of_the_work(tmp_path, words, code, redirection):
    words += f' --data {tmp_path}' if 'config' in words else ''
    if redirection == '| true':
        redirection = '2> >(true) > >(true)'
    assert jobs(words, redirection) == (code, '', '')


def test_a_reader_that_leaves_ends_it_quietly(tmp_path):
    done = subprocess.run(
        f'set -o pipefail; "{sys.executable}" -m jobs status --config smoke --data {tmp_path} | '
        f'head -1', shell=True, cwd=ROOT, executable=needs.program('bash'),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0 and done.stderr == b''
    assert done.stdout.startswith(b'configuration smoke')


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1', 'ascii:strict', 'cp1252'])
def test_characters_that_cannot_be_shown(tmp_path, encoding):
    process = work(tmp_path / 'work', stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                   env=dict(os.environ, PYTHONIOENCODING=encoding))
    out, err = process.communicate()
    assert process.returncode == 0 and (tmp_path / 'work').read_text() == 'done'
    assert b'\\u65e5\\u672c' in out and b'caption \\u65e5\\u672c' in err and b'Error' not in err


def test_a_posix_locale_shows_a_name_with_escapes(tmp_path):
    folder = tmp_path / '\u65e5\u672c'
    folder.mkdir()
    code, out, err = jobs('status --config smoke --data ' + str(folder), LC_ALL='POSIX',
                          PYTHONCOERCECLOCALE='0', PYTHONUTF8='0')
    assert code == 0 and err == '' and 'configuration smoke' in out
    assert len(out.splitlines()) > 3


def test_a_pipe_that_nobody_reads_does_not_hold_the_work(tmp_path):
    process = work(tmp_path / 'work', lines=20000, before=FAREWELL, stdout=subprocess.PIPE,
                   stderr=subprocess.PIPE)
    try:
        assert process.wait(60) == 0
        assert (tmp_path / 'work').read_text() == 'done'
    finally:
        process.kill()
        process.communicate()


def test_a_terminal_that_is_stopped_does_not_hold_the_work(tmp_path):
    ours, theirs = pty.openpty()
    termios.tcflow(theirs, termios.TCOOFF)                 # Ctrl-S
    try:
        process = work(tmp_path / 'work', lines=20000, before=FAREWELL, stdout=theirs,
                       stderr=theirs)
        try:
            assert process.wait(60) == 0
            assert (tmp_path / 'work').read_text() == 'done'
        finally:
            process.kill()
            process.wait()
    finally:
        termios.tcflow(theirs, termios.TCOON)
        os.close(ours)
        os.close(theirs)


def test_a_reader_that_is_slow_gets_every_line(tmp_path):
    process = work(tmp_path / 'work', lines=3000, stdout=subprocess.PIPE,
                   stderr=subprocess.DEVNULL)
    lines = []
    while True:                                            # in small pieces
        piece = os.read(process.stdout.fileno(), 700)
        if not piece:
            break
        lines.append(piece)
    assert process.wait() == 0
    text = b''.join(lines).decode()
    assert [line.split()[1] for line in text.splitlines()[:-1]] == [str(i) for i in range(3000)]
    process.stdout.close()


def test_an_answer_waits_for_its_reader():
    code = ('from stackgan import printing; printing.prepare()\n'
            'printing.show("\\n".join(100 * "x" for _ in range(30000))); printing.finish()')
    process = subprocess.Popen([sys.executable, '-c', FAREWELL + code], cwd=ROOT,
                               stdout=subprocess.PIPE)
    assert len(process.stdout.read(1000)) == 1000
    assert len(process.communicate()[0].splitlines()) > 29980 and process.returncode == 0


@pytest.mark.parametrize('text, shown', [
    ('a\x1b[31mred', r'a\x1b[31mred'), ('two\nlines\r', r'two\nlines\r'),
    ('abc\u202ecba', r'abc\u202ecba'), ('caf\udce9', r'caf\udce9'), ('\x85\u2028', r'\x85\u2028'),
    ('\x00\x07\x7f', r'\x00\x07\x7f'), ('plain \u65e5\u672c\u3000\xa0\U0001f426',) * 2,
    (ValueError('a\tb'), r'a\tb')])
def test_no_character_is_shown_that_a_terminal_obeys(text, shown, capsys):
    assert printing.printable(text) == shown
    printing.echo(text)
    printing.echo_error(text)
    assert capsys.readouterr() == (shown + '\n', shown + '\n')


def test_names_from_outside_are_escaped_wherever_they_are_shown(tmp_path):
    code, out, err = jobs("status --config $'no\\x1b[2Jwhere.yaml'")
    assert code == 2 and '\x1b' not in err and r'no\x1b[2Jwhere.yaml' in err
    code, out, err = jobs("status $'\\x1b[2J' --config smoke")
    assert code == 2 and '\x1b' not in err and r'\x1b[2J' in err
    code, out, err = jobs(f"status --config smoke --data $'{tmp_path}/a\\nb'")
    assert code == 0 and r'a\nb' in out.splitlines()[0]


def test_a_stream_that_fails_is_no_failure(monkeypatch):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError
    for stream in (Broken(), None, open(os.devnull)):
        monkeypatch.setattr(sys, 'stdout', stream)
        monkeypatch.setattr(sys, 'stderr', stream)
        printing.echo('x')
        printing.echo_error('x')
        printing.show('x')
        with printing.silenced_errors():
            pass
        assert not printing.Terminal().is_terminal
