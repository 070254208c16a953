"""`export --bundle`: the zip alone generates what the checkpoint does, and says what it is."""

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from bundle_toy import CONFIG, bundle_path, by_checkpoint
from export_toy import run
from PIL import Image
from serve_toy import RUN, finish
from toy import tiny_config

from jobs import export
from jobs.engine.outputs import run_folder
from stackgan.checkpoints import EMA, Checkpoints
from stackgan.errors import InputError
from stackgan.export import half_weights
from stackgan.export.bundle import Description, bundle
from stackgan.export.bundle_file import open_bundle, write_bundle
from stackgan.export.onnx_check import read_onnx
from stackgan.export.safetensors_file import safetensors_bytes
from stackgan.files import write_json

CAPTIONS = ['a small red bird with black wings', 'A BLUE one, \u00e9 and "more"  of it']


def content(path):
    """{name below the one folder: bytes}."""
    with zipfile.ZipFile(path) as archive:
        assert {name.split('/')[0] for name in archive.namelist()} == {RUN}
        return {name.split('/', 1)[1]: archive.read(name) for name in archive.namelist()}


def test_it_generates_alone_what_the_checkpoint_does(bundles, tmp_path):
    """In an interpreter for which neither this repository nor TensorFlow exists."""
    with zipfile.ZipFile(bundle_path(bundles)) as archive:
        archive.extractall(str(tmp_path))
    program = str(tmp_path / RUN / 'generate.py')
    code = ('import runpy, sys\n'
            'sys.modules.update(stackgan=None, jobs=None, tensorflow=None, onnx=None, yaml=None)\n'
            f'sys.argv = [{program!r}] + {CAPTIONS + ["--seeds", "0", "5", "--output", "out"]!r}\n'
            f'runpy.run_path({program!r}, run_name="__main__")')
    done = subprocess.run([sys.executable, '-I', '-c', code], cwd=str(tmp_path),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.split() == [os.path.join('out', f'image-{number}-seed{seed}.png')
                                   for number in (0, 1) for seed in (0, 5)]
    captions = [' '.join(each.split()) for each in CAPTIONS]
    for seed in (0, 5):
        expected = by_checkpoint(bundles, captions, seed)
        for number in (0, 1):
            image = np.asarray(Image.open(str(tmp_path / 'out' / f'image-{number}-seed{seed}.png')))
            assert image.shape == (256, 256, 3) and image.std() > 5
            assert np.abs(image.astype(int) - expected[number]).max() <= 1


def test_what_is_in_it(bundles):
    files = content(bundle_path(bundles))
    assert sorted(files) == sorted(
        ['README.md', 'SHA256SUMS', 'bundle.json', 'generate.py', 'generators.onnx',
         'requirements.txt', 'text-encoder.onnx', 'weights.safetensors']
        + [f'samples/{number}.png' for number in range(6)])
    sums = dict(line.split('  ')[::-1] for line in files.pop('SHA256SUMS').decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert files['requirements.txt'].decode().split() == ['numpy', 'Pillow', 'onnxruntime>=1.10']
    card = files['README.md'].decode()
    assert 'Licence of the data: CC BY 4.0.' in card and 'What it cannot do' in card
    assert '| fid/scorer | 61.5 (12) | 4.25 (12) |' in card
    facts = json.loads(files['bundle.json'].decode())
    assert facts['licence'] == 'CC BY 4.0' and facts['checkpoint']['step'] == 12
    captions = [each['caption'] for each in facts['samples']]
    assert len(set(captions)) == 6 and all(each in card for each in captions)
    sample = np.asarray(Image.open(io.BytesIO(files['samples/3.png'])))
    expected = by_checkpoint(bundles, captions[3:4], 0)[0]
    assert np.abs(sample.astype(int) - expected).max() <= 1


def test_the_same_export_gives_the_same_bytes(bundles):
    before = [open(bundle_path(bundles, kind), 'rb').read() for kind in ('bundle', 'bundle-small')]
    for kind in ('full', 'small'):
        assert run(export.JOB, bundles, tiny_config(*CONFIG), bundle=kind, force=True) == 0
    assert before == [open(bundle_path(bundles, kind), 'rb').read()
                      for kind in ('bundle', 'bundle-small')]


def test_small_is_half_as_large_and_generates_the_same(bundles, tmp_path):
    full, small = content(bundle_path(bundles)), content(bundle_path(bundles, 'bundle-small'))
    assert {name for name in set(full) - set(small) if 'samples' not in name} == {
        'weights.safetensors'}
    for name, share in (('generators.onnx', 0.6), ('text-encoder.onnx', 0.9)):   # mostly nodes
        assert len(small[name]) < share * len(full[name]), name
        (tmp_path / name).write_bytes(small[name])
        read_onnx(str(tmp_path / name))                             # is permitted
    facts = json.loads(small['bundle.json'].decode())
    assert [each['weights'] for each in facts['models']] == ['float16', 'float16']
    assert all(0 < each['largest_difference'] < 1 / 255 for each in facts['models'])
    for number in (0, 5):
        images = [np.asarray(Image.open(io.BytesIO(files[name]))).astype(int)
                  for files, name in ((full, f'samples/{number}.png'),
                                      (small, f'samples/{number}.jpg'))]
        assert np.abs(images[0] - images[1]).mean() < 8 and images[0].std() > 15   # of JPEG


def test_weights_that_change_an_image_stay_float32(bundles):
    """A fake measure by which only some weights may be halved."""
    data = content(bundle_path(bundles))['generators.onnx']
    tried = []

    def halves(changed):
        count = changed.count(b'/half') // 2              # in its initializer and its Cast
        tried.append(count)
        return 0.0 if count <= 5 else 1.0

    found = half_weights.halved(data, halves)
    assert (found.weights, found.difference) == (5, 0.0) and found.of > 20
    assert found.data.count(b'/half') // 2 == 5 and tried[1] == found.of and len(tried) < 8
    assert half_weights.halved(data, lambda changed: float('nan')).data == data


def read_safetensors(data):
    """{name: array} and metadata, by the format's description alone."""
    length, = struct.unpack('<Q', data[:8])
    header = json.loads(data[8:8 + length].decode('utf-8'))
    metadata, body, arrays, end = header.pop('__metadata__'), data[8 + length:], {}, 0
    for name, facts in sorted(header.items(), key=lambda item: item[1]['data_offsets']):
        first, last = facts['data_offsets']
        assert first == end and facts['dtype'] == 'F32', name        # no holes, no overlaps
        arrays[name] = np.frombuffer(body[first:last], '<f4').reshape(facts['shape'])
        end = last
    assert end == len(body) and length % 8 == 0
    return arrays, metadata


def test_safetensors(bundles):
    arrays, metadata = read_safetensors(content(bundle_path(bundles))['weights.safetensors'])
    assert metadata['format'] == 'pt'
    stored = tf.train.load_checkpoint(os.path.join(Checkpoints(
        str(bundles / 'runs' / RUN / 'stage2' / 'checkpoints'), None).last(), 'model'))
    block = 'stage2/generator/block1/conv1'
    for name, theirs, axes in (
            (f'{block}/weights', 'weight', (3, 2, 0, 1)), (f'{block}/gamma', 'norm.weight', (0,)),
            (f'{block}/beta', 'norm.bias', (0,)),
            (f'{block}/moving_mean', 'norm.running_mean', (0,)),
            (f'{block}/moving_variance', 'norm.running_var', (0,)),
            ('stage1/generator/condition/weights', 'weight', (1, 0)),
            ('stage1/generator/condition/biases', 'bias', (0,))):
        layer = name.rpartition('/')[0].replace('/', '.')
        ours = stored.get_tensor(f'{EMA}/{name}')
        assert np.array_equal(arrays[f'{layer}.{theirs}'], ours.transpose(axes)), name
    encoder = tf.train.load_checkpoint(os.path.join(Checkpoints(
        str(bundles / 'runs' / RUN / 'text-encoder' / 'encoder'), None).last(), 'model'))
    assert np.array_equal(arrays['text_encoder.conv1.weight'], encoder.get_tensor(
        'text_encoder/conv1/weights').transpose(3, 2, 0, 1))
    assert {name.split('.')[0] for name in arrays} == {'stage1', 'stage2', 'text_encoder'}
    assert not any('discriminator' in name for name in arrays)


def test_safetensors_by_hand():
    data = safetensors_bytes({'b/weights': np.array([[1, 2, 3], [4, 5, 6]], np.float32),
                              'a/gamma': np.array([7], np.float32)})
    arrays, _ = read_safetensors(data)
    assert list(arrays) == ['a.norm.weight', 'b.weight']
    assert arrays['b.weight'].tolist() == [[1, 4], [2, 5], [3, 6]]


def test_an_export_of_another_checkpoint_is_refused(bundles, tmp_path, capsys):
    import shutil
    other = tmp_path / 'volume'
    shutil.copytree(str(bundles), str(other))
    shutil.rmtree(str(other / 'runs' / RUN / 'stage2'))
    finish(other, 'train-stage2', lambda config: run_folder(config, 'stage2'), lambda work: None)
    assert run(export.JOB, other, tiny_config(*CONFIG, 'data.licence=MIT'), bundle='full') == 2
    assert 'no checkpoint there' in capsys.readouterr().err


def test_another_text_encoder_is_refused(tmp_path):
    facts = {'form': 1, 'stage': 1, 'models': [{
        'batch_size': 1, 'inputs': [], 'outputs': [], 'frozen': {'file': 'a.pb', 'sha256': ''},
        'onnx': {'file': 'a.onnx', 'sha256': ''}}]}
    for encoder in (None, {'kind': 'sentence-encoder', 'file': 'b.onnx'}):
        write_json(str(tmp_path / 'export.json'), dict(facts, text_encoder=encoder))
        with pytest.raises(InputError, match='no ONNX of the text encoder.* no other encoder'):
            bundle(str(tmp_path), str(tmp_path / 'a.zip'), 'small',
                   Description('a', None, {}, None, []), tiny_config().platform, None)


def test_the_licence_is_not_a_setting_of_the_dataset(bundles, capsys):
    from jobs import preprocess
    assert 'licence' not in preprocess.JOB.settings(tiny_config(*CONFIG))['data']


# Reading one.

def test_a_bundle_is_opened(bundles, tmp_path):
    found = open_bundle(bundle_path(bundles), str(tmp_path))
    assert (found.name, found.stage, found.facts['licence']) == (RUN, 2, 'CC BY 4.0')
    assert sorted(os.listdir(str(tmp_path))) == ['generators.onnx', 'text-encoder.onnx']


def changed(bundles, tmp_path, change):
    """Path of the bundle with other files, and with SHA256SUMS that fit them."""
    files = content(bundle_path(bundles, 'bundle-small'))
    del files['SHA256SUMS']
    change(files)
    write_bundle(str(tmp_path / 'a.zip'), RUN, files)
    return str(tmp_path / 'a.zip')


def facts_with(**values):
    def change(files):
        files['bundle.json'] = json.dumps(dict(json.loads(files['bundle.json'].decode()),
                                               **values)).encode()
    return change


@pytest.mark.parametrize('change, reason', [
    (facts_with(form=2), 'form 2, expected 1'), (facts_with(name='../a'), 'a plain name'),
    (facts_with(stage=True), 'another stage'), (facts_with(encoder='CLIP'), 'is a CLIP'),
    (lambda files: files.pop('generators.onnx'), 'generators.onnx'),
    (lambda files: files.update({'bundle.json': b'[]'}), 'not a bundle'),
    (lambda files: files.update({'bundle.json': b'{"a": 1' + b' ' * (1 << 20)}), 'more than')])
def test_what_is_no_bundle_is_named(bundles, tmp_path, change, reason):
    with pytest.raises(InputError, match=reason):
        open_bundle(changed(bundles, tmp_path, change), str(tmp_path))


def test_a_damaged_bundle_is_named(bundles, tmp_path):
    with open(bundle_path(bundles), 'rb') as stream:
        data = bytearray(stream.read())
    with zipfile.ZipFile(bundle_path(bundles)) as archive:
        data[archive.getinfo(f'{RUN}/generators.onnx').header_offset + 5000] ^= 1
    path = tmp_path / 'a.zip'
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match='a damaged one'):
        open_bundle(str(path), str(tmp_path))
    path.write_bytes(bytes(data[:-200]))
    with pytest.raises(InputError, match='not a bundle'):
        open_bundle(str(path), str(tmp_path))
    with pytest.raises(InputError, match='no such file'):
        open_bundle(str(tmp_path / 'none.zip'), str(tmp_path))
