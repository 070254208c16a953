"""The runs of a volume and their reports, as `serve` finds them."""

import shutil

import numpy as np
import pytest
import skip_thought_toy
from export_toy import finished_stage, make_stage, run
from serve_toy import RUN, SETTINGS, finish
from serving_client import CAPTION, client_of, generate, one_line, pixels
from toy import TINY, tiny_config

from jobs import export
from jobs.engine.contract import read_manifest
from jobs.engine.outputs import run_folder
from stackgan.errors import InputError
from stackgan.files import digest_of_file, files_below, write_json
from stackgan.sampling.sample_request import SampleRequest
from stackgan.sampling.sampler import Sampler
from stackgan.serving import models
from stackgan.serving.generate_request import GenerateRequest
from stackgan.serving.refusals import Refusal
from stackgan.serving.runs import Runs
from stackgan.text.skip_thought import describe_skip_thought

pytestmark = pytest.mark.usefixtures('workers_end')


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
    shutil.copytree(str(volume / 'runs' / RUN / 'stage2'), str(runs / 'precomputed' / 'stage2'))
    shutil.copytree(str(volume / 'runs' / RUN), str(runs / 'old'))
    manifest = read_manifest(str(runs / 'old' / 'stage2'))
    write_json(str(runs / 'old' / 'stage2' / 'manifest.json'),      # as of a later training
               dict(manifest, content='another'))
    facts = {each['name']: each for each in
             client_of(tmp_path).get('/api/runs').get_json()['runs']}
    assert set(facts) == {'precomputed', 'empty', 'old'}
    assert facts['empty']['why_not'] == 'it has no finished training and no export'
    assert facts['precomputed']['why_not'].startswith('it has no text encoder')
    assert facts['old']['can_generate'] and facts['old']['note'] == (
        'its export is older than its training')
    page = client_of(tmp_path).get('/').get_data(as_text=True)
    assert 'its export is older' in page and 'Cannot generate: it has no finished' in page
    nothing = client_of(tmp_path / 'nowhere')
    assert nothing.get('/api/runs').get_json() == {'runs': []}
    assert 'There are no runs on this volume' in nothing.get('/').get_data(as_text=True)


def test_only_the_encoder_that_embedded_the_captions_draws(tmp_path, volume):
    """By the checkpoint; a published encoder goes with precomputed embeddings."""
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


@pytest.fixture(scope='module')
def two_checkpoints(volume, tmp_path_factory):
    """The volume with a second checkpoint, of other weights, in its finished training."""
    folder = tmp_path_factory.mktemp('two') / 'volume'
    shutil.copytree(str(volume), str(folder))
    stage = folder / 'runs' / RUN / 'stage2'
    make_stage(stage, 2, tiny_config().model, averages=False, step=24)
    manifest = read_manifest(str(stage))
    for name in files_below(str(stage / 'checkpoints')):
        path = stage / 'checkpoints' / name
        manifest['files']['checkpoints/' + name] = {
            'size': path.stat().st_size, 'sha256': digest_of_file(str(path))}
    write_json(str(stage / 'manifest.json'), manifest)
    return folder


def test_checkpoints_of_a_run_side_by_side(two_checkpoints):
    """Each by its own weights; the export was made of the first."""
    client = client_of(two_checkpoints)
    facts, = client.get('/api/runs').get_json()['runs']
    assert facts['checkpoints'] == [f'{RUN}@12', f'{RUN}@24'] and facts['by'] == 'onnx'
    found = {name: client.post('/api/generate', json={
        'run': name, 'caption': CAPTION, 'seed': 3}).get_json() for name in [RUN, *facts[
            'checkpoints']]}
    seen = {name: pixels(client, each['images'][0]['stages']['2']) for name, each in found.items()}
    assert found[f'{RUN}@24']['run'] == f'{RUN}@24'
    assert np.abs(seen[RUN] - seen[f'{RUN}@12']).max() <= 1
    stage = two_checkpoints / 'runs' / RUN / 'stage2'
    run_ = client.service.runs.get(RUN)
    embedded = models.open_encoder(run_, tiny_config().platform).embed([CAPTION])[0]
    with Sampler(str(stage), str(stage / 'checkpoints' / '00000024'), 1,
                 tiny_config().platform) as sampler:
        expected = sampler.generate([SampleRequest(CAPTION, embedded, 0, {})], 3)[256][0]
    assert np.abs(seen[f'{RUN}@24'] - expected.astype(int)).max() <= 1
    assert np.abs(seen[f'{RUN}@24'] - seen[RUN]).mean() > 3
    page = client.get('/').get_data(as_text=True)
    assert page.count(f'value="{RUN}@24">{RUN}, step 24<') == 2          # to use, to compare with
    assert client.get('/?image=' + found[f'{RUN}@24']['images'][0]['id']).get_data(
        as_text=True).count(f'<option selected value="{RUN}@24">') == 1


@pytest.mark.parametrize('name', ['@', '@12', 'nowhere@12', RUN + '@12@12'] + [
    f'{RUN}@{step}' for step in ('', '13', '012', '../12', '-12', '\u0661\u0662')])
def test_other_checkpoints_are_unknown(two_checkpoints, name):
    client = client_of(two_checkpoints)
    assert one_line(client.post('/api/generate', json={'run': name, 'caption': 'a'}), 404)


def test_without_tensorflow_there_are_no_checkpoints(two_checkpoints):
    client = client_of(two_checkpoints, has_tensorflow=False)
    facts, = client.get('/api/runs').get_json()['runs']
    assert 'checkpoints' not in facts and facts['can_generate']
    assert client.post('/api/generate', json={
        'run': f'{RUN}@12', 'caption': 'a'}).status_code == 404
    assert 'optgroup' not in client.get('/').get_data(as_text=True)
