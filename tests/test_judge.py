"""A judge of one's own: what it gives, what is made of its output, and files that are refused."""

import dataclasses
import os
import struct

import numpy as np
import pytest
from needs import SHARED
from toy import ROOT

from stackgan.config.schema import Platform, Score
from stackgan.errors import InputError
from stackgan.scoring import tflite_file
from stackgan.scoring.judge import Judge
from stackgan.scoring.protocols import Network, protocols_of

# A 3x3 convolution of stride 2 with weights RandomState(0).randn(3, 3, 3, 5) on [1, 16, 16, 3]
# floats, ReLU, the mean over the image: written by the converter of TensorFlow 2.21.
TINY = os.path.join(ROOT, 'tests', 'tiny.tflite')


def image(seed=0, side=16):
    return np.random.RandomState(seed).randint(0, 256, (side, side, 3)).astype(np.uint8)


def judge(path, **settings):
    return Judge(str(path), dataclasses.replace(Score(), **settings), Platform(threads=1))


def by_hand(pixels):
    """What tiny.tflite computes of pixels in [-1, 1]: SAME padding of stride 2 is after."""
    weights = np.random.RandomState(0).randn(3, 3, 3, 5)
    padded = np.pad(pixels, ((0, 1), (0, 1), (0, 0)), mode='constant')
    places = [(padded[y:y + 3, x:x + 3, :, np.newaxis] * weights).sum((0, 1, 2))
              for y in range(0, 16, 2) for x in range(0, 16, 2)]
    return np.maximum(places, 0).mean(0)


def test_features_of_a_tflite_file_are_those_of_its_layers():
    with judge(TINY) as found:
        _, features = found.run([found.prepare(image(n)) for n in range(3)])
        assert (found.classes, found.dim) == (0, 5)
        expected = [by_hand(image(n) / 127.5 - 1) for n in range(3)]
        assert np.allclose(features, expected, rtol=1e-4, atol=1e-5)
        assert found.name == 'judge-' + found.facts['weights'][:8]
        assert found.facts['preprocessing'] == 'resized to 16 px (bilinear, antialiased), -1..1'
        assert found.prepare(image(0, 40)).shape == (16, 16, 3)


@pytest.mark.parametrize('kind, scale, offset', [
    ('0..1', 255, 0), ('0..255', 1, 0),
    ('imagenet', 255 * np.array([0.229, 0.224, 0.225]), np.array([0.485, 0.456, 0.406]) /
     np.array([0.229, 0.224, 0.225]))])
def test_the_range_of_pixels(kind, scale, offset):
    with judge(TINY, judge_range=kind) as found:
        _, features = found.run([image()])
        assert np.allclose(features[0], by_hand(image() / scale - offset), rtol=1e-3, atol=1e-4)
        assert found.facts['preprocessing'].endswith(kind)


def test_what_a_judge_gives_decides_what_is_scored():
    features, classes = [[protocol.name for protocol in protocols_of(
        [Network('judge-0', has_classes, not has_classes)], 2, 0, None)]
        for has_classes in (False, True)]
    assert features == ['fid/judge-0', 'kid/judge-0', 'precision/judge-0', 'recall/judge-0',
                        'variety/judge-0']
    assert classes == ['inception_score/judge-0/full']


def onnx_file(tmp_path, nodes, shape=(1, 3, 8, 8), outputs=3, **more):
    onnx = pytest.importorskip('onnx')
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(*node[:3], **dict(node[3:])) for node in nodes], 'judge',
        [value('x', onnx.TensorProto.FLOAT, shape)],
        [value('y', onnx.TensorProto.FLOAT, [1, outputs])], **more)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)],
                                   ir_version=7)
    path = tmp_path / 'judge.onnx'
    path.write_bytes(model.SerializeToString())
    return path


MEAN = [('GlobalAveragePool', ['x'], ['p']), ('Flatten', ['p'], ['m'])]


def test_an_onnx_file_of_probabilities(tmp_path):
    path = onnx_file(tmp_path, MEAN + [('Softmax', ['m'], ['y'])], shape=('N', 3, 8, 8))
    with judge(path, judge_output='classes') as found:
        logits, _ = found.run([image(n, 8) for n in range(2)])
    means = np.stack([(image(n, 8) / 127.5 - 1).mean((0, 1)) for n in range(2)])
    p = np.exp(means) / np.exp(means).sum(1, keepdims=True)
    assert np.allclose(np.exp(logits), p, rtol=1e-5)          # the softmax of these is p again


def test_an_onnx_file_of_logits_is_taken_as_it_is(tmp_path):
    path = onnx_file(tmp_path, MEAN + [('Neg', ['m'], ['y'])])
    with judge(path, judge_output='classes') as found:
        logits, _ = found.run([image(1, 8)])
    assert np.allclose(logits[0], -(image(1, 8) / 127.5 - 1).mean((0, 1)), atol=1e-6)


@pytest.mark.parametrize('nodes, text', [
    ([('Tile', ['x', 'x'], ['y'])], "operation 'Tile' is not among"),
    ([('Relu', ['x'], ['y'], ('domain', 'my.own'))], "operation 'Relu' is not among"),
    ([('Nothing', ['x'], ['y'])], "operation 'Nothing' is not among")])
def test_onnx_files_that_are_refused(tmp_path, nodes, text):
    with pytest.raises(InputError, match='judge.onnx: cannot judge: ' + text):
        judge(onnx_file(tmp_path, nodes))


def test_an_onnx_file_that_reads_another_file_is_refused(tmp_path):
    onnx = pytest.importorskip('onnx')
    outside = onnx.TensorProto(name='w', data_type=1, dims=[1], data_location=1)
    outside.external_data.add(key='location', value='/etc/passwd')
    path = onnx_file(tmp_path, MEAN + [('Mul', ['m', 'w'], ['y'])], initializer=[outside])
    with pytest.raises(InputError, match='holds external data'):
        judge(path)


@pytest.mark.parametrize('shape', [(2, 3, 8, 8), (1, 3, 8, 9), (1, 4, 8, 8), (1, 3, 4, 4)])
def test_an_input_that_is_no_image(tmp_path, shape):
    with pytest.raises(InputError, match='its input has shape .*expected one square image'):
        judge(onnx_file(tmp_path, MEAN + [('Neg', ['m'], ['y'])], shape, shape[1]))


def patched(code):
    """tiny.tflite with another number for its first operation."""
    with open(TINY, 'rb') as stream:
        data = bytearray(stream.read())
    model = tflite_file._Table(bytes(data), struct.unpack_from('<I', data, 0)[0])
    data[model.tables(1, 9)[0]._place(0)] = code
    return bytes(data)


@pytest.mark.parametrize('data, text', [
    (b'no network', 'not a TFLite file'), (patched(119), 'operation 119 is not among'),
    (patched(32), 'operation 32 is not among')])         # while; what is called by name
def test_tflite_files_that_are_refused(tmp_path, data, text):
    (tmp_path / 'x.tflite').write_bytes(data)
    with pytest.raises(InputError, match='x.tflite: cannot judge: .*' + text):
        judge(tmp_path / 'x.tflite')


def test_a_cut_or_damaged_tflite_file_is_read_within_its_bounds():
    with open(TINY, 'rb') as stream:
        data = stream.read()
    random = np.random.RandomState(0)
    for length in range(8, len(data), 37):
        with pytest.raises(tflite_file.Unfit):
            tflite_file.require_plain_network(data[:length])
    for _ in range(300):
        changed = bytearray(data)
        for place in random.randint(8, len(data), 3):
            changed[place] = random.randint(256)
        try:
            tflite_file.require_plain_network(bytes(changed))
        except tflite_file.Unfit:
            pass                                     # and nothing else is raised


def test_another_kind_of_file(tmp_path):
    (tmp_path / 'x.pb').write_bytes(b'x')
    with pytest.raises(InputError, match='neither an .onnx nor a .tflite'):
        judge(tmp_path / 'x.pb')


@pytest.mark.skipif(not os.path.isdir(os.path.join(SHARED, 'data', 'judges')),
                    reason='no data/judges in the shared folder (README.md there: google-coral)')
def test_a_public_network():
    """Quantised: uint8 pixels in, scaled features out."""
    path = os.path.join(SHARED, 'data', 'judges',
                        'mobilenet_v1_1.0_224_quant_embedding_extractor.tflite')
    with judge(path) as found:
        _, features = found.run([found.prepare(image(0, 256))])
        assert found.dim == 1024 and found.facts['preprocessing'].endswith('uint8')
    steps = features / 0.02352848
    assert features.max() > 0.5 and np.allclose(steps, np.round(steps), atol=1e-3)
