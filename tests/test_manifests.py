"""Odd manifests, of whoever wrote them: damaged, told in one line, never a traceback."""

import copy
import json
import os
import shutil

import pytest
from test_contract import make_job, run
from toy import tiny_config
from volume_toy import damage_manifest, make_volume, toy_config

from jobs.engine.chain import BY_NAME, rows_of_status
from jobs.engine.command_line import main
from jobs.engine.contract import Input, folder_of, state_of
from stackgan import manifests
from stackgan.manifests import look_at, looking_once, read_manifest


@pytest.fixture
def whole(tmp_path):
    """(folder, manifest) of a finished output of one file."""
    run(make_job(), tmp_path)
    return str(tmp_path / 'out'), look_at(str(tmp_path / 'out')).manifest


def changed(manifest, *path_and_value):
    """A copy with another value, or without it, where keys lead."""
    new = copy.deepcopy(manifest)
    place, (key, value) = new, path_and_value[-2:]
    for part in path_and_value[:-2]:
        place = place[part]
    if value is KeyError:
        del place[key]
    else:
        place[key] = value
    return new


ODD_VALUES = [KeyError, None, [], ['x'], 'x', 7, {'x': None}, True]
FIELDS = [('request',), ('files',), ('content',), ('seconds',), ('finished',), ('versions',),
          ('notes',), ('request', 'job'), ('request', 'form'), ('request', 'settings'),
          ('request', 'inputs'), ('files', 'size.txt'), ('files', 'size.txt', 'size'),
          ('files', 'size.txt', 'sha256')]
FINE = {('notes',): (KeyError, {'x': None}), ('versions',): ({'x': None},), ('content',): ('x',),
        ('finished',): ('x',), ('seconds',): (7,), ('request', 'job'): ('x',),
        ('request', 'form'): (7,), ('request', 'settings'): ({'x': None},),
        ('files', 'size.txt'): (KeyError,)}
TEXTS = ['', '{', 'null', '7', '[]', '{}', '{"files":{}}', '{"files":[]}', '{"files":{"a":1}}',
         '[' * 100000, '{"files":{},"seconds":NaN}', '\x00', '{"files": {"size.txt": {"size": 1}}}',
         '9' * 5000]


def is_told(folder, volume):
    """Checks that all who read a manifest say, in one line, that something is wrong with it."""
    job = make_job()
    output = look_at(folder)
    assert not output.is_whole and 'manifest.json' in output.describe()
    assert len(output.describe()) < 200
    state = state_of(job, tiny_config(), volume)
    assert state.word == 'stale' and 'manifest.json is damaged' in state.reason
    reader = make_job('reader', 'b', inputs=lambda config, volume: [Input('a', 'out', 'write')])
    state = state_of(reader, tiny_config(), volume)
    assert state.word == 'waiting' and 'damaged: manifest.json is damaged' in state.reason


def test_any_field_of_any_odd_type(tmp_path, whole):
    folder, manifest = whole
    for field in FIELDS:
        for value in ODD_VALUES:
            new = changed(manifest, *(field + (value,)))
            damage_manifest(folder, json.dumps(new))
            if any(value is fine or value == fine for fine in FINE.get(field, ())):
                assert look_at(folder).is_whole
            elif field[-1] == 'size' and value == 7:
                assert look_at(folder).faults == ['size.txt has 1 bytes instead of 7']
            else:
                is_told(folder, str(tmp_path))


@pytest.mark.parametrize('text', TEXTS)
def test_texts_that_are_no_manifest(tmp_path, whole, text):
    damage_manifest(whole[0], text)
    is_told(whole[0], str(tmp_path))
    assert run(make_job(), tmp_path) == 0 and look_at(whole[0]).is_whole      # made again


@pytest.mark.parametrize('name', ['/etc/passwd', '../x', 'a/../../x', 'a//b', './a', '', '.', 'a/',
                                  'a\0b'])
def test_names_that_lead_elsewhere(tmp_path, whole, name):
    folder, manifest = whole
    manifest['files'][name] = {'size': 0, 'sha256': '0' * 64}
    damage_manifest(folder, json.dumps(manifest))
    is_told(folder, str(tmp_path))
    assert read_manifest(folder) is None


@pytest.mark.parametrize('kind', ['FIFO', 'folder', 'link to nothing', 'link to /dev/zero'])
def test_what_is_no_file(tmp_path, whole, kind):
    """In place of the manifest, and of a file that it names."""
    folder, manifest = whole
    for name in ('manifest.json', 'size.txt'):
        path = os.path.join(folder, name)
        os.unlink(path)
        {'FIFO': os.mkfifo, 'folder': os.mkdir, 'link to nothing': lambda p: os.symlink('no', p),
         'link to /dev/zero': lambda p: os.symlink('/dev/zero', p)}[kind](path)
        output = look_at(folder)
        assert not output.is_whole and name in output.describe()
        assert state_of(make_job(), tiny_config(), str(tmp_path)).word == 'stale'
        if name == 'manifest.json':
            (os.rmdir if kind == 'folder' else os.unlink)(path)
            manifest['files']['size.txt']['size'] = 0
            damage_manifest(folder, json.dumps(manifest))


@pytest.mark.parametrize('text', ['{"files":{}}', '[]', '{"files":{},"request":{"job":'
                                  '"import-checkpoint","settings":{}}}'])
def test_status_of_a_volume_of_odd_manifests(tmp_path, capsys, text):
    """Of every job, all at once: one row each."""
    config = tiny_config()
    for job in BY_NAME.values():
        os.makedirs(folder_of(job, config, str(tmp_path)), exist_ok=True)
        damage_manifest(folder_of(job, config, str(tmp_path)), text)
    rows = rows_of_status(config, str(tmp_path), {})
    assert len(rows) == len(BY_NAME)
    for name, word, _, detail in rows:
        assert word in ('stale', 'waiting', 'not needed'), (name, word, detail)
    assert main(['status', '--data', str(tmp_path)]) == 0
    assert 'manifest.json is damaged' in capsys.readouterr().out


def test_an_odd_manifest_of_unfinished_work_is_no_finished_work(tmp_path):
    os.makedirs(str(tmp_path / 'out.partial'))
    damage_manifest(str(tmp_path / 'out.partial'), '{"files": {}}')
    assert run(make_job(), tmp_path) == 0
    assert look_at(str(tmp_path / 'out')).manifest['files']['size.txt']['size'] == 1


@pytest.mark.parametrize('text', ['[]', '{}', '7', '{"settings": 1, "inputs": []}'])
def test_an_odd_request_of_unfinished_work(tmp_path, capsys, text):
    os.makedirs(str(tmp_path / 'out.partial'))
    (tmp_path / 'out.partial' / 'request.json').write_text(text)
    assert run(make_job(precious=True), tmp_path) == 2
    assert 'no valid request.json' in capsys.readouterr().err
    assert run(make_job(), tmp_path) == 0
    shutil.rmtree(str(tmp_path / 'out'))


def test_status_reads_each_manifest_once(tmp_path, monkeypatch):
    volume, read, config = make_volume(tmp_path), [], toy_config()
    read_json = manifests.read_json
    monkeypatch.setattr(manifests, 'read_json', lambda path: read.append(path) or read_json(path))
    words = {row[0]: row[1] for row in rows_of_status(config, volume, {})}
    assert words['train-stage1'] == 'missing' and words['sample'] == 'waiting'
    there = [os.path.relpath(path, volume) for path in read if os.path.exists(path)]
    assert sorted(there) == ['prepared/toy/manifest.json', 'runs/toy/embeddings/manifest.json']


def test_what_changes_between_two_reports_is_seen(tmp_path):
    volume, config = make_volume(tmp_path), toy_config()
    folder = os.path.join(volume, 'prepared/toy')
    with looking_once():
        first = look_at(folder)
        os.unlink(os.path.join(folder, 'dataset.json'))
        with looking_once():                                   # within another
            assert first.is_whole and look_at(folder) is first
        assert look_at(folder) is first
    assert look_at(folder).faults == ['dataset.json is missing']
    words = {row[0]: row[1] for row in rows_of_status(config, volume, {})}
    assert words['preprocess'] == 'waiting' and words['train-stage1'] == 'waiting'
