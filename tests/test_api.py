"""stackgan.api, the examples and the notebook, as a user runs them."""

import contextlib
import io
import json
import os
import sys

import numpy as np
import pytest
from bundle_toy import bundle_path, by_checkpoint
from PIL import Image
from serve_toy import RUN
from test_judge import TINY, by_hand
from toy import ROOT

from stackgan import api
from stackgan.errors import InputError

CAPTION = 'a red bird with white wings'
EXAMPLES = os.path.join(ROOT, 'examples')


def example(name, *arguments):
    """What it prints, run in this process as by `python examples/NAME`."""
    output, before = io.StringIO(), sys.argv
    path = os.path.join(EXAMPLES, name)
    sys.argv = [path, *arguments]
    try:
        with open(path, encoding='utf-8') as stream, contextlib.redirect_stdout(output):
            exec(compile(stream.read(), path, 'exec'), {'__name__': '__main__'})
    finally:
        sys.argv = before
    return output.getvalue()


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Folder of the example that trains on arrays, after one step."""
    folder = str(tmp_path_factory.mktemp('arrays'))
    example('train_on_arrays.py', folder, '0.15')
    return folder


# Generating.

def test_a_model_generates_what_sample_does(bundles):
    with api.load(bundle_path(bundles)) as model:
        assert (model.name, model.sides, model.facts['licence']) == (RUN, [64, 256], 'CC BY 4.0')
        rows = model.embed([CAPTION, '  a   blue one'])
        images = model.generate([CAPTION, 'a blue one'], seeds=[0, 5])
        low = model.generate([CAPTION], side=64)
        again = model.generate([CAPTION, 'a blue one'], seeds=range(5, 6), embeddings=rows)
        typical = model.generate([CAPTION], truncation_z=0.1)
    assert rows.shape == (2, 16) and rows.dtype == np.float32
    assert images.shape == (2, 2, 256, 256, 3) and images.dtype == np.uint8
    assert low.shape == (1, 1, 64, 64, 3) and np.array_equal(again[:, 0], images[:, 1])
    for place, seed in enumerate((0, 5)):
        expected = by_checkpoint(bundles, [CAPTION, 'a blue one'], seed)
        assert np.abs(images[:, place].astype(int) - expected).max() <= 1
    assert np.abs(typical[0].astype(int) - images[0, :1]).max() > 1


def test_a_checkpoint_generates_too(bundles):
    with api.load(str(bundles / 'runs' / RUN / 'stage2')) as model:
        images = model.generate([CAPTION])                  # by the text encoder beside it
        expected = by_checkpoint(bundles, [CAPTION], 0)
        assert np.abs(images[0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize('call, text', [
    (lambda model: model.generate('a bird'), 'takes a list of captions'),
    (lambda model: model.generate([]), 'takes a list of captions'),
    (lambda model: model.generate(['a'], seeds=[]), 'some seeds'),
    (lambda model: model.generate(['a'], side=128), r'images of \[64, 256\] pixels, not 128'),
    (lambda model: model.generate(['a'], embeddings=np.zeros((2, 16))), '2 embeddings for 1'),
    (lambda model: model.generate(['a'], embeddings=np.zeros((1, 9))), 'embeddings of size 16')])
def test_wrong_calls_are_explained(bundles, call, text):
    with api.load(bundle_path(bundles, 'bundle-small')) as model:
        with pytest.raises(InputError, match=text):
            call(model)


# Training.

def test_a_stage_trained_on_arrays(trained):
    assert Image.open(os.path.join(trained, 'generated.png')).size == (256, 256)
    stage = os.path.join(trained, 'stage1')
    with api.load(stage) as model:
        images = model.generate(['a', 'b'], seeds=[1, 2], embeddings=np.eye(16)[:2])
        assert images.shape == (2, 2, 64, 64, 3) and images.std() > 0
        with pytest.raises(InputError, match='has no text encoder; pass embeddings'):
            model.embed(['a'])
    with open(os.path.join(stage, 'options.json')) as stream:
        options = json.load(stream)
    assert options['dataset']['training_images'] == 56               # 8 of 64 are held out
    assert options['config']['model']['embedding_dim'] == 16


def test_the_example_is_short():
    with open(os.path.join(EXAMPLES, 'train_on_arrays.py'), encoding='utf-8') as stream:
        code = stream.read().split('"""')[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 30


@pytest.mark.parametrize('images, captions, vectors, text', [
    (np.zeros((7, 9, 9, 3), np.uint8), 7, (7, 4), 'with N from 8 on'),
    (np.zeros((8, 9, 9, 3), np.float32), 8, (8, 4), 'type float32'),
    (np.zeros((8, 9, 9, 3), np.uint8), 7, (8, 4), '7 captions and embeddings'),
    (np.zeros((8, 9, 9, 3), np.uint8), 8, (8, 2, 4), 'each image needs one')])
def test_arrays_that_do_not_fit_are_named(tmp_path, images, captions, vectors, text):
    with pytest.raises(InputError, match=text):
        api.train_stage1(str(tmp_path), images, ['a'] * captions, np.zeros(vectors, np.float32))
    assert os.listdir(str(tmp_path)) == []


# Scores.

def test_scores_of_arrays_and_folders(tmp_path):
    random = np.random.RandomState(1)
    dark, bright = [random.randint(low, low + 90, (6, 64, 64, 3)).astype(np.uint8)
                    for low in (0, 150)]
    for number, image in enumerate(dark):
        Image.fromarray(image).save(str(tmp_path / f'{number}.png'))
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / '9.png').write_bytes(b'\x89PNG\r\n\x1a\n and no more')
    assert np.array_equal(api.images_of(str(tmp_path)), dark)
    assert api.score(str(tmp_path), dark) == {'sliced_wasserstein': 0.0}
    near, far = [api.score(each, dark)['sliced_wasserstein'] for each in (dark[::-1], bright)]
    assert near < 0.1 * far
    with pytest.raises(InputError, match=r'expected \[N, H, W, 3\] uint8'):
        api.score(dark.astype(np.float32), dark)
    with pytest.raises(InputError, match='no image there that can be read'):
        api.images_of(str(tmp_path / 'none') if os.mkdir(str(tmp_path / 'none')) else
                      str(tmp_path / 'none'))


def test_scores_of_a_judge():
    """Against the formula of FID, on features computed by hand."""
    random = np.random.RandomState(3)
    sets = [random.randint(low, 200, (12, 16, 16, 3)).astype(np.uint8) for low in (0, 60)]
    found = api.score(*sets, judge=TINY)
    rows = [np.array([by_hand(image / 127.5 - 1) for image in images]) for images in sets]
    means, spreads = [each.mean(0) for each in rows], [np.cov(each, rowvar=False) for each in rows]
    shared = np.sqrt(np.maximum(np.linalg.eigvals(spreads[0].dot(spreads[1])).real, 0)).sum()
    fid = ((means[0] - means[1]) ** 2).sum() + np.trace(spreads[0] + spreads[1]) - 2 * shared
    assert set(found) == {'fid', 'kid'} and abs(found['fid'] - fid) < 1e-3 * fid
    assert api.score(sets[0], sets[0], judge=TINY)['fid'] < 1e-6 < found['fid'] / 100
    with pytest.raises(InputError, match='at least 4 of each'):
        api.score(sets[0][:3], sets[1], judge=TINY)


# The examples, and the notebook.

def test_every_example_is_run_here():
    with open(os.path.abspath(__file__), encoding='utf-8') as stream:
        text = stream.read()
    assert all(f"'{name}'" in text for name in os.listdir(EXAMPLES) if not name.startswith('_'))


def test_generate(bundles, tmp_path):
    output = str(tmp_path / 'out.png')
    example('generate.py', bundle_path(bundles), output)
    sheet = np.asarray(Image.open(output))
    assert sheet.shape == (2 * 256, 4 * 256, 3)
    expected = by_checkpoint(bundles, [CAPTION], 0)[0]
    assert np.abs(sheet[:256, :256].astype(int) - expected).max() <= 1


def test_score_folder(bundles, tmp_path):
    random = np.random.RandomState(2)
    for number in range(8):
        for name, low in (('generated', 0), ('real', 120)):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(random.randint(low, low + 100, (64, 64, 3)).astype(np.uint8)).save(
                str(tmp_path / name / f'{number}.png'))
    lines = example('score_folder.py', str(tmp_path / 'generated'),
                    str(tmp_path / 'real')).splitlines()
    found = {line.split()[0]: float(line.split()[2]) for line in lines}
    assert found['generated'] > 5 * found['real'] > 0


def test_the_notebook(tmp_path, monkeypatch):
    """Its cells, in order, in one namespace: what a kernel does, without Jupyter's packages."""
    with open(os.path.join(EXAMPLES, 'quickstart.ipynb'), encoding='utf-8') as stream:
        notebook = json.load(stream)
    assert (notebook['nbformat'], notebook['nbformat_minor']) == (4, 5)
    assert len({cell['id'] for cell in notebook['cells']}) == len(notebook['cells'])
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv('EPOCHS', '0.15')                             # one step
    namespace, output = {'__name__': '__main__'}, io.StringIO()
    for cell in notebook['cells']:
        if cell['cell_type'] == 'code':
            assert cell['outputs'] == [] and cell['execution_count'] is None
            with contextlib.redirect_stdout(output):
                exec(compile(''.join(cell['source']), cell['id'], 'exec'), namespace)
    assert namespace['sheet'].size == (6 * 64, 3 * 64)
    assert namespace['captions'][:2] == ['a red square on paper', 'a green square on paper']
    generated, real = [float(line.split()[-1].strip('}'))
                       for line in output.getvalue().splitlines()[-2:]]
    assert generated > 2 * real                                      # after one step
