"""Exported files against the live graph, what is in them, the check, and generating from them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from export_toy import finished_stage, graph_of, make_stage, placeholder, run
from toy import ROOT, tiny_config

from jobs import export as export_job
from stackgan.checkpoints import Checkpoints
from stackgan.config.schema import Model
from stackgan.errors import InputError, MissingRequirement, StackganError
from stackgan.export import exporting
from stackgan.export.check import read_graph
from stackgan.export.exporting import export
from stackgan.export.freezing import folded, freeze
from stackgan.export.model_file import ModelSampler, open_model
from stackgan.export.onnx_graph import OPSET
from stackgan.files import digest_of_file
from stackgan.sampling.sample_request import SampleRequest
from stackgan.sampling.sampler import Sampler

INPUTS = ['embedding', 'z', 'noise1', 'noise2']
ALLOWED = {'Placeholder', 'Const', 'MatMul', 'BiasAdd', 'LeakyRelu', 'Split', 'Exp', 'Mul', 'AddV2',
           'ConcatV2', 'Reshape', 'Conv2D', 'Relu', 'ResizeNearestNeighbor', 'Tile', 'Tanh'}
BATCHES = 'export.batch_sizes=[1, 3]'


@pytest.fixture(scope='module')
def stages(tmp_path_factory):
    """Folders of both stages, untrained."""
    folder = tmp_path_factory.mktemp('stages')
    return [make_stage(folder / str(stage), stage, tiny_config().model) for stage in (1, 2)]


@pytest.fixture(scope='module')
def exported(stages, tmp_path_factory):
    """Folder of an export of Stage-II."""
    return export_to(tmp_path_factory.mktemp('export'), stages[1])


def export_to(folder, stage, *overrides):
    config = tiny_config(BATCHES, *overrides)
    export(stage, str(folder), config.export, config.platform)
    return str(folder)


def facts_of(folder):
    with open(os.path.join(folder, 'export.json')) as stream:
        return json.load(stream)


def random_inputs(shapes, seed):
    random = np.random.RandomState(seed)
    return {name: np.clip(random.standard_normal(shape), -2, 2).astype(np.float32)
            for name, shape in shapes.items()}


def live_images(stage, arrays, averaged=True):
    batch = len(arrays['embedding'])
    with Sampler(stage, 'last', batch, tiny_config().platform, averaged) as live:
        holders = dict(zip(INPUTS, (live.graph.embeddings,) + tuple(live.graph.noise)))
        return live.session.run(live.graph.images,
                                {holders[name]: arrays.get(name, np.zeros((batch, 8)))
                                 for name in INPUTS})


def frozen_images(path, arrays, outputs):
    """By TensorFlow alone."""
    with tf.Graph().as_default(), tf.Session() as session:
        with open(path, 'rb') as stream:
            tf.import_graph_def(tf.GraphDef.FromString(stream.read()), name='')
        return session.run([name + ':0' for name in outputs],
                           {name + ':0': array for name, array in arrays.items()})


def onnx_images(path, arrays, outputs):
    """By ONNX Runtime alone."""
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return session.run(list(outputs), arrays)


# The files.

@pytest.mark.parametrize('number', [0, 1])
def test_both_files_draw_what_the_checkpoint_draws(stages, exported, number):
    entry = facts_of(exported)['models'][number]
    shapes = {each['name']: each['shape'] for each in entry['inputs']}
    assert list(shapes) == INPUTS and shapes['embedding'] == [(1, 3)[number], 16]
    outputs = [each['name'] for each in entry['outputs']]
    arrays = random_inputs(shapes, 11)
    expected = live_images(stages[1], arrays)
    for kind, generate in (('frozen', frozen_images), ('onnx', onnx_images)):
        path = os.path.join(exported, entry[kind]['file'])
        generated = generate(path, arrays, outputs)
        for images, side, each in zip(generated, (64, 256), entry['outputs']):
            assert list(images.shape) == each['shape'] == [shapes['z'][0], side, side, 3]
            assert np.abs(images - expected[side]).max() < 1e-4, (kind, side)
            assert images.std() > 0.05                       # there is something to compare
        assert entry[kind]['largest_difference'] < 1e-4
        assert entry[kind]['sha256'] == digest_of_file(path)


def test_each_input_reaches_the_images(exported):
    entry = facts_of(exported)['models'][0]
    arrays = random_inputs({each['name']: each['shape'] for each in entry['inputs']}, 3)
    path = os.path.join(exported, entry['frozen']['file'])
    outputs = [each['name'] for each in entry['outputs']]
    before = frozen_images(path, arrays, outputs)
    for name in INPUTS:
        after = frozen_images(path, dict(arrays, **{name: -arrays[name]}), outputs)
        changed = [not np.array_equal(*pair) for pair in zip(before, after)]
        assert changed == [name != 'noise2', True], name       # Stage-I does not see noise2


def test_nothing_is_left_in_the_graph_but_inference(exported):
    for name in ('stackgan-stage2-b1.pb', 'stackgan-stage2-b3.pb'):
        graph_def = read_graph(os.path.join(exported, name))
        assert {node.op for node in graph_def.node} == ALLOWED
        assert not [i for node in graph_def.node for i in node.input if i.startswith('^')]
        convolutions = [node for node in graph_def.node if node.op == 'Conv2D']
        norms = [node for node in graph_def.node if node.op == 'BiasAdd']
        assert len(convolutions) == 10 + 17 and len(norms) == 10 + 15 + 3
        assert graph_def.versions.producer == 134              # TensorFlow 1.15


def test_the_onnx_file(exported):
    import onnx
    model = onnx.load(os.path.join(exported, 'stackgan-stage2-b3.onnx'))
    assert [each.version for each in model.opset_import] == [OPSET]
    assert [each.name for each in model.graph.input] == INPUTS
    kinds = {node.op_type for node in model.graph.node}
    assert 'BatchNormalization' not in kinds and 'Conv' in kinds
    turns = [node for node in model.graph.node if node.op_type == 'Transpose']
    assert len(turns) == 4                 # 4x4 of Stage-I, the text of Stage-II, both outputs


def test_what_export_json_says(stages, exported):
    facts = facts_of(exported)
    assert facts['stage'] == 2 and facts['checkpoint']['step'] == 12
    assert facts['checkpoint']['name'] == '00000012' and len(facts['checkpoint']['sha256']) == 64
    assert facts['weights'] == 'the EMA' and facts['model']['embedding_dim'] == 16
    assert facts['models'][1]['onnx']['opset'] == OPSET
    assert facts['models'][0]['atc']['command'] == (
        'atc --framework=3 --model=stackgan-stage2-b1.pb --output=stackgan-stage2-b1 '
        "--soc_version=Ascend310 --input_format=NHWC '--input_shape=embedding:1,16;z:1,6;"
        "noise1:1,8;noise2:1,8' '--out_nodes=stage1/generator/images:0;stage2/generator/images:0' "
        '--output_type=FP32 --log=error')
    with open(os.path.join(exported, 'check.json')) as stream:
        reports = json.load(stream)
    assert all(report['passed'] and report['findings'] == [] for report in reports.values())
    assert sorted(os.listdir(exported)) == ['check.json', 'export.json'] + sorted(
        'stackgan-stage2-b%d.%s' % (size, kind) for size in (1, 3) for kind in ('onnx', 'pb'))


def test_trained_weights_on_request(stages, exported, tmp_path):
    folder = export_to(tmp_path, stages[1], 'export.weights=trained', 'export.onnx=false')
    facts = facts_of(folder)
    assert facts['weights'] == 'the training itself' and 'onnx' not in facts['models'][0]
    assert sorted(os.listdir(folder))[2:] == ['stackgan-stage2-b1.pb', 'stackgan-stage2-b3.pb']
    arrays = random_inputs({each['name']: each['shape'] for each in facts['models'][0]['inputs']},
                           5)
    outputs = [each['name'] for each in facts['models'][0]['outputs']]
    trained = frozen_images(os.path.join(folder, 'stackgan-stage2-b1.pb'), arrays, outputs)
    averaged = frozen_images(os.path.join(exported, 'stackgan-stage2-b1.pb'), arrays, outputs)
    assert np.abs(trained[1] - live_images(stages[1], arrays, False)[256]).max() < 1e-4
    assert np.abs(trained[1] - averaged[1]).max() > 1e-2


def test_stage1_alone_has_no_second_noise(stages, tmp_path):
    folder = export_to(tmp_path, stages[0], 'export.stage=1')
    entry = facts_of(folder)['models'][1]
    assert [each['name'] for each in entry['inputs']] == INPUTS[:3]
    assert [each['shape'] for each in entry['outputs']] == [[3, 64, 64, 3]]
    arrays = random_inputs({each['name']: each['shape'] for each in entry['inputs']}, 2)
    expected = live_images(stages[0], arrays)[64]
    outputs = [each['name'] for each in entry['outputs']]
    for kind, generate in (('frozen', frozen_images), ('onnx', onnx_images)):
        generated, = generate(os.path.join(folder, entry[kind]['file']), arrays, outputs)
        assert np.abs(generated - expected).max() < 1e-4


@pytest.mark.outermost
@pytest.mark.parametrize('options', [
    (), ('model.stage2_skip_connections=true', 'model.stage2_sub_pixel=true',
         'model.stage1_modulation=true', 'model.condition_sigma_limit=0.5')])
def test_a_residual_stage2_is_the_same_in_every_file(tmp_path, options):
    stage = make_stage(tmp_path / 'residual', 2,
                       tiny_config('model.stage2_residual=true', *options).model)
    (tmp_path / 'out').mkdir()
    folder = export_to(tmp_path / 'out', stage, 'export.batch_sizes=[3]')
    entry, = facts_of(folder)['models']
    with open(os.path.join(folder, 'check.json')) as stream:
        assert all(report['findings'] == [] for report in json.load(stream).values())
    arrays = random_inputs({each['name']: each['shape'] for each in entry['inputs']}, 3)
    expected = live_images(stage, arrays)
    outputs = [each['name'] for each in entry['outputs']]
    for kind, generate in (('frozen', frozen_images), ('onnx', onnx_images)):
        low, high = generate(os.path.join(folder, entry[kind]['file']), arrays, outputs)
        assert np.abs(low - expected[64]).max() < 1e-4
        assert np.abs(high - expected[256]).max() < 1e-4


def test_dimensions_are_those_of_the_checkpoint(tmp_path):
    dims = tiny_config('model.generator_filters=12', 'model.embedding_dim=24').model
    stage = make_stage(tmp_path / 'other', 2, dims, averages=False)
    (tmp_path / 'out').mkdir()
    facts = facts_of(export_to(tmp_path / 'out', stage))       # with another model section
    assert facts['model']['generator_filters'] == 12
    assert facts['models'][0]['inputs'][0]['shape'] == [1, 24]
    assert facts['weights'] == 'the training itself'           # it has no averages


def test_folding_by_hand():
    """Against the definition of batch norm, in float64."""
    random = np.random.RandomState(0)
    parts = {'weights': random.standard_normal((1, 1, 5, 4)), 'gamma': random.standard_normal(4),
             'beta': random.standard_normal(4), 'moving_mean': random.standard_normal(4),
             'moving_variance': random.uniform(0.1, 2, 4)}
    stored = {'a/' + name: value.astype(np.float32) for name, value in parts.items()}
    x = random.standard_normal((7, 5))
    y = x.dot(parts['weights'][0, 0])
    wanted = (parts['gamma'] * (y - parts['moving_mean'])
              / np.sqrt(parts['moving_variance'] + 1e-5) + parts['beta'])
    ours = x.dot(folded('a/weights', stored)[0, 0]) + folded('a/offset', stored)
    assert np.abs(ours - wanted).max() < 1e-5
    assert folded('b/weights', {'b/weights': 3}) == 3          # a layer without batch norm


def test_a_file_that_draws_otherwise_is_refused(stages, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, 'LARGEST_DIFFERENCE', 0.0)
    with pytest.raises(StackganError, match=r'stackgan-stage2-b1.pb: its images differ'):
        export_to(tmp_path, stages[1])


def test_missing_onnx_is_named_before_the_work(stages, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(MissingRequirement, match='extra `export` .*or set export.onnx=false'):
        export_to(tmp_path, stages[1])
    assert os.listdir(str(tmp_path)) == []


def test_a_checkpoint_that_lacks_a_variable_is_named(stages, tmp_path):
    """Facts that say Stage-II over the variables of Stage-I."""
    store = Checkpoints(os.path.join(stages[0], 'checkpoints'), None)
    broken = tmp_path / 'checkpoints' / '00000012'
    broken.mkdir(parents=True)
    for name in os.listdir(store.last()):
        with open(os.path.join(store.last(), name), 'rb') as stream:
            broken.joinpath(name).write_bytes(stream.read().replace(b'"stage": 1', b'"stage": 2'))
    with pytest.raises(InputError, match='checkpoint of another network .*missing: stage2/gen'):
        export_to(tmp_path, str(tmp_path))


# The job.

@pytest.mark.outermost
def test_the_job(tmp_path, capsys):
    settings = ['export.batch_sizes=[2]', 'export.onnx=false', 'export.stage=1']
    config = tiny_config(*settings)
    assert run(export_job.JOB, tmp_path, config) == 2
    assert 'run train-stage1 first' in capsys.readouterr().err
    finished_stage(tmp_path, 1)
    assert run(export_job.JOB, tmp_path, config) == 0
    folder = tmp_path / 'runs' / config.run.name / 'export'
    assert (folder / 'stackgan-stage1-b2.pb').exists()
    assert run(export_job.JOB, tmp_path, config) == 0
    assert 'up to date' in capsys.readouterr().out
    stale = tiny_config('export.soc_version=Ascend910', *settings)
    assert run(export_job.JOB, tmp_path, stale) == 0
    assert '--soc_version=Ascend910' in facts_of(str(folder))['models'][0]['atc']['command']


# Generating from a file.

def wanted(*captions):
    rows = np.random.RandomState(3).standard_normal((50, 16)).astype(np.float32)
    return [SampleRequest(caption, rows[len(caption)], copy, {}) for caption, copy in captions]


@pytest.mark.parametrize('kind', ['pb', 'onnx'])
def test_a_file_draws_the_images_of_the_checkpoint(stages, exported, kind):
    captions = wanted(('a red bird', 0), ('a small blue bird', 0), ('green', 1), ('green', 2))
    platform = tiny_config().platform
    with Sampler(stages[1], 'last', 2, platform) as one, \
            ModelSampler(os.path.join(exported, 'stackgan-stage2-b3.' + kind), platform) as file:
        assert (file.stage, file.batch_size) == (2, 3)
        theirs, ours = one.generate(captions, 7), file.generate(captions, 7)
    for side in (64, 256):
        difference = np.abs(ours[side].astype(int) - theirs[side])
        assert ours[side].shape == theirs[side].shape and difference.max() <= 1


def test_unusable_files_are_named(exported, tmp_path):
    platform = tiny_config().platform
    (tmp_path / 'a.pb').write_bytes(b'\xff\xfe no graph')
    (tmp_path / 'empty.pb').write_bytes(b'')
    (tmp_path / 'a.onnx').write_bytes(b'no model')
    (tmp_path / 'a.om').write_bytes(b'')
    (tmp_path / 'other.pb').write_bytes(graph_of(placeholder).SerializeToString())
    for name, text in (('a.pb', 'not a frozen TensorFlow graph'),
                       ('empty.pb', 'not a frozen TensorFlow graph'),
                       ('a.onnx', 'not a readable ONNX model'),
                       ('a.om', 'neither a .pb nor an .onnx'),
                       ('nowhere.pb', 'no such file'),
                       ('other.pb', r'not a model that export wrote: its inputs are x \[1, 2\]')):
        with pytest.raises(InputError, match=f'{name}: {text}'):
            open_model(str(tmp_path / name), platform)
    with ModelSampler(os.path.join(exported, 'stackgan-stage2-b1.pb'), platform) as file:
        with pytest.raises(InputError, match='takes embeddings of size 16, .* have size 20'):
            file.generate([SampleRequest('a', np.zeros(20, np.float32), 0, {})], 1)


def test_freezing_is_reproducible(stages):
    """Bytes depend on the weights alone, so that a digest names a model."""
    with Sampler(stages[0], 'last', 1, tiny_config().platform) as live:
        weights = live.session.run(live.variables)
    dims = Model(**tiny_config().model.__dict__)
    first, second = [freeze(1, 2, dims, weights).graph_def.SerializeToString(deterministic=True)
                     for _ in range(2)]
    assert first == second


def test_the_other_lane_reads_the_files(stages, exported, tmp_path, other_python):
    entry = facts_of(exported)['models'][1]
    arrays = random_inputs({each['name']: each['shape'] for each in entry['inputs']}, 4)
    np.savez(str(tmp_path / 'in.npz'), **arrays)
    script = ('import sys; sys.path[:0] = [{!r}, {!r}]\n'
              'import numpy as np\n'
              'from toy import tiny_config\n'
              'from stackgan.export.model_file import open_model\n'
              'for kind in ("pb", "onnx"):\n'
              '    model = open_model(sys.argv[1] + kind, tiny_config().platform)\n'
              '    images = model.run(dict(np.load(sys.argv[2] + "in.npz")))\n'
              '    np.save(sys.argv[2] + kind, images[256])\n'.format(
                  ROOT, os.path.join(ROOT, 'tests')))
    done = subprocess.run([other_python, '-c', script,
                           os.path.join(exported, 'stackgan-stage2-b3.'),
                           str(tmp_path) + os.sep], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    expected = live_images(stages[1], arrays)[256]
    for kind in ('pb', 'onnx'):
        assert np.abs(np.load(str(tmp_path / kind) + '.npy') - expected).max() < 1e-4, kind
