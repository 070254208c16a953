"""The live view of jobs: what it shows of files that anyone may have written, and its bounds."""

import http.client
import json
import os
import re
import shutil
import signal
import time

import needs
import pytest
from browser import Browser
from live_toy import OUTPUT, PNG, train
from serve_toy import RUN, Served
from serving_client import client_of
from toy import tiny_config

from jobs.engine.chain import rows_of_status
from jobs.engine.live import rows_of_jobs
from jobs.engine.locks import locked
from stackgan.files import files_below
from stackgan.progress import Progress, recorded
from stackgan.reporting.charts import line_chart
from stackgan.serving import live, streams
from stackgan.serving.job_files import LOG_LINES, STATS_BYTES, JobFiles, error_in
from stackgan.serving.live import JobRow, LiveJobs
from stackgan.serving.refusals import Refusal
from stackgan.serving.streams import Streams

FIGURES = '{"label": "a", "done": %s, "total": 3, "unit": "", "rate": 1, "note": ""}'


def look(volume, state='running', **more):
    found, = LiveJobs(str(volume), lambda: [JobRow('train-stage1', state, OUTPUT, 'since ten')],
                      **more).all()
    return found


def test_a_training_that_runs(tmp_path):
    train(tmp_path)
    found = look(tmp_path)
    assert (found.state, found.grid, found.error) == ('running', '00000004.png', '')
    assert found.progress.done == 32 and found.progress.total == 80
    assert dict(found.stats)['stage1/generator_fake'] == 4.0
    assert [title for title, _ in found.charts] == ['Losses']
    points = re.findall(r'points="([^"]*)"', found.charts[0][1])
    assert len(points) == 2 and len(points[0].split()) == 4
    train(tmp_path, 6)
    later = look(tmp_path)
    assert later.version != found.version and later.id == found.id
    assert len(re.findall(r'points="([^"]*)"', later.charts[0][1])[0].split()) == 6


def test_errors_are_those_that_the_log_ends_with(tmp_path):
    train(tmp_path, error='generator is nan at step 4, the training has diverged')
    found = look(tmp_path, 'unfinished')
    assert found.state == 'failed' and found.error.startswith('generator is nan at step 4')
    assert '  File "x"' in found.log
    assert look(tmp_path).state == 'running' and not look(tmp_path).error     # resumed
    train(tmp_path)
    assert look(tmp_path, 'unfinished').state == 'stopped'
    assert error_in(['2026-01-01 10:00:00  error: a', '2026-01-01 10:00:01  resuming']) == ''
    assert error_in(['no line of a log error: a']) == ''


def test_states_are_those_of_status(tmp_path):
    config, volume = tiny_config(), str(tmp_path)
    rows = rows_of_jobs(config, volume)
    status = {row[0]: row[1:] for row in rows_of_status(config, volume, {})}
    assert [row.job for row in rows][:2] == ['make-dataset', 'preprocess']
    assert all([row.state, row.output, row.detail] == status[row.job] for row in rows)
    assert set(status) - {row.job for row in rows} == {'convert-om', 'verify-om',
                                                       'import-checkpoint'}
    with locked(str(tmp_path / 'runs' / RUN / 'stage1'), 'train-stage1'), \
            locked(str(tmp_path / 'runs' / 'another' / 'stage2'), 'train-stage2'):
        running = {row.output: row for row in rows_of_jobs(config, volume)
                   if row.state == 'running'}
    assert set(running) == {f'runs/{RUN}/stage1', 'runs/another/stage2'}
    assert running['runs/another/stage2'].job == 'train-stage2'
    assert re.match(rf'process {os.getpid()} on \S+ since \S+ \S+$',
                    running[f'runs/{RUN}/stage1'].detail)


def test_one_look_for_all_and_none_without_visitors(tmp_path):
    now, looks = [0.0], []

    def rows():
        looks.append(now[0])
        now[0] += 1.0                                   # it takes a second
        return [JobRow('train-stage1', 'waiting', OUTPUT, f'{tmp_path}/a is missing')]

    jobs = LiveJobs(str(tmp_path), rows, lambda: now[0])
    assert looks == []
    for _ in range(5):
        assert jobs.all()[0].detail == 'a is missing'   # the volume's place is the owner's affair
    assert looks == [0.0]
    now[0] += live.IDLE_SHARE
    jobs.all()
    assert len(looks) == 2


def test_a_state_that_cannot_be_read_leaves_the_page(tmp_path):
    client = client_of(tmp_path, live=LiveJobs(str(tmp_path), lambda: 1 // 0))
    assert client.get('/api/jobs').get_json() == {'jobs': []}
    assert 'cannot be read' in client.get('/jobs/').get_data(as_text=True)
    assert 'ZeroDivisionError' in client.lines[0]


# What others wrote.

@pytest.mark.parametrize('name, content', [
    ('progress.json', '{"label": 1}'), ('progress.json', '[1]'), ('progress.json', '{'),
    ('progress.json', FIGURES % '-1'), ('progress.json', FIGURES % 'NaN'),
    ('progress.json', FIGURES % 'true'), ('progress.json', FIGURES % '1e300'),
    ('stats.jsonl', '[1]\n"a"\n{"step": "x"}\n{"step": 1e999}\n{'),
    ('stats.jsonl', '{"step": 1, "a": ' + '9' * 500 + '}\n' + '[' * 100000),
    ('log.txt', '\x1b[2J\x00')])
def test_what_is_not_as_a_job_writes_it_is_not_shown(tmp_path, name, content):
    folder = train(tmp_path)
    (folder / name).write_text(content)
    found = look(tmp_path)
    if name == 'progress.json':
        assert found.progress is None and found.charts
    elif name == 'stats.jsonl':
        assert found.stats == () and found.charts == () and found.progress
    else:
        assert found.log == (r'\x1b[2J\x00',)


def test_links_lead_nowhere(tmp_path):
    secret = tmp_path / 'secret'
    train(secret)
    folder = train(tmp_path / 'volume')
    for name in ('progress.json', 'stats.jsonl', 'log.txt', 'samples/00000004.png'):
        (folder / name).unlink()
        (folder / name).symlink_to(secret / (OUTPUT + '.partial') / name)
    found = look(tmp_path / 'volume')
    assert (found.progress, found.stats, found.log) == (None, (), ())
    files = JobFiles(str(tmp_path / 'volume'))
    assert files.grid(OUTPUT + '.partial', '00000004.png') is None
    (tmp_path / 'linked').mkdir()
    (tmp_path / 'linked' / 'runs').symlink_to(secret / 'runs')
    assert look(tmp_path / 'linked').log == ()


def test_large_files_are_read_from_their_end(tmp_path):
    folder = train(tmp_path)
    line = json.dumps({'step': 1, 'a': 'x' * 1000}) + '\n'
    with open(str(folder / 'stats.jsonl'), 'w') as stream:
        stream.write(line * (STATS_BYTES // len(line) + 10) + '{"step": 7, "loss": 2}\n')
    (folder / 'log.txt').write_text('a line\n' * 100000)
    found = look(tmp_path)
    assert dict(found.stats) == {'step': 7.0, 'loss': 2.0} and len(found.log) == LOG_LINES
    assert JobFiles(str(tmp_path)).stats(OUTPUT + '.partial')[-1]['step'] == 7.0


# The page and the API.

@pytest.fixture
def training_client(tmp_path):
    train(tmp_path, error='<b>out</b> of memory')
    return client_of(tmp_path, live=LiveJobs(str(tmp_path), lambda: [
        JobRow('preprocess', 'done', 'prepared/one', 'took 3s'),
        JobRow('train-stage1', 'unfinished', OUTPUT, 'resumes where it stopped')]))


def test_the_page_and_the_grid(training_client):
    text = training_client.get('/jobs/').get_data(as_text=True)
    assert '&lt;b&gt;out&lt;/b&gt; of memory' in text and '<b>' not in text
    assert '40 %, 32 of 80 images</p>' in text           # no time is left of what has stopped
    assert 'aria-current="page">Jobs' in text and 'role="status"' in text
    address, = re.findall(r'<img src="([^"]*)"', text)
    answer = training_client.get(address)
    assert answer.data == PNG + b'4' and answer.mimetype == 'image/png'
    below = training_client.get('/jobs/', base_url='http://localhost/birds').get_data(as_text=True)
    found = re.findall(r'(?:src|href|data-events)="([^"]*)"', below)
    assert len(found) > 6 and all(each.startswith('/birds/') for each in found)
    start = address[:address.rindex('/')]
    for name in ('progress.json', '../log.txt', '..%2flog.txt', '00000004.png%00', '9.png',
                 '%2fetc%2fpasswd', '4.png/..'):
        assert training_client.get(f'{start}/{name}').status_code in (404, 308), name
    assert training_client.get('/jobs/job-0/00000004.png').status_code == 404


def test_events(training_client, monkeypatch):
    monkeypatch.setattr(streams, 'STREAM_SECONDS', 0.0)
    answer = training_client.get('/api/jobs/events', base_url='http://localhost/birds')
    assert answer.mimetype == 'text/event-stream'
    event, = answer.data.decode().strip().split('\n\n')
    fields = dict(line.split(': ', 1) for line in event.split('\n'))
    assert fields['event'] == 'jobs' and fields['id'] and fields['retry'] == '2000'
    first, second = json.loads(fields['data'])['jobs']
    assert (first['job'], first['state'], second['state']) == ('preprocess', 'done', 'failed')
    assert second['error'] == '<b>out</b> of memory' and second['progress']['done'] == 32
    assert second['grid'].startswith('/birds/jobs/job-')
    assert training_client.get(second['grid'][len('/birds'):]).status_code == 200
    assert training_client.get('/api/jobs', base_url='http://localhost/birds').get_json() == {
        'jobs': [first, second]}
    answer.close()
    assert len(training_client.service.streams) == 0
    refused = training_client.get('/api/jobs/events', headers={'Sec-Fetch-Site': 'cross-site'})
    assert refused.status_code == 403


def test_without_a_volume_there_is_no_view(tmp_path):
    client = client_of(tmp_path)
    for path in ('/jobs/', '/api/jobs', '/api/jobs/events'):
        assert client.get(path).status_code == 404
    assert 'Jobs' not in client.get('/').get_data(as_text=True)


# Streams.

def test_streams_are_bounded_and_freed():
    several = Streams()
    opened = [several.open('a', 'x', lambda: ('1', '{}')) for _ in range(streams.MAX_OF_ADDRESS)]
    with pytest.raises(Refusal) as refused:
        several.open('a', 'x', lambda: ('1', '{}'))
    assert (refused.value.status, refused.value.retry_after) == (503, 10)
    opened += [several.open(str(i), 'x', lambda: ('1', '{}'))
               for i in range(streams.MAX_STREAMS - len(opened))]
    with pytest.raises(Refusal):
        several.open('b', 'x', lambda: ('1', '{}'))
    opened[0].close()                                    # one that never began
    opened[0].close()
    opened[0] = several.open('a', 'x', lambda: ('1', '{}'))
    for each in opened:
        each.close()
    assert len(several) == 0 and several._open == {}
    several.close()
    with pytest.raises(Refusal):
        several.open('a', 'x', lambda: ('1', '{}'))


class Clock:
    """Time that passes by itself while a stream waits, a named fake."""

    def __init__(self):
        self.now = 0.0

    def wait(self, seconds):
        self.now += seconds
        return False

    def is_set(self):
        return False


def test_a_stream_says_what_is_new_and_ends():
    clock = Clock()
    one = Streams(lambda: clock.now)
    one.closed = clock
    stream = one.open('a', 'x', lambda: (str(int(clock.now // 25)), 'data'))
    said = list(stream)
    assert [line for each in said for line in each.decode().split('\n')
            if line.startswith('id')] == ['id: 0', 'id: 1', 'id: 2']
    assert said.count(b': still here\n\n') == 4          # after 10, 20, 35 and 45 s
    assert clock.now == streams.STREAM_SECONDS


def test_a_server_streams_below_a_path_and_stops_at_once(tmp_path):
    """By the process: an event comes while the job runs, and SIGTERM does not wait for streams."""
    with Served(tmp_path, '--path-prefix', '/birds') as server:
        connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=30)
        connection.request('GET', '/birds/api/jobs/events')
        answer = connection.getresponse()

        def running():
            """The jobs that run, by the next event."""
            while True:
                line = answer.fp.readline().decode()
                if line.startswith('data: '):
                    return {each['job']: each.get('progress', {}).get('done')
                            for each in json.loads(line[6:])['jobs']
                            if each['state'] == 'running'}

        assert running() == {}
        folder = tmp_path / 'runs' / RUN / 'stage1'
        (tmp_path / 'runs' / RUN / 'stage1.partial').mkdir(parents=True)
        with locked(str(folder), 'train-stage1'), recorded(str(folder) + '.partial'), \
                Progress('train-stage1', 10, 'images') as progress:
            assert running() == {'train-stage1': 0}
            progress.recorded = None
            progress.advance(4)
            assert running() == {'train-stage1': 4}
        started = time.monotonic()
        code, text = server.stop(signal.SIGTERM)
        assert code == 0 and time.monotonic() - started < 5, text
        connection.close()
    with Served(tmp_path, '--no-jobs') as server:
        assert server.ask('/api/jobs')[0] == 404


@pytest.mark.newest
@needs.browser
def test_the_page_changes_by_itself(tmp_path):
    """Without loading it again: progress, grid and curves move; what is opened stays open."""
    folder = tmp_path / 'runs' / RUN / 'stage1'
    partial = tmp_path / 'runs' / RUN / 'stage1.partial'
    partial.mkdir(parents=True)
    item = 'document.querySelector("[data-name=train-stage1]")'
    with Served(tmp_path) as server, Browser() as browser:
        with locked(str(folder), 'train-stage1'):
            for name in files_below(str(train(tmp_path / 'of'))):
                (partial / 'samples').mkdir(exist_ok=True)
                shutil.copy(str(tmp_path / 'of' / (OUTPUT + '.partial') / name),
                            str(partial / name))
            browser.open(server.url + '/jobs/')
            browser.wait('document.getElementById("connection").textContent === "Live."')
            browser.wait(f'{item} && {item}.dataset.state === "running"')
            browser.evaluate(f'{item}.querySelectorAll("details")[1].open = true')
            browser.evaluate(f'{item}.querySelectorAll("summary")[1].focus()')
            before = browser.evaluate(f'{item}.querySelector("polyline").getAttribute("points")')
            assert browser.evaluate(f'{item}.querySelector("progress").value') == 0.4
            train(tmp_path / 'of', 6)
            for name in ('samples/00000006.png', 'stats.jsonl', 'progress.json'):
                shutil.copy(str(tmp_path / 'of' / (OUTPUT + '.partial') / name),
                            str(partial / name))
            browser.wait(f'{item}.querySelector("progress").value === 0.6')
            browser.wait(f'{item}.querySelector("img").src.endsWith("00000006.png")')
            assert before != browser.evaluate(
                f'{item}.querySelector("polyline").getAttribute("points")')
            assert browser.evaluate(f'{item}.querySelectorAll("details")[1].open')
            assert browser.evaluate(
                f'document.activeElement === {item}.querySelectorAll("summary")[1]')
        browser.wait(f'{item}.dataset.state !== "running"')
        browser.wait('document.getElementById("news").textContent.startsWith("train-stage1: ")')
        assert browser.evaluate('performance.getEntriesByType("navigation").length') == 1
        assert browser.complaints == []


def test_the_axis_of_steps_has_no_label_outside_of_its_chart():
    chart = line_chart([('loss', [(float(step), 1.0) for step in range(2, 31, 2)])], 'step', 'Loss')
    marks = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">(\d+)', chart)
    line = re.search(r'points="([\d.]+),.* ([\d.]+),[\d.]+"', chart).groups()
    assert [label for _, label in marks] == ['10', '20', '30']      # 0 lies before its first point
    assert all(float(line[0]) <= float(x) <= float(line[1]) for x, _ in marks)
