"""The API and the page of `serve`, asked within this process."""

import io
import json
import os
import re
import shutil
import threading

import numpy as np
import pytest
import skip_thought_toy
from export_toy import finished_stage, run
from logged import attach
from PIL import Image
from serve_toy import RUN, SETTINGS, finish, make_volume
from toy import ROOT, TINY, tiny_config

from jobs import export
from jobs.engine.command_line import main
from jobs.engine.contract import read_manifest
from jobs.engine.outputs import run_folder
from stackgan.errors import InputError
from stackgan.files import files_below, write_json
from stackgan.sampling.sample_request import NoiseSource, SampleRequest, Truncation
from stackgan.sampling.sampler import Sampler
from stackgan.serving import models
from stackgan.serving.app import POLICY, create_app
from stackgan.serving.gallery import Gallery, GeneratedImage
from stackgan.serving.generate_request import GenerateRequest
from stackgan.serving.limits import Limits, Rates
from stackgan.serving.queue import GenerationQueue
from stackgan.serving.refusals import Refusal
from stackgan.serving.runs import Runs
from stackgan.serving.service import make_service
from stackgan.text.skip_thought import describe_skip_thought

jsonschema = pytest.importorskip('jsonschema')
CAPTION = 'a small red bird with black wings'
SERVICES = []


@pytest.fixture(autouse=True)
def no_worker_is_left(client):
    """Of those that a test starts; that of the module's own client stays."""
    before = len(SERVICES)
    yield
    for service in SERVICES[before:]:
        service.worker.close()


@pytest.fixture(scope='module')
def volume(tmp_path_factory):
    return make_volume(tmp_path_factory.mktemp('volume'))


def client_of(volume, has_tensorflow=True, **limits):
    """A client of the application; `lines` has what it says."""
    lines = []
    attach(lines)
    runs = Runs(str(volume), read_manifest)
    runs._has_tensorflow = has_tensorflow
    service = make_service(runs, tiny_config().platform, Limits(**dict({'rate': 10000}, **limits)),
                           {'stackgan': '0'}, RUN)
    SERVICES.append(service)
    app = create_app(service)
    client = app.test_client()
    client.lines, client.service, client.app = lines, service, app
    return client


@pytest.fixture(scope='module')
def client(volume):
    return client_of(volume)


def generate(client, caption=CAPTION, seed=0, **more):
    return client.post('/api/generate', json=dict(more, run=RUN, caption=caption, seed=seed))


def pixels(client, path):
    answer = client.get(path)
    assert answer.status_code == 200 and answer.mimetype == 'image/png'
    return np.asarray(Image.open(io.BytesIO(answer.data))).astype(int)


def one_line(answer, *statuses):
    """The message of a refusal: one plain sentence, as described."""
    assert answer.status_code in statuses, answer.data
    assert list(answer.get_json()) == ['error']
    message = answer.get_json()['error']
    assert message and '\n' not in message and 'Traceback' not in message and '<' not in message
    return message


# Images.

def test_images_are_those_of_sample(client, volume, tmp_path, capsys):
    """Same run, caption, seed and copy: the checkpoint by TensorFlow against ONNX."""
    (tmp_path / 'volume').mkdir()
    shutil.copytree(str(volume), str(tmp_path / 'volume' / 'of'))
    arguments = ['sample', '--caption', CAPTION, '--copies', '2',
                 '--data', str(tmp_path / 'volume' / 'of'), '--set', 'sample.seed=7']
    for text in SETTINGS:
        arguments += ['--set', text]
    assert main(arguments) == 0
    folder = capsys.readouterr().out.strip().splitlines()[-1].split(': ')[-1]
    answer = generate(client, '  a small   red bird with black wings', 7, count=2).get_json()
    assert [each['copy'] for each in answer['images']] == [0, 1]
    for number, image in enumerate(answer['images']):
        for stage, side in (('1', 64), ('2', 256)):
            ours = pixels(client, image['stages'][stage])
            theirs = np.asarray(Image.open(os.path.join(folder, '%d/%05d.png' % (side, number))))
            assert ours.shape == (side, side, 3) and np.abs(ours - theirs).max() <= 1
            assert ours.std() > 3                                 # there is something to compare


def test_an_image_depends_on_run_caption_seed_and_copy_alone(client, volume):
    def bytes_of(client, **asked):
        return [client.get(each['stages']['2']).data
                for each in generate(client, **asked).get_json()['images']]

    first = bytes_of(client)
    other = client_of(volume)                                     # another process, as it were
    assert bytes_of(other, caption='x', count=3) and bytes_of(other, count=2)[:1] == first
    assert bytes_of(client, seed=1) != first and bytes_of(client, caption='a bird') != first
    assert bytes_of(client, count=2)[1] != first[0]


def test_a_run_without_export_is_drawn_by_its_checkpoint(client, volume, tmp_path):
    shutil.copytree(str(volume), str(tmp_path / 'volume'))
    shutil.rmtree(str(tmp_path / 'volume' / 'runs' / RUN / 'export'))
    other = client_of(tmp_path / 'volume')
    assert other.get('/api/runs').get_json()['runs'][0]['by'] == 'checkpoint'
    ours, theirs = [pixels(each, generate(each, seed=5).get_json()['images'][0]['stages']['2'])
                    for each in (client, other)]
    assert np.abs(ours - theirs).max() <= 1
    without = client_of(tmp_path / 'volume', has_tensorflow=False)
    facts = without.get('/api/runs').get_json()['runs'][0]
    assert not facts['can_generate'] and 'run: python -m jobs export' in facts['why_not']
    assert 'run: python -m jobs export' in one_line(generate(without), 409)


# The description.

def schema_of(document, schema):
    return dict(schema, components=document['components'])


def check_answer(document, path, method, answer):
    described = document['paths'][path][method]['responses'][str(answer.status_code)]
    if '$ref' in described:
        described = document['components']['responses'][described['$ref'].split('/')[-1]]
    assert answer.mimetype in described['content']
    for name in described.get('headers', ()):
        assert name in answer.headers
    if answer.mimetype == 'application/json':
        schema = described['content']['application/json']['schema']
        jsonschema.validate(answer.get_json(), schema_of(document, schema))


def test_every_answer_is_as_described(client):
    document = client.get('/openapi.json').get_json()
    image = generate(client).get_json()['images'][0]
    tight = client_of(os.devnull, rate=1)
    hurried = client_of(client.service.runs._folder[:-len('/runs')], rate=1)
    generate(hurried)
    answers = [
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
             for rule in client.app.url_map.iter_rules()}
    assert paths - set(document['paths']) == {
        '/', '/favicon.ico', '/static/{filename}', '/runs/{run}/report/{name}'}


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


# What cannot be served.

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


def test_what_the_encoder_passes_over_is_said(client):
    def notices(caption):
        return generate(client, caption=caption).get_json()['notices']

    assert notices(CAPTION) == []
    assert 'first 201 characters' in notices('long ' * 60)[0] and len(notices('long ' * 60)) == 1
    assert 'unknown to the text encoder' in notices('a red \U0001f426')[0]


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


# Limits.

def test_rates_by_address():
    now = [0.0]
    rates = Rates(Limits(rate=2, rate_seconds=10, addresses=2), lambda: now[0])
    rates.admit('a')
    now[0] = 4.0
    rates.admit('a')
    rates.admit('b')
    with pytest.raises(Refusal, match='limit: 2 in 10 s.; try again in 6 s') as refused:
        rates.admit('a')
    assert (refused.value.status, refused.value.retry_after) == (429, 6)
    now[0] = 10.5
    rates.admit('a')                                            # its first is forgotten
    rates.admit('c')                                            # and with it all of b, the oldest
    assert set(rates._times) == {'a', 'c'}


def test_a_mistake_costs_nothing(volume):
    client = client_of(volume, rate=1)
    assert generate(client, caption='').status_code == 400
    assert client.post('/api/generate', json={'run': 'x', 'caption': 'a'}).status_code == 404
    assert generate(client).status_code == 200
    answer = generate(client)
    assert answer.status_code == 429 and 0 < int(answer.headers['Retry-After']) <= 60


class Gate:
    """A slow generating, named fake: waits until it is let through."""

    def __init__(self):
        self.began, self.open, self.generated = threading.Semaphore(0), threading.Event(), []

    def generate(self, asked):
        self.began.release()
        assert self.open.wait(30)
        self.generated.append(asked)
        return asked


def in_threads(call, values):
    """Starts `call` for each value; (threads, outcomes by value)."""
    outcomes = {}

    def run(value):
        try:
            outcomes[value] = call(value)
        except Refusal as refusal:
            outcomes[value] = refusal

    threads = [threading.Thread(target=run, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    return threads, outcomes


def test_the_queue_is_bounded_and_draws_one_at_a_time():
    gate = Gate()
    queue = GenerationQueue(gate.generate, Limits(queue=2, seconds=30))
    threads, outcomes = in_threads(queue.generate, ['first'])
    assert gate.began.acquire(timeout=30)
    more, more_outcomes = in_threads(queue.generate, ['second'])
    while len(queue) < 2:
        pass
    with pytest.raises(Refusal, match='Too many requests') as refused:
        queue.generate('third')
    assert refused.value.status == 503 and refused.value.retry_after
    assert not gate.began.acquire(blocking=False)                # the second has not begun
    gate.open.set()
    for thread in threads + more:
        thread.join()
    assert outcomes == {'first': 'first'} and more_outcomes == {'second': 'second'}
    assert gate.generated == ['first', 'second'] and len(queue) == 0


def test_what_takes_too_long_is_given_up():
    gate = Gate()
    queue = GenerationQueue(gate.generate, Limits(seconds=0.05))
    for caption in ('under way', 'waiting'):
        with pytest.raises(Refusal, match='longer than 0.05 seconds') as refused:
            queue.generate(caption)
        assert refused.value.status == 503
    gate.open.set()
    queue.close(30)
    assert gate.generated == ['under way']                           # the other was never begun


def test_closing_finishes_what_is_under_way_and_refuses_the_rest():
    gate = Gate()
    queue = GenerationQueue(gate.generate, Limits(seconds=30))
    threads, outcomes = in_threads(queue.generate, ['under way'])
    assert gate.began.acquire(timeout=30)
    waiting, waited = in_threads(queue.generate, ['waiting'])
    while len(queue) < 2:
        pass
    threading.Timer(0.1, gate.open.set).start()
    queue.close(30)
    for thread in threads + waiting:
        thread.join()
    assert outcomes == {'under way': 'under way'} and gate.generated == ['under way']
    assert waited['waiting'].status == 503
    with pytest.raises(Refusal, match='is stopping'):
        queue.generate('late')


def test_the_gallery_keeps_the_newest():
    gallery = Gallery(3)

    def images(names):
        return [GeneratedImage(name, RUN, 'a', 0, 0, {1: b''}) for name in names]

    gallery.add(images('ab'))
    assert [each.id for each in gallery.recent()] == ['a', 'b']
    gallery.add(images('c'))
    gallery.add(images('b'))                                   # sampled again: first again
    gallery.add(images('d'))
    assert [each.id for each in gallery.recent()] == ['d', 'b', 'c']
    assert gallery.get('a') is None and gallery.get('b').id == 'b'


def test_models_are_kept_for_a_few_runs(volume, tmp_path):
    for name in ('one', 'two', 'three'):
        shutil.copytree(str(volume / 'runs' / RUN), str(tmp_path / 'runs' / name))
    client = client_of(tmp_path, runs=2)
    for name in ('one', 'two', 'one', 'three', 'one', 'two'):
        assert client.post('/api/generate', json={'run': name, 'caption': 'a'}).status_code == 200
    assert [line.split(':')[0] for line in client.lines] == [
        'loaded one', 'loaded two', 'loaded three', 'loaded two']


# Runs and their reports.

def test_a_new_export_is_drawn_with_at_once(volume, tmp_path):
    shutil.copytree(str(volume), str(tmp_path / 'volume'))
    client = client_of(tmp_path / 'volume')
    before = client.get(generate(client).get_json()['images'][0]['stages']['2']).data
    config = tiny_config('export.batch_sizes=[1]', 'export.weights=trained')
    assert run(export.JOB, tmp_path / 'volume', config) == 0
    after = client.get(generate(client).get_json()['images'][0]['stages']['2']).data
    assert before != after
    assert len(client.get('/api/gallery').get_json()['images']) == 2     # two images, two names


def test_a_run_with_the_skip_thought_encoder_needs_no_tensorflow(tmp_path):
    files = skip_thought_toy.make(tmp_path / 'weights', uni=8, bi=4)
    finished_stage(tmp_path, 2)
    finish(tmp_path, 'train-text-encoder', lambda config: run_folder(config, 'text-encoder'),
           lambda work: describe_skip_thought(files, files, work.folder, 16))
    assert run(export.JOB, tmp_path, tiny_config(*SETTINGS[len(TINY):])) == 0
    client = client_of(tmp_path, has_tensorflow=False)
    assert client.get('/api/runs').get_json()['runs'][0]['encoder'] == 'skip-thought'
    found = generate(client, 'a red bird with golden wings').get_json()
    assert 'golden' in found['notices'][0] and 'UNK' in found['notices'][0]
    assert pixels(client, found['images'][0]['stages']['2']).shape == (256, 256, 3)


def test_runs_say_what_they_lack(tmp_path, volume):
    runs = tmp_path / 'runs'
    (runs / 'empty').mkdir(parents=True)
    (runs / '.hidden').mkdir()
    (runs / 'a file').write_text('')
    shutil.copytree(str(volume / 'runs' / RUN / 'stage2'), str(runs / 'brought' / 'stage2'))
    shutil.copytree(str(volume / 'runs' / RUN), str(runs / 'old'))
    manifest = read_manifest(str(runs / 'old' / 'stage2'))
    write_json(str(runs / 'old' / 'stage2' / 'manifest.json'),      # as of a later training
               dict(manifest, content='another'))
    facts = {each['name']: each for each in
             client_of(tmp_path).get('/api/runs').get_json()['runs']}
    assert set(facts) == {'brought', 'empty', 'old'}
    assert facts['empty']['why_not'] == 'it has no finished training and no export'
    assert facts['brought']['why_not'].startswith('it has no text encoder')
    assert facts['old']['can_generate'] and facts['old']['note'] == (
        'its export is older than its training')
    page = client_of(tmp_path).get('/').get_data(as_text=True)
    assert 'its export is older' in page and 'Cannot generate: it has no finished' in page
    nothing = client_of(tmp_path / 'nowhere')
    assert nothing.get('/api/runs').get_json() == {'runs': []}
    assert 'There are no runs on this volume' in nothing.get('/').get_data(as_text=True)


def test_only_the_encoder_that_embedded_the_captions_draws(tmp_path, volume):
    """By the checkpoint; a published encoder goes with embeddings that the dataset brought."""
    run = tmp_path / 'runs' / RUN
    for part in ('stage2', 'text-encoder'):
        shutil.copytree(str(volume / 'runs' / RUN / part), str(run / part))
    encoder = read_manifest(str(run / 'text-encoder'))
    published = dict(encoder, request=dict(encoder['request'], settings={'text.weights': 'a.t7'}))
    client = client_of(tmp_path)

    def why_not(encoder, **inputs):
        write_json(str(run / 'text-encoder' / 'manifest.json'), encoder)
        (run / 'embeddings').mkdir(exist_ok=True)
        write_json(str(run / 'embeddings' / 'manifest.json'),
                   {'files': {}, 'request': {'inputs': inputs}})
        return client.get('/api/runs').get_json()['runs'][0].get('why_not')

    assert why_not(encoder, **{'text-encoder': encoder['content']}) is None
    assert why_not(published) is None
    assert 'a different text encoder' in why_not(encoder, **{'text-encoder': 'another'})
    assert 'its text encoder did not produce' in why_not(encoder)
    assert 'did not produce' in one_line(generate(client), 409)


def test_an_import_that_draws_whole_batches_is_not_drawn_with(tmp_path, volume):
    run = tmp_path / 'runs' / RUN
    for part in ('stage2', 'text-encoder'):
        shutil.copytree(str(volume / 'runs' / RUN / part), str(run / part))
    manifest = read_manifest(str(run / 'stage2'))
    write_json(str(run / 'stage2' / 'manifest.json'),
               dict(manifest, notes={'compat': 'ascend-port'}))
    assert 'import it without' in one_line(generate(client_of(tmp_path)), 409)


@pytest.mark.parametrize('part, manifest', [
    ('report', {'files': []}), ('export', {'files': {}, 'request': None, 'content': ''}),
    ('stage2', {'files': {}, 'content': '', 'notes': 'none'}), ('stage2', [1]),
    ('embeddings', {'files': {}}), ('text-encoder', {'files': {}, 'request': {}})])
def test_odd_manifests_trouble_no_other_run(tmp_path, volume, part, manifest):
    for name in ('fine', 'odd'):
        shutil.copytree(str(volume / 'runs' / RUN), str(tmp_path / 'runs' / name))
    if part in ('stage2', 'text-encoder', 'embeddings'):                # else not looked at
        shutil.rmtree(str(tmp_path / 'runs' / 'odd' / 'export'))
    (tmp_path / 'runs' / 'odd' / part).mkdir(exist_ok=True)
    write_json(str(tmp_path / 'runs' / 'odd' / part / 'manifest.json'), manifest)
    client = client_of(tmp_path)
    fine, odd = client.get('/api/runs').get_json()['runs']
    assert fine['can_generate'] and (part == 'report' or not odd['can_generate'])
    assert client.get('/').status_code == 200


def test_a_model_that_cannot_be_opened_keeps_no_encoder(tmp_path, volume, monkeypatch):
    shutil.copytree(str(volume), str(tmp_path / 'volume'))
    path, = (tmp_path / 'volume' / 'runs' / RUN / 'export').glob('stackgan-*.onnx')
    path.write_bytes(bytes(path.stat().st_size))
    closed, open_encoder = [], models.open_encoder

    def opened(*arguments):
        encoder = open_encoder(*arguments)
        close, encoder.close = encoder.close, lambda: (closed.append(encoder), close())
        return encoder
    monkeypatch.setattr(models, 'open_encoder', opened)
    run = Runs(str(tmp_path / 'volume'), read_manifest).get(RUN)
    with pytest.raises(Refusal) as refused:
        models.Models(tiny_config().platform, 3).generate(
            run, GenerateRequest(RUN, 'a', 0, 1))
    assert refused.value.status == 503 and len(closed) == 1


def test_embeddings_of_another_width_are_refused(volume):
    with Sampler(str(volume / 'runs' / RUN / 'stage2'), 'last', 1, tiny_config().platform) as one:
        with pytest.raises(InputError, match='takes embeddings of 16 numbers, those of this run'):
            one.generate([SampleRequest('a', np.zeros(12, np.float32), 0, {})], 0)


def test_reports_and_nothing_else_of_the_volume(volume, tmp_path):
    shutil.copytree(str(volume), str(tmp_path / 'volume'))
    report = tmp_path / 'volume' / 'runs' / RUN / 'report'
    client = client_of(tmp_path / 'volume')
    assert client.get(f'/runs/{RUN}/report').status_code == 308        # to that with a slash
    answer = client.get(f'/runs/{RUN}/report/')
    assert answer.status_code == 200 and b'of a run' in answer.data
    assert "style-src 'unsafe-inline'" in answer.headers['Content-Security-Policy']
    assert 'script-src' not in answer.headers['Content-Security-Policy']
    assert client.get(f'/runs/{RUN}/report/a%20b.svg').mimetype == 'image/svg+xml'
    (report / 'new.txt').write_text('not recorded')
    for name in ('manifest.json', 'log.txt', 'config.yaml/..', 'new.txt', '../export/export.json',
                 '..%2fexport%2fexport.json', '%2e%2e/export/export.json', '/etc/passwd',
                 '%2fetc%2fpasswd', '..', '.', 'index.html/', 'index.html%00', '....//index.html'):
        answer = client.get(f'/runs/{RUN}/report/{name}')
        assert answer.status_code in (404, 308), name
    for run_name in ('..', '%2e%2e', '.', 'nowhere', '..%2f..'):
        assert client.get(f'/runs/{run_name}/report/index.html').status_code == 404
    secret = tmp_path / 'secret'
    secret.write_text((report / 'index.html').read_text())
    (report / 'index.html').unlink()
    (report / 'index.html').symlink_to(secret)
    assert client.get(f'/runs/{RUN}/report/index.html').status_code == 404


# The page.

def test_the_page_works_without_javascript(client):
    answer = client.post('/', data={'run': RUN, 'caption': 'a <i>red</i> "bird"', 'seed': '4'})
    assert answer.status_code == 303
    page = client.get(answer.headers['Location']).get_data(as_text=True)
    assert 'a &lt;i&gt;red&lt;/i&gt; &#34;bird&#34;' in page and '<i>' not in page
    assert 'value="4"' in page
    assert len(re.findall(r'<img class="generated" alt="Stage-II?: a &lt;i&gt;[^>]* src="/api/',
                          page)) == 2
    answer = client.post('/', data={'run': RUN, 'caption': '<script>x</script>\x00', 'seed': '4'})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400 and 'control characters or invalid text' in page
    assert '<script>x' not in page and '&lt;script&gt;x&lt;/script&gt;' in page
    for seed in ('x', '-1', '9' * 5000):
        answer = client.post('/', data={'run': RUN, 'caption': 'a', 'seed': seed})
        assert answer.status_code == 400 and 'whole number' in answer.get_data(as_text=True)
    assert 'not kept any more' in client.get('/?image=gone').get_data(as_text=True)
    assert client.post('/', data={'x': 'y' * 20000}).status_code == 413


def test_headers_and_nothing_inline_or_from_elsewhere(client):
    for answer in (client.get('/'), client.get('/health'), client.get('/nowhere'),
                   client.get('/static/page.css'), generate(client, caption='')):
        assert answer.headers['Content-Security-Policy'] == POLICY
        assert answer.headers['X-Content-Type-Options'] == 'nosniff'
        assert answer.headers['Referrer-Policy'] == 'same-origin'
    for part in POLICY.split('; '):
        assert part.split(' ', 1)[1] in ("'self'", "'none'")
    folder = os.path.join(ROOT, 'stackgan', 'serving')
    for name in files_below(folder):
        if name.endswith(('.html', '.css', '.js', '.svg')):
            with open(os.path.join(folder, name), encoding='utf-8') as stream:
                text = stream.read().replace('http://www.w3.org/2000/svg', '')
            assert '//' not in re.sub(r'(?m)(^|\s)// .*$', '', text), name       # comments
            assert not re.search(r'style=|\son\w+=|innerHTML|<script>|eval', text), name


def test_fields_have_labels(client):
    page = client.get('/').get_data(as_text=True)
    for id in re.findall(r'<(?:textarea|select|input)[^>]* id="([^"]+)"|<(?:textarea|select|input) '
                         r'id="([^"]+)"', page):
        assert '<label for="{}">'.format(''.join(id)) in page
    assert 'role="status"' in page and 'role="alert"' in page and 'lang="en"' in page


# Counters.

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


# Several seeds, interpolations, truncation, and what the PNG says.

def images_of(client, **asked):
    return generate(client, **asked).get_json()['images']


def finest(client, image):
    return pixels(client, image['stages']['2'])


def test_several_seeds_are_those_of_one_each(client):
    found = images_of(client, seed=3, seeds=2, count=2)
    assert [(each['seed'], each['copy']) for each in found] == [(3, 0), (3, 1), (4, 0), (4, 1)]
    alone, = images_of(client, seed=4)
    assert alone == found[2]


def test_between_two_seeds_the_ends_are_their_images(client):
    found = images_of(client, seed=1, other_seed=2, steps=3)
    assert [each['position'] for each in found] == [0, 0.5, 1] and found[0]['other_seed'] == 2
    first, last = [finest(client, images_of(client, seed=seed)[0]) for seed in (1, 2)]
    seen = [finest(client, each) for each in found]
    assert np.array_equal(seen[0], first) and np.abs(seen[2] - last).max() <= 1
    assert len({each['id'] for each in found}) == 3
    assert min(np.abs(seen[1] - each).mean() for each in (first, last)) > 1


def test_between_two_captions_the_noise_stays(client, volume):
    """The last image is that of the other embedding with the first one's noise, as in `sample`."""
    other = 'a large blue bird'
    found = images_of(client, seed=1, other_caption='  a large  blue bird ', steps=2)
    assert found[1]['other_caption'] == other
    first = finest(client, images_of(client, seed=1)[0])
    assert np.array_equal(finest(client, found[0]), first)
    run_, platform = client.service.runs.get(RUN), tiny_config().platform
    encoder, sampler = models.open_encoder(run_, platform), models.open_sampler(run_, platform)
    expected = sampler.generate([SampleRequest(CAPTION, encoder.embed([other])[0], 0, {})], 1)
    assert np.array_equal(finest(client, found[1]), expected[256][0])
    assert not np.array_equal(finest(client, found[1]), first)


def test_truncation(client):
    plain, wide, narrow = [finest(client, images_of(client, **more)[0]) for more in (
        {}, {'truncation': 10}, {'truncation': 0.1})]
    run_, platform = client.service.runs.get(RUN), tiny_config().platform
    encoder, sampler = models.open_encoder(run_, platform), models.open_sampler(run_, platform)
    expected = sampler.generate([SampleRequest(CAPTION, encoder.embed([CAPTION])[0], 0, {})],
                                [NoiseSource(0, Truncation(0.1))])
    assert np.array_equal(plain, wide) and np.array_equal(narrow, expected[256][0])
    assert not np.array_equal(plain, narrow)


def test_the_text_of_a_png_is_enough_to_generate_it_again(client):
    for more in ({'seeds': 2}, {'other_caption': 'a blue bird', 'steps': 3, 'truncation': 1.5}):
        image = images_of(client, seed=5, **more)[1]
        data = client.get(image['stages']['2']).data
        texts = Image.open(io.BytesIO(data)).text
        assert texts['Description'] == CAPTION
        facts = json.loads(texts['stackgan'])
        position = facts.pop('position')
        again = client.post('/api/generate', json=dict(
            facts, count=facts.pop('copy') + 1, steps=3 if position else 1))
        place = int(2 * position)
        assert client.get(again.get_json()['images'][place]['stages']['2']).data == data


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


def test_the_form_without_a_script_has_it_all(client):
    def post(**fields):
        return client.post('/', data=dict({'run': RUN, 'caption': CAPTION, 'seed': '1'}, **fields))

    answer = post(other_seed='2', other_caption='', truncation='1.5', seeds='4')
    assert answer.status_code == 303
    text = client.get(answer.headers['Location']).get_data(as_text=True)
    for name, value in (('other_seed', '2'), ('truncation', '1.5')):
        assert re.search(rf'name="{name}"[^>]*value="{value}"', text)
    assert '<details id="more" open>' in text
    assert post(seeds='2').status_code == 303
    assert [each['seed'] for each in client.get('/api/gallery').get_json()['images'][:2]] == [1, 2]
    answer = post(truncation='much')
    assert answer.status_code == 400 and 'truncation must be a number' in answer.get_data(
        as_text=True)


def test_below_a_path_every_address_has_it(client):
    base = {'base_url': 'http://localhost/birds', 'data': {
        'run': RUN, 'caption': CAPTION, 'seed': '1'}}
    answer = client.post('/', **base)
    assert answer.headers['Location'].startswith('/birds/?image=')
    text = client.get('/', base_url='http://localhost/birds').get_data(as_text=True)
    found = re.findall(r'(?:src|href|action|data-generate)="([^"]*)"', text)
    assert len(found) > 8 and all(each.startswith('/birds/') for each in found)
