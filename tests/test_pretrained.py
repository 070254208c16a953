"""`sample --pretrained`, `serve --pretrained`, and the models that come with the package."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from bundle_toy import CONFIG, bundle_path, by_checkpoint
from PIL import Image
from serve_toy import RUN, Served
from toy import ROOT, TINY

from jobs.engine.command_line import main
from jobs.engine.locks import locked
from stackgan import pretrained
from stackgan.errors import InputError
from stackgan.export.bundle_file import open_bundle
from stackgan.files import digest_of_file, read_json, read_json_lines
from stackgan.serving.bundle_runs import BundleRuns

CAPTION = 'a red bird with white wings'


def sample(*arguments):
    return main(['sample', '--pretrained', *arguments])


def image_of(path):
    return np.asarray(Image.open(str(path))).astype(int)


@pytest.fixture(scope='module')
def small(bundles):
    return bundle_path(bundles, 'bundle-small')


def folders_of(path):
    """What `sample` has written there, beside its locks."""
    return [each for each in path.iterdir() if each.is_dir()]


def test_it_needs_no_tensorflow_and_no_volume(bundles, small, tmp_path):
    """In a process of its own, which may not import TensorFlow."""
    code = ('import sys; sys.modules["tensorflow"] = sys.modules["onnx"] = None\n'
            f'sys.path.insert(0, {ROOT!r})\n'
            'from jobs.engine.command_line import main\n'
            f'sys.exit(main(["sample", "--pretrained", {small!r}, "--caption", {CAPTION!r}]))')
    done = subprocess.run([sys.executable, '-c', code], cwd=str(tmp_path), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    folder, = folders_of(tmp_path / 'samples')
    assert folder.name.startswith('a-red-bird-with-white-wings-')
    assert os.listdir(str(tmp_path)) == ['samples']               # and no ./data
    last = done.stdout.splitlines()[-1]
    assert last == f'sample: wrote {os.path.join("samples", folder.name, "grid.png")}'
    image = image_of(folder / '256' / '00000.png')
    assert np.abs(image - by_checkpoint(bundles, [CAPTION], 0)[0]).max() <= 2     # of float16


def test_seeds_interpolations_and_what_is_there_already(small, tmp_path, capsys):
    output = ['--output', str(tmp_path / 'out')]
    assert sample(small, '--caption', CAPTION, '--seeds', '3,4', *output) == 0
    folder, = folders_of(tmp_path / 'out')
    lines = read_json_lines(str(folder / 'samples.jsonl'))
    assert [(line['seed'], line['copy']) for line in lines] == [(3, 0), (4, 0)]
    assert 'pretrained model painted-birds' in capsys.readouterr().out
    stamp = os.stat(str(folder / 'grid.png')).st_mtime_ns
    assert sample(small, '--caption', CAPTION, '--seeds', '3,4', *output) == 0
    assert 'up to date' in capsys.readouterr().out
    assert os.stat(str(folder / 'grid.png')).st_mtime_ns == stamp
    assert sample(small, '--interpolate-captions', 'a red bird', 'a blue bird', '--steps', '2',
                  *output) == 0
    assert len(folders_of(tmp_path / 'out')) == 2
    with locked(str(folder), 'other'):              # two at once do not mix
        assert sample(small, '--caption', CAPTION, '--seeds', '3,4', '--force', *output) == 1
    assert 'another job is writing' in capsys.readouterr().err
    assert os.stat(str(folder / 'grid.png')).st_mtime_ns == stamp


@pytest.mark.parametrize('arguments, text', [
    ([], 'say what to generate with --caption'),
    (['--caption', 'a', '--stage', '1'], '--pretrained and --stage cannot be combined'),
    (['--caption', 'a', '--nearest', '2'], '--pretrained and --nearest cannot be combined'),
    (['--caption', 'a', '--dry-run'], '--pretrained and --dry-run cannot be combined')])
def test_what_it_cannot_do_is_said(small, tmp_path, capsys, arguments, text):
    assert sample(small, *arguments, '--output', str(tmp_path / 'out')) == 2
    assert text in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_unknown_models_are_named(tmp_path, capsys):
    assert sample('humming-bees', '--caption', 'a') == 2
    assert "no pretrained model 'humming-bees' in this package" in capsys.readouterr().err
    assert sample(str(tmp_path / 'a.zip'), '--caption', 'a') == 2
    assert 'a.zip: no such file; name a .zip' in capsys.readouterr().err
    assert main(['serve', '--pretrained', 'humming-bees']) == 2
    assert "no pretrained model 'humming-bees'" in capsys.readouterr().err
    with pytest.raises(InputError, match=r'there: a, b'):
        for name in ('b.zip', 'a.zip', 'a.json'):
            (tmp_path / name).write_bytes(b'')
        pretrained.path_of('c', str(tmp_path))
    assert pretrained.path_of('b', str(tmp_path)) == str(tmp_path / 'b.zip')
    assert main(['sample', '--caption', 'a', '--output', 'x', '--data', str(tmp_path)]) == 2
    assert '--output is for --pretrained' in capsys.readouterr().err


def test_the_page(bundles, small, tmp_path):
    """A volume that is not there is not asked for."""
    with Served(tmp_path / 'none', '--pretrained', small) as served:
        assert f'the pretrained model {RUN}' in served.first_line
        status, _, body = served.ask('/')
        assert status == 200 and f'<option selected>{RUN}</option>' in body.decode()
        run, = json.loads(served.ask('/api/runs')[2].decode())['runs']
        assert (run['name'], run['can_generate'], run['by']) == (RUN, True, 'onnx')
        status, _, body = served.generate(CAPTION, 5)
        assert status == 200, body
        path = json.loads(body.decode())['images'][0]['stages']['2']
        (tmp_path / 'a.png').write_bytes(served.ask(path)[2])
    assert np.abs(image_of(tmp_path / 'a.png')
                  - by_checkpoint(bundles, [CAPTION], 5)[0]).max() <= 2


def test_runs_of_bundles(small, tmp_path):
    runs = BundleRuns([open_bundle(small, str(tmp_path))])
    assert [run.name for run in runs.all()] == [RUN] and runs.all()[0].sides == [64, 256]
    assert runs.get(RUN) == runs.all()[0] and runs.get('other') is None
    assert runs.report_file(RUN, 'index.html') is None


# The models in the package.

@pytest.mark.parametrize('name', pretrained.names() or [None])
def test_a_model_of_the_package_is_what_its_manifest_says(name, tmp_path):
    if name is None:
        pytest.skip('there is no model in stackgan/pretrained: scripts/make-pretrained makes one')
    path = pretrained.path_of(name)
    manifest = read_json(path[:-4] + '.json')
    assert os.path.getsize(path) == manifest['bytes'] <= 10000000
    assert digest_of_file(path) == manifest['sha256']
    facts = open_bundle(path, str(tmp_path)).facts
    for key in ('checkpoint', 'scores', 'licence', 'models'):
        assert manifest[key] == facts[key] and facts[key], key
    assert manifest['commit'] and 'make-pretrained' in manifest['command']


def test_how_one_is_made(bundles, small, tmp_path, monkeypatch):
    """The same bytes as the bundle, and a manifest that says where they are from."""
    path = os.path.join(ROOT, 'scripts', 'make-pretrained')
    loader = importlib.machinery.SourceFileLoader('make_pretrained', path)
    make = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(make)
    settings = [word for text in TINY + CONFIG for word in ('--set', text)]
    command = ['--config', 'painted-birds', '--data', str(bundles), '--output', str(tmp_path),
               *settings]
    assert make.main(command) == 0
    assert sorted(os.listdir(str(tmp_path))) == [RUN + '.json', RUN + '.zip']
    manifest = read_json(str(tmp_path / (RUN + '.json')))
    assert manifest['sha256'] == digest_of_file(str(tmp_path / (RUN + '.zip')))
    assert manifest['sha256'] == digest_of_file(small)
    assert manifest['command'].startswith('scripts/make-pretrained --config painted-birds')
    assert manifest['config']['model']['generator_filters'] == 8
    assert manifest['scores']['rows'] == [['fid/scorer', '61.5 (12)', '4.25 (12)']]
    monkeypatch.setattr(make, 'MAX_BYTES', 1000)
    assert make.main(command) == 1
