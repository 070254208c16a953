"""The text encoder as ONNX: against the live graph, and without TensorFlow."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from export_toy import finished_stage, finished_text_encoder, make_text_encoder, run
from toy import ROOT, tiny_config

from jobs import export as export_job
from jobs.engine.outputs import prepared_folder
from stackgan.errors import InputError, StackganError
from stackgan.export import text_encoder
from stackgan.export.onnx_file import OnnxTextEncoder
from stackgan.export.text_encoder import export_text_encoder
from stackgan.files import digest_of_file
from stackgan.sampling.sample_request import SampleRequest
from stackgan.text.encoder import TextEncoder

CAPTIONS = ['this bird is red with black wings', 'a', '', '\u00e9\u00e9 -- "9"; x' * 40, '{]~_']
PLATFORM = tiny_config().platform


@pytest.mark.parametrize('cell', ['gru', 'published-gru', 'published-rnn'])
def test_the_file_embeds_as_the_checkpoint(tmp_path, cell):
    import onnx
    folder = make_text_encoder(tmp_path / 'encoder', cell=cell)
    entry = export_text_encoder(folder, str(tmp_path), PLATFORM)
    path = str(tmp_path / 'text-encoder.onnx')
    with TextEncoder(folder, PLATFORM) as live, OnnxTextEncoder(path, PLATFORM) as model:
        expected, ours = live.embed(CAPTIONS), model.embed(CAPTIONS)
        assert np.array_equal(ours[2:3], model.embed(CAPTIONS[2:3]))
    assert ours.dtype == np.float32 and ours.shape == (5, 16)
    assert np.abs(ours - expected).max() < 1e-5
    assert np.abs(expected[1:] - expected[:-1]).max(1).min() > 1e-3     # something to compare
    assert entry['cell'] == cell and entry['sha256'] == digest_of_file(path)
    assert entry['largest_difference'] < 1e-5
    kernels = [each.raw_data for each in onnx.load(path).graph.initializer
               if 'weights' in each.name]
    assert len(kernels) == len(set(kernels)) > 3    # each once, whatever the number of steps


def test_a_file_that_embeds_otherwise_is_refused(tmp_path, monkeypatch):
    folder = make_text_encoder(tmp_path / 'encoder')
    monkeypatch.setattr(text_encoder, 'LARGEST_DIFFERENCE', 0.0)
    with pytest.raises(StackganError, match='text-encoder.onnx: its embeddings differ'):
        export_text_encoder(folder, str(tmp_path), PLATFORM)


def test_other_files_are_named(tmp_path):
    make_text_encoder(tmp_path / 'encoder')
    (tmp_path / 'broken.onnx').write_bytes(b'no model')
    for name, text in (('nowhere.onnx', 'no such file'), ('broken.onnx', 'not a readable ONNX')):
        with pytest.raises(InputError, match=f'{name}: {text}'):
            OnnxTextEncoder(str(tmp_path / name), PLATFORM)


@pytest.fixture(scope='module')
def volume(tmp_path_factory):
    """A volume with an export of Stage-I and its text encoder."""
    folder = tmp_path_factory.mktemp('volume')
    finished_stage(folder, 1)
    assert run(export_job.JOB, folder, config()) == 0
    assert 'text_encoder' not in facts(folder)                # none there yet
    finished_text_encoder(folder)
    assert run(export_job.JOB, folder, config()) == 0
    return folder


def config(*more):
    return tiny_config('export.batch_sizes=[2]', 'export.stage=1', *more)


def exported(volume):
    return os.path.join(str(volume), 'runs', 'painted-birds', 'export')


def facts(volume):
    with open(os.path.join(exported(volume), 'export.json')) as stream:
        return json.load(stream)


def test_the_job_exports_it_along(volume, capsys):
    entry = facts(volume)['text_encoder']
    assert entry['file'] == 'text-encoder.onnx' and entry['kind'] == 'char-CNN-RNN'
    assert run(export_job.JOB, volume, config()) == 0
    assert 'up to date' in capsys.readouterr().out


def test_a_model_is_opened_only_where_it_belongs(volume):
    with pytest.raises(InputError,
                       match='not a text encoder that export wrote: its inputs are emb'):
        OnnxTextEncoder(os.path.join(exported(volume), 'stackgan-stage1-b2.onnx'), PLATFORM)


def test_an_encoder_of_another_kind_is_left_out(tmp_path, capsys):
    finished_stage(tmp_path, 1)
    finished_text_encoder(tmp_path, kind='skip-thought')
    assert run(export_job.JOB, tmp_path, config()) == 0
    assert facts(tmp_path)['text_encoder'] is None
    assert 'the text encoder is a skip-thought, which needs no ONNX' in capsys.readouterr().out


def test_an_encoder_left_over_from_before_the_embeddings_were_brought_is_not_taken(tmp_path):
    finished_stage(tmp_path, 1)
    finished_text_encoder(tmp_path)
    prepared = tmp_path / prepared_folder(config())
    prepared.mkdir(parents=True)
    (prepared / 'dataset.json').write_text(json.dumps(
        {'name': 'toy', 'classes': [], 'embedding_dim': 16}))
    inputs = [[each.name for each in export_job.JOB.inputs(config(*more), str(tmp_path))]
              for more in ((), ('text.weights=a.t7',))]
    assert inputs == [['stage'], ['stage', 'text-encoder']]


def test_embedding_and_drawing_without_tensorflow(volume, tmp_path):
    """In a process where TensorFlow cannot be imported."""
    script = (f'import sys; sys.modules["tensorflow"] = None; sys.path.insert(0, {ROOT!r})\n'
              'import numpy as np\n'
              'from stackgan.config import load_config\n'
              'from stackgan.export.model_file import ModelSampler\n'
              'from stackgan.export.onnx_file import OnnxTextEncoder\n'
              'from stackgan.sampling.sample_request import SampleRequest\n'
              'platform = load_config(sys.argv[3], []).platform\n'
              'embedding, = OnnxTextEncoder(sys.argv[1] + "/text-encoder.onnx", platform).embed('
              '["a red bird"])\n'
              'with ModelSampler(sys.argv[1] + "/stackgan-stage1-b2.onnx", platform) as sampler:\n'
              '    generated = sampler.generate([SampleRequest("a red bird", embedding, 0, {})], '
              '7)\n'
              'np.save(sys.argv[2], generated[64])\n')
    out = str(tmp_path / 'out.npy')
    done = subprocess.run([sys.executable, '-c', script, exported(volume), out,
                           os.path.join(ROOT, 'configs', 'smoke.yaml')], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    from stackgan.sampling.sampler import Sampler
    run_folder = os.path.dirname(exported(volume))
    with TextEncoder(os.path.join(run_folder, 'text-encoder'), PLATFORM) as encoder:
        embedding, = encoder.embed(['a red bird'])
    with Sampler(os.path.join(run_folder, 'stage1'), 'last', 1, PLATFORM) as sampler:
        expected = sampler.generate([SampleRequest('a red bird', embedding, 0, {})], 7)[64]
    assert np.abs(np.load(out).astype(int) - expected).max() <= 1
