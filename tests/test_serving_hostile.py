"""A volume on which anyone may have written: each fault stays with its run, and is shown there."""

import json
import os
import shutil
import signal

import pytest
from serve_toy import RUN, Served

from stackgan.files import read_json, write_json
from stackgan.serving.outputs import MAX_REPORT_BYTES

EXPORT, REPORT = os.path.join('export', 'manifest.json'), os.path.join('report', 'index.html')
SECRET = 'of nobody else'


def replaced(path, make):
    os.unlink(path)
    make(path)


def sparse(path, size):
    with open(path, 'wb') as stream:
        stream.truncate(size)


def facts_of(path):
    return {'size': os.path.getsize(path), 'sha256': '0' * 64}


def written(path, content):
    with open(path, 'wb') as stream:
        stream.write(content)


def changed(run, name, **values):
    path = os.path.join(run, name)
    write_json(path, dict(read_json(path), **values))


def looped(run):
    shutil.rmtree(os.path.join(run, 'export'))
    os.symlink('export', os.path.join(run, 'export'))


def manifest(make):
    return lambda run: replaced(os.path.join(run, EXPORT), make)


def of_export(**values):
    """Changes export.json, and its size in the manifest, as one who writes the volume can."""
    def change(run):
        folder = os.path.join(run, 'export')
        changed(folder, 'export.json', **values)
        files = read_json(os.path.join(folder, 'manifest.json'))['files']
        files['export.json']['size'] = os.path.getsize(os.path.join(folder, 'export.json'))
        changed(folder, 'manifest.json', files=files)
    return change


def many_lists(path):
    """JSON that takes 20 times its size once it is read."""
    written(path, b'{"form": 1, "models": [' + b'[],' * (10 << 20) + b'[]]}')


def of_many(run):
    """export.json and the encoder's options are such, and the manifests say so."""
    for part, name in (('export', 'export.json'), ('text-encoder', 'options.json')):
        folder = os.path.join(run, part)
        many_lists(os.path.join(folder, name))
        files = read_json(os.path.join(folder, 'manifest.json'))['files']
        files[name]['size'] = os.path.getsize(os.path.join(folder, name))
        changed(folder, 'manifest.json', files=files)


HOSTILE = {
    'many in both': of_many,
    'fifo': manifest(os.mkfifo),
    'nested': manifest(lambda path: written(path, b'[' * 200000)),
    'nested and closed': manifest(lambda path: written(path, b'[' * 900 + b']' * 900)),
    'zero': manifest(lambda path: os.symlink('/dev/zero', path)),
    'huge': manifest(lambda path: sparse(path, 3 << 30)),
    'many': manifest(lambda path: written(path, b'[' + b'[],' * 3000000 + b'[]]')),
    'dangling': manifest(lambda path: os.symlink('nowhere', path)),
    'folder': manifest(os.mkdir),
    'digits': manifest(lambda path: written(path, b'{"files": ' + b'9' * 3000000 + b'}')),
    'binary': manifest(lambda path: written(path, bytes(range(256)))),
    'list': manifest(lambda path: written(path, b'[1]')),
    'null': manifest(lambda path: written(path, b'null')),
    'loop': looped,
    'files': lambda run: changed(
        run, EXPORT, files={'/etc/passwd\x00': {'size': 1, 'sha256': '0' * 64}}),
    'names': lambda run: changed(run, EXPORT, files={'x': 1}),
    'request': lambda run: changed(run, EXPORT, request=['inputs']),
    'inputs': lambda run: changed(run, EXPORT, request={'inputs': 'stage'}),
    'content': lambda run: changed(run, EXPORT, content={'a': 1}),
    'stage 2.0': of_export(stage=2.0), 'stage 3': of_export(stage=3),
    'stage true': of_export(stage=True), 'stage list': of_export(stage=[2]),
    'models': of_export(models=7), 'model': of_export(models=[7]),
    'sizes': of_export(models=[{'frozen': {'sha256': ''}, 'batch_size': size, 'onnx': {'file': 'x'}}
                               for size in ('1', 1)]),
    'outside': of_export(models=[{'frozen': {'sha256': ''}, 'batch_size': 1,
                                  'onnx': {'file': '../stage2/config.yaml'}}]),
    'absolute': of_export(text_encoder={'file': '/etc/passwd', 'sha256': ''}),
    'encoder': of_export(text_encoder=7),
}
ODD_NAMES = [b'\xff\xfe', b'a\x1b[31mb', b'new\nline', 'turned \u202e'.encode()]


@pytest.fixture(scope='module')
def served(volume, tmp_path_factory):
    hostile = tmp_path_factory.mktemp('hostile')
    runs = hostile / 'runs'
    shutil.copytree(str(volume / 'runs' / RUN), str(runs / RUN))
    for name, spoil in HOSTILE.items():
        shutil.copytree(str(volume / 'runs' / RUN), str(runs / name))
        spoil(str(runs / name))
    for name in ODD_NAMES:
        shutil.copytree(str(volume / 'runs' / RUN / 'export').encode(),
                        os.path.join(os.fsencode(str(runs)), name, b'export'))
    (runs / 'round').symlink_to('round')
    os.mkfifo(str(runs / 'pipe'))
    with Served(hostile, '--rate', '1000') as server:
        yield server


def told(server, path):
    status, _, body = server.ask(path)
    assert status == 200
    return json.loads(body.decode())


def test_every_fault_is_told_of_its_run_alone(served):
    runs = {run['name']: run for run in told(served, '/api/runs')['runs']}
    health = told(served, '/health')
    bad = {each['name']: each['faults'] for each in health['runs']['bad']}
    shown = {r'\udcff\udcfe', r'a\x1b[31mb', r'new\nline', r'turned \u202e'}
    assert set(runs) == {RUN} | set(HOSTILE) | shown
    assert runs[RUN]['can_generate'] and RUN not in bad
    assert health['runs']['found'] == len(runs)
    for name, run in runs.items():
        if name == RUN:
            continue
        assert run['why_not'] == bad[name][0], run
        for text in bad[name]:
            assert text.isprintable() and len(text) < 400
            assert ('rename the folder' if name in shown else 'python -m jobs export') in text
    with open('/proc/%d/status' % served.process.pid) as stream:
        assert int(stream.read().split('VmHWM:')[1].split()[0]) < 150 << 10       # KiB
    assert told(served, '/api/jobs')['jobs'] and served.ask('/jobs/')[0] == 200
    page = served.ask('/')[2].decode()
    assert '\x1b' not in page and r'a\x1b[31mb' in page and 'not a regular file' in page
    assert served.generate()[0] == 200
    for name in list(HOSTILE) + ['\udcff\udcfe', 'a\x1b[31mb', 'round', 'pipe']:
        status, _, body = served.ask('/api/generate', {'run': name, 'caption': 'a'})
        assert status == (404 if name in ('round', 'pipe') else 409), (name, body)


@pytest.mark.parametrize('spoil', [
    os.mkfifo, lambda path: sparse(path, 3 << 30), lambda path: os.symlink('/dev/zero', path),
    lambda path: os.symlink('a b.svg', path), lambda path: os.symlink('/etc/passwd', path),
    os.mkdir], ids=['fifo', 'huge', 'device', 'link', 'link out', 'folder'])
def test_a_report_file_that_is_none_is_not_served(volume, tmp_path, spoil):
    shutil.copytree(str(volume / 'runs' / RUN), str(tmp_path / 'runs' / RUN))
    run = str(tmp_path / 'runs' / RUN)
    replaced(os.path.join(run, REPORT), spoil)
    files = {name: facts_of(os.path.join(run, 'report', name))
             for name in ('index.html', 'a b.svg')}                  # as one who writes would
    changed(run, os.path.join('report', 'manifest.json'), files=files)
    with Served(tmp_path) as server:
        assert server.ask(f'/runs/{RUN}/report/')[0] == 404
        bad = told(server, '/health')['runs']['bad']
        if server.ask(f'/runs/{RUN}/report/a%20b.svg')[0] == 404:        # nor any of it
            assert 'report/manifest.json cannot be used: index.html' in bad[0]['faults'][0]
        else:
            assert bad == [] and os.path.isfile(os.path.join(run, REPORT))
        assert server.ask('/')[0] == server.ask('/health')[0] == server.generate()[0] == 200


def test_a_report_that_lies_outside_is_not_served(volume, tmp_path):
    outside, runs = tmp_path / 'outside', tmp_path / 'volume' / 'runs'
    shutil.copytree(str(volume / 'runs' / RUN), str(outside))
    (outside / 'report' / 'a b.svg').write_text(SECRET)
    files = read_json(str(outside / 'report' / 'manifest.json'))['files']
    changed(str(outside / 'report'), 'manifest.json', files=dict(files, **{
        'a b.svg': facts_of(str(outside / 'report' / 'a b.svg'))}))
    shutil.copytree(str(outside), str(runs / 'linked report'))
    shutil.rmtree(str(runs / 'linked report' / 'report'))
    (runs / 'linked report' / 'report').symlink_to(outside / 'report')
    (runs / 'linked run').symlink_to(outside)
    shutil.copytree(str(outside), str(runs / 'moved'))
    (runs / 'moved' / 'report').rename(runs / 'moved' / 'elsewhere')
    (runs / 'moved' / 'report').symlink_to('elsewhere')
    with Served(tmp_path / 'volume') as server:
        for name, status in (('linked%20report', 404), ('linked%20run', 404), ('moved', 200)):
            for file in ('', 'a%20b.svg'):
                found, _, body = server.ask(f'/runs/{name}/report/{file}')
                assert found == status and (status == 200 or SECRET not in body.decode())
        assert told(server, '/api/runs')['runs'][0]['can_generate']


def test_a_report_is_shown_with_its_images(volume, tmp_path):
    """As the job writes it: a page with images beside it, one of them large."""
    shutil.copytree(str(volume / 'runs' / RUN), str(tmp_path / 'runs' / RUN))
    report = str(tmp_path / 'runs' / RUN / 'report')
    image = b'\x89PNG\r\n\x1a\n' + os.urandom(3 << 20)
    assert len(image) < MAX_REPORT_BYTES
    written(os.path.join(report, 'samples.png'), image)
    page = b'<!doctype html><img src="samples.png">'
    written(os.path.join(report, 'index.html'), page)
    changed(report, 'manifest.json', files={name: facts_of(os.path.join(report, name))
                                            for name in ('samples.png', 'index.html')})
    with Served(tmp_path) as server:
        facts = told(server, '/api/runs')['runs'][0]
        status, headers, body = server.ask(facts['report'])
        assert status == 200 and body == page and headers['Content-Type'].startswith('text/html')
        assert "img-src 'self'" in headers['Content-Security-Policy']
        assert "default-src 'none'" in headers['Content-Security-Policy']
        status, headers, body = server.ask(facts['report'] + 'samples.png')
        assert status == 200 and headers['Content-Type'] == 'image/png' and body == image
        assert headers['X-Content-Type-Options'] == 'nosniff'
        assert server.stop(signal.SIGTERM)[0] == 0
