"""Progress: plain lines without a terminal, a bar with one."""

import io
import json
import os

from stackgan import progress
from stackgan.progress import RECORD, Progress, duration, recorded


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_durations():
    assert [duration(s) for s in (0, 59.4, 59.6, 125, 3599, 3600, 7500)] == [
        '0s', '59s', '1m00s', '2m05s', '59m59s', '1h00m', '2h05m']
    assert duration(-31535987.2) == duration(float('nan')) == '0s'
    assert duration(float('inf')) == '277777h46m'


def test_plain_lines_come_at_intervals_and_at_the_end(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: clock[0])
    stream = io.StringIO()
    with Progress('train', 100, 'images', stream=stream) as bar:
        for _ in range(10):
            clock[0] += 4.0
            bar.advance(10, 'D 1.0')
    lines = stream.getvalue().splitlines()
    assert lines[0] == 'train  30%  30/100 images  2.5/s  28s left  D 1.0'
    assert lines[-1] == 'train 100%  100/100 images  2.5/s  took 40s  D 1.0'
    assert len(lines) == 4 and '\r' not in stream.getvalue()


def test_the_last_line_comes_once(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: clock[0])
    stream = io.StringIO()
    with Progress('train', 20, 'images', stream=stream) as bar:
        for _ in range(2):
            clock[0] += 15.0
            bar.advance(10)
    assert len(stream.getvalue().splitlines()) == 2


def test_what_was_done_before_is_progress_but_not_speed(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: clock[0])
    bar = Progress('train', 100, 'images', done=50, stream=io.StringIO())
    clock[0] = 5.0
    bar.advance(10)
    assert bar.rate() == 2.0 and bar.text().startswith('train  60%  60/100 images  2.0/s  20s left')


def test_a_terminal_gets_a_bar_on_one_line():
    stream = Terminal()
    with Progress('train', 4, 'steps', stream=stream) as bar:
        for _ in range(4):
            bar.advance()
    assert 'train [########################] 100%' in stream.getvalue()
    assert stream.getvalue().count('\n') == 1


def test_an_error_leaves_no_line_that_says_finished():
    stream = io.StringIO()
    try:
        with Progress('train', 4, 'steps', stream=stream) as bar:
            bar.advance()
            raise KeyError
    except KeyError:
        pass
    assert stream.getvalue() == ''


def test_a_file_has_the_figures_while_the_work_goes_on(tmp_path, monkeypatch):
    clock, path = [0.0], tmp_path / RECORD
    monkeypatch.setattr(progress.time, 'monotonic', lambda: clock[0])
    path.write_text('of an earlier process')

    def done():
        return json.loads(path.read_text())['done']

    with recorded(str(tmp_path)):
        assert not path.exists()
        with Progress('train', 100, 'images', stream=io.StringIO()) as bar:
            assert json.loads(path.read_text()) == {
                'label': 'train', 'done': 0, 'total': 100, 'unit': 'images', 'rate': 0.0,
                'note': ''}
            clock[0] = 0.5
            bar.advance(10)
            assert done() == 0                        # at most once a second
            clock[0] = 1.5
            bar.advance(10, 'D 1.0')
            assert done() == 20 and json.loads(path.read_text())['note'] == 'D 1.0'
    assert os.listdir(str(tmp_path)) == []
    try:
        with recorded(str(tmp_path)), Progress('train', 9, 'images', stream=io.StringIO()):
            raise KeyError
    except KeyError:
        assert done() == 0                            # how far it came
    with recorded(str(tmp_path / 'nowhere')):
        with Progress('train', 1, 'x', stream=io.StringIO()) as bar:
            bar.advance()                             # no failure of the work


def test_the_file_is_never_written_through_a_link(tmp_path):
    other = tmp_path / 'other'
    other.write_text('kept')
    with recorded(str(tmp_path)):
        (tmp_path / (RECORD + progress.BUILDING)).symlink_to(other)
        with Progress('train', 1, 'x', stream=io.StringIO()):
            pass
    assert other.read_text() == 'kept'


def test_a_worker_beside_the_one_that_shows_progress_shows_none(monkeypatch, capsys):
    monkeypatch.setattr(progress, '_nowhere', None)
    progress.hide()
    with progress.Progress('embed', 2, 'captions') as bar:
        bar.advance(2)
    assert capsys.readouterr().err == '' and bar.done == 2
