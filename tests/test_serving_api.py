"""The API of `serve`: what its description says, and what it refuses."""

import json
import os
import re
import shutil

import pytest
from live_toy import OUTPUT, train
from serve_toy import RUN
from serving_client import CAPTION, check_answer, client_of, generate, one_line, schema_of

from stackgan.serving import streams
from stackgan.serving.live import JobRow, LiveJobs

jsonschema = pytest.importorskip('jsonschema')
pytestmark = pytest.mark.usefixtures('workers_end')

def test_every_answer_is_as_described(client, tmp_path, monkeypatch):
    document = client.get('/openapi.json').get_json()
    image = generate(client).get_json()['images'][0]
    tight = client_of(os.devnull, rate=1)
    hurried = client_of(client.service.runs._folder[:-len('/runs')], rate=1)
    generate(hurried)
    monkeypatch.setattr(streams, 'STREAM_SECONDS', 0.0)
    train(tmp_path, error='out of memory')
    jobs = client_of(tmp_path, live=LiveJobs(str(tmp_path), lambda: [
        JobRow('train-stage1', 'unfinished', OUTPUT, 'resumes')]))
    grid = jobs.get('/api/jobs').get_json()['jobs'][0]['grid']
    answers = [
        ('/api/jobs', 'get', jobs.get('/api/jobs')),
        ('/api/jobs/events', 'get', jobs.get('/api/jobs/events')),
        ('/jobs/{id}/{name}', 'get', jobs.get(grid)),
        ('/api/images/{id}/nearest', 'get', client.get('/api/images/0/nearest')),
        ('/api/images/{id}/nearest', 'get', client.get(f"/api/images/{image['id']}/nearest")),
        ('/api/images/{id}/nearest/{number}.png', 'get', client.get('/api/images/0/nearest/1.png')),
        ('/jobs/{id}/{name}', 'get', jobs.get(grid + 'x')),
        ('/health', 'get', client.get('/health')),
        ('/api/runs', 'get', client.get('/api/runs')),
        ('/api/runs', 'get', tight.get('/api/runs')),
        ('/api/gallery', 'get', client.get('/api/gallery')),
        ('/openapi.json', 'get', client.get('/openapi.json')),
        ('/metrics', 'get', client.get('/metrics')),
        ('/api/images/{id}/{stage}.png', 'get', client.get(image['stages']['1'])),
        ('/api/images/{id}/{stage}.png', 'get', client.get('/api/images/0/1.png')),
        ('/runs/{run}/report/', 'get', client.get(f'/runs/{RUN}/report/')),
        ('/runs/{run}/report/', 'get', client.get('/runs/nowhere/report/')),
        ('/api/generate', 'post', generate(client, count=3)),
        ('/api/generate', 'post', generate(client, caption='\U0001f426 bird ' * 40)),   # notices
        ('/api/generate', 'post', generate(client, caption='')),
        ('/api/generate', 'post', generate(tight)),
        ('/api/generate', 'post', generate(hurried)),
        ('/api/generate', 'post', client.post('/api/generate', data='{}')),
        ('/api/generate', 'post', client.post('/api/generate', data='x' * 20000,
                                              content_type='application/json')),
        ('/api/generate', 'post', client.post('/api/generate', json={},
                                              headers={'Origin': 'http://a.b'})),
    ]
    for path, method, answer in answers:
        check_answer(document, path, method, answer)
    assert {path for path, _, _ in answers} == set(document['paths'])
    seen = {answer.status_code for path, _, answer in answers if path == '/api/generate'}
    assert seen == {200, 400, 403, 404, 413, 415, 429}
    paths = {re.sub(r'<(?:\w+:)?(\w+)>', r'{\1}', rule.rule)
             for rule in jobs.app.url_map.iter_rules()}
    assert paths - set(document['paths']) == {
        '/', '/favicon.ico', '/jobs/', '/static/{filename}', '/runs/{run}/report/{name}'}


def test_the_description_admits_what_is_served_and_no_more(client):
    document = client.get('/openapi.json').get_json()
    asked = schema_of(document, document['components']['schemas']['GenerateRequest'])
    limits = client.service.limits
    properties = document['components']['schemas']['GenerateRequest']['properties']
    assert properties['caption']['maxLength'] == limits.caption_characters
    assert properties['count']['maximum'] == limits.count
    jsonschema.validate(document['components']['schemas']['GenerateRequest']['example'], asked)
    for body in ({'caption': 'a'}, {'run': RUN}, {'run': RUN, 'caption': 'a', 'seed': -1},
                 {'run': RUN, 'caption': 'a', 'count': 9}, {'run': RUN, 'caption': 'a', 'x': 1}):
        assert client.post('/api/generate', json=body).status_code == 400
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(body, asked)


@pytest.mark.parametrize('change, text', [
    ({'caption': ''}, 'empty'),
    ({'caption': ' \t\n '}, 'empty'),
    ({'caption': 'a' * 501}, '501 characters; at most 500'),
    ({'caption': 'a ' * 5000}, '10000 characters'),
    ({'caption': '\U0001f426\U0001f426'}, 'Latin letters'),
    ({'caption': '\u9ce5'}, 'Latin letters'),
    ({'caption': 'a \x00 bird'}, 'invalid text'),
    ({'caption': 'a \x1b[31m bird'}, 'invalid text'),
    ({'caption': 'a \ud800 bird'}, 'invalid text'),
    ({'caption': None}, 'caption must be a text'),
    ({'caption': ['a']}, 'caption must be a text'),
    ({'seed': -1}, 'from 0 to 2147483647'),
    ({'seed': 2 ** 31}, 'from 0 to 2147483647'),
    ({'seed': 10 ** 300}, 'from 0 to 2147483647'),
    ({'seed': 1.5}, 'seed must be a whole number'),
    ({'seed': True}, 'seed must be a whole number'),
    ({'seed': '7'}, 'seed must be a whole number'),
    ({'count': 0}, 'count must be from 1 to 8'),
    ({'count': 9}, 'count must be from 1 to 8'),
    ({'run': 7}, 'run must be a text'),
    ({'copies': 2}, "no 'copies'; a request has run, caption, seed, count"),
    ({'<b>\x07': 2}, 'a request has')])
def test_nonsense_gets_one_plain_sentence(client, change, text):
    body = dict({'run': RUN, 'caption': CAPTION, 'seed': 0}, **change)
    answer = client.post('/api/generate', data=json.dumps(body), content_type='application/json')
    if '<' in ''.join(change):
        assert answer.status_code == 400 and text in answer.get_json()['error']
    else:
        assert text in one_line(answer, 400)


@pytest.mark.parametrize('body', [b'', b'{', b'\xff', b'[' * 16000, b'[1]', b'"a"', b'1' * 5000,
                                  b'{"seed": ' + b'9' * 9000 + b'}', b'null'])
def test_what_is_not_json_is_refused(client, body):
    one_line(client.post('/api/generate', data=body, content_type='application/json'), 400)


@pytest.mark.parametrize('run', ['nowhere', '', '.', '..', '../../etc', '/etc', 'a\x00b',
                                 RUN + '/export', RUN + '/'])
def test_unknown_runs_are_refused(client, run):
    answer = client.post('/api/generate', json={'run': run, 'caption': CAPTION})
    assert 'available: ' + RUN in one_line(answer, 404)


@pytest.mark.parametrize('more, text', [
    ({'seeds': 9}, 'seeds must be from 1 to 8'),
    ({'seeds': 3, 'count': 3}, '9 images are too many'),
    ({'steps': 3}, 'Send steps from 2 on together with'),
    ({'other_seed': 1}, 'Send steps from 2 on together with'),
    ({'other_caption': ' ', 'steps': 2}, 'empty'),
    ({'other_caption': 'b' * 501, 'steps': 2}, '501 characters'),
    ({'other_caption': None}, 'other_caption must be a text'),
    ({'other_seed': -1, 'steps': 2}, 'other seed must be a whole number'),
    ({'seed': 2 ** 31 - 1, 'seeds': 2}, 'seed must be a whole number from 0'),
    ({'truncation': 0.01}, 'truncation must be 0, or from 0.1 to 10'),
    ({'truncation': 10 ** 400}, 'truncation must be 0, or from 0.1 to 10'),
    ({'truncation': float('nan')}, 'truncation must be 0, or from 0.1 to 10'),
    ({'truncation': True}, 'truncation must be a number')])
def test_odd_requests_are_refused(client, more, text):
    assert text in one_line(generate(client, **more), 400)


def test_other_paths_methods_and_sites(client):
    for path in ('/nowhere', '/api', '/static/../app.py', '/static/page.py', '/runs/', '/data'):
        one_line(client.get(path), 404)
    one_line(client.get('/api/generate'), 405)
    one_line(client.post('/health'), 405)
    for origin in ('http://elsewhere.example', 'null', 'http://localhost:1', 'http://['):
        answer = client.post('/api/generate', json={'run': RUN, 'caption': CAPTION},
                             headers={'Origin': origin})
        assert 'another site' in one_line(answer, 403)
    assert client.post('/api/generate', json={'run': RUN, 'caption': CAPTION},
                       headers={'Origin': 'http://localhost'}).status_code == 200


def test_damaged_files_fail_alone_and_recover(volume, tmp_path):
    shutil.copytree(str(volume), str(tmp_path / 'volume'))
    path = tmp_path / 'volume' / 'runs' / RUN / 'export' / 'text-encoder.onnx'
    whole = path.read_bytes()
    path.write_bytes(whole[:1000] + bytes(len(whole) - 1000))
    client = client_of(tmp_path / 'volume')
    message = one_line(generate(client), 503)
    assert 'see the log of the server' in message and str(tmp_path) not in message
    assert 'text-encoder.onnx: not a readable ONNX model' in client.lines[0]
    path.write_bytes(whole)
    assert generate(client).status_code == 200


def test_a_failure_of_the_server_itself_is_logged_and_not_shown(volume):
    client = client_of(volume)
    client.service.runs.all = lambda: 1 // 0
    assert 'Something went wrong' in one_line(client.get('/api/runs'), 500)
    assert 'ZeroDivisionError' in client.lines[0]


def test_metrics_count_what_was_answered(volume):
    def sample(client, name):
        for line in client.get('/metrics').get_data(as_text=True).splitlines():
            if line.startswith(name + ' '):
                return float(line.split()[-1])
        return 0.0

    ours = client_of(volume)
    assert generate(ours, count=2).status_code == 200
    assert generate(ours, caption=' ').status_code == 400
    assert ours.get('/a/b/c').status_code == ours.get('/wp-login.php?x=1').status_code == 404
    assert ours.get('/', headers={'Host': 'evil.example'}).status_code == 421
    of_route = 'stackgan_requests_total{route="%s",status="%d"}'
    assert sample(ours, of_route % ('api.generate_images', 200)) == 1
    assert sample(ours, of_route % ('api.generate_images', 400)) == 1
    assert sample(ours, of_route % ('none', 404)) == 2
    assert sample(ours, 'stackgan_refusals_total{status="421"}') == 1
    assert sample(ours, 'stackgan_images_total') == 2
    assert sample(ours, 'stackgan_request_seconds_sum{route="api.generate_images"}') > 0.01
    assert sample(ours, 'stackgan_queue_limit') == 16
    assert ours.get('/metrics').mimetype == 'text/plain'
    assert 'evil' not in ours.get('/metrics').get_data(as_text=True)
