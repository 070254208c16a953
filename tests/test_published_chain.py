"""Published encoders through the jobs: taken, embedded with, trained on and sampled with."""

import argparse
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from skip_thought_toy import WORDS, make
from torch7_toy import Network, save
from toy import ROOT, tiny_config

from jobs import embed, report, sample, score, train_text_encoder
from jobs.engine.contract import state_of
from jobs.engine.outputs import prepared_folder
from stackgan.config import load_config
from stackgan.errors import ConfigError, InputError
from stackgan.files import write_json
from stackgan.reporting.page import _text_encoder

ENCODERS = [('lm.t7', 'char-CNN-RNN'), ('skip', 'skip-thought')]


def call(volume, *arguments):
    return subprocess.run([sys.executable, '-m', 'jobs'] + list(arguments) + [
        '--config', 'smoke', '--data', str(volume)], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, universal_newlines=True)


@pytest.fixture(scope='module')
def volume(tmp_path_factory):
    folder = tmp_path_factory.mktemp('volume')
    done = call(folder, 'run', '--on', 'local', '--until', 'preprocess',
                '--set', 'make_dataset.images=96')
    assert done.returncode == 0, done.stdout
    (folder / 'weights').mkdir()
    save(folder / 'weights' / 'lm.t7', Network('published-rnn', dim=12).checkpoint())
    make(folder / 'weights' / 'skip', WORDS + ['bird', 'this', 'has', 'blue'], uni=6, bi=3)
    return folder


def settings_of(weights, kind):
    return ['--set', 'make_dataset.images=96', '--set', 'run.name=' + kind,
            '--set', 'text.weights=weights/' + weights, '--set', 'text.source=published',
            '--set', 'model.embedding_dim=12', '--set', 'stage1.epochs=0.1']


@pytest.fixture(scope='module')
def trained(volume):
    """{kind: what the chain said up to Stage-I}."""
    return {kind: call(volume, 'run', '--on', 'local', '--until', 'train-stage1',
                       *settings_of(weights, kind)) for weights, kind in ENCODERS}


@pytest.mark.parametrize('weights, kind', ENCODERS)
def test_the_chain_goes_on_from_a_published_encoder(weights, kind, volume, trained):
    done = trained[kind]
    assert done.returncode == 0 and 'nothing is trained' in done.stdout, done.stdout
    run = volume / 'runs' / kind
    assert json.loads((run / 'text-encoder' / 'options.json').read_text())['kind'] == kind
    rows = np.load(str(run / 'embeddings' / 'train.npy'))
    assert rows.shape[1] == 12 and np.isfinite(rows).all() and rows.std() > 0
    assert json.loads((run / 'embeddings' / 'embed.json').read_text())['source'] == kind
    generated = call(volume, 'sample', '--stage', '1', '--caption', 'a red bird', '--copies', '1',
                     *settings_of(weights, kind))
    assert generated.returncode == 0, generated.stdout
    again = call(volume, 'run', '--on', 'local', '--until', 'train-stage1',
                 *settings_of(weights, kind))
    assert 'run: everything is up to date' in again.stdout


def test_captions_of_ones_own_need_no_dataset(volume, trained, tmp_path):
    """A model and its encoder, as from an import, are enough; neighbours and held-out are not."""
    weights, kind = ENCODERS[0]
    shutil.copytree(str(volume / 'runs'), str(tmp_path / 'runs'))
    own = ['sample', '--stage', '1', '--caption', 'a red bird']
    generated = call(tmp_path, *own + settings_of(weights, kind))
    assert generated.returncode == 0, generated.stdout
    assert '4 images of checkpoint' in generated.stdout, generated.stdout
    for arguments in (own + ['--nearest', '1'], own[:3]):
        refused = call(tmp_path, *arguments + settings_of(weights, kind))
        assert refused.returncode == 2 and 'preprocess' in refused.stdout, refused.stdout


def test_what_is_wrong_is_one_line(volume):
    for more, text in (
            (['--set', 'text.weights=weights/lm.t7'], '--set model.embedding_dim=12'),
            (['--set', 'text.weights=weights/none.t7'],
             'none.t7 is missing; put it there, or change'),
            (['--set', 'text.weights=weights'], 'dictionary.txt, utable.npy')):
        done = call(volume, 'train-text-encoder', '--set', 'run.name=wrong',
                    '--set', 'text.source=published', *more)
        assert done.returncode == 2 and text in done.stdout, done.stdout
        assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize('settings, text', [
    (['text.source=published'], 'text.weights: text.source: published needs the .t7 file'),
    (['text.source=train', 'text.weights=a.t7'], 'is not read with text.source: train')])
def test_contradictions(settings, text):
    with pytest.raises(ConfigError) as error:
        tiny_config(*settings)
    assert text in str(error.value)


def test_changed_files_make_the_embeddings_stale(volume, trained, tmp_path):
    """The skip-thought files are read where they are; a .t7 file is needed once."""
    for name in ('runs', 'weights'):
        shutil.copytree(str(volume / name), str(tmp_path / name))
    os.symlink(str(volume / 'prepared'), str(tmp_path / 'prepared'))
    for (weights, kind), file, word in zip(ENCODERS, ('lm.t7', 'skip/utable.npy'),
                                           ('done', 'stale')):
        config = load_config(os.path.join(ROOT, 'configs', 'smoke.yaml'),
                             settings_of(weights, kind)[1::2])
        assert state_of(embed.JOB, config, str(volume)).word == 'done'
        os.utime(str(tmp_path / 'weights' / file), (1, 1))
        assert state_of(train_text_encoder.JOB, config, str(tmp_path)).word == 'stale'
        assert state_of(embed.JOB, config, str(tmp_path)).word == word


# Who embeds, and who judges.

@pytest.fixture
def precomputed(tmp_path):
    """A volume whose dataset came with embeddings."""
    config = tiny_config()
    folder = tmp_path / prepared_folder(config)
    folder.mkdir(parents=True)
    (folder / 'dataset.json').write_text(json.dumps(
        {'name': 'toy', 'classes': [], 'embedding_dim': 16}))
    return str(tmp_path)


def names(job, config, volume):
    return {each.name for each in job.inputs(config, volume)}


def own_captions():
    parser = argparse.ArgumentParser()
    sample.JOB.add_options(parser)
    return sample.JOB.variant(sample.JOB, parser.parse_args(['--caption', 'a bird']))


def test_a_published_encoder_beside_precomputed_embeddings(precomputed):
    """The standard use of StackGAN: its pickles to train on, its encoder for captions of one's own.
    """
    config = tiny_config('text.weights=a.t7')
    assert names(embed.JOB, config, precomputed) == {'prepared'}
    assert train_text_encoder.JOB.not_needed(config, precomputed) is None
    assert own_captions().not_needed(config, precomputed) is None
    assert 'text-encoder' in names(own_captions(), config, precomputed)
    for job in (score.JOB, report.JOB):
        assert 'text-encoder' not in names(job, config, precomputed)
    bare = tiny_config()
    reason = train_text_encoder.JOB.not_needed(bare, precomputed)
    assert 'came with precomputed embeddings' in reason
    with pytest.raises(InputError, match='set text.weights to the published encoder'):
        own_captions().not_needed(bare, precomputed)


@pytest.mark.parametrize('source, weights', [
    ('published', 'a.t7'), ('auto', 'a.t7'), ('published', 'skip')])
def test_a_published_encoder_embeds_and_does_not_judge(source, weights, tmp_path):
    config = tiny_config('text.source=' + source, 'text.weights=' + weights)
    volume = str(tmp_path)
    files = {'published'} if weights == 'skip' else set()
    assert names(embed.JOB, config, volume) == {'prepared', 'text-encoder'} | files
    assert names(train_text_encoder.JOB, config, volume) == {'published'}
    assert 'text-encoder' not in names(score.JOB, config, volume)
    assert 'text-encoder' in names(report.JOB, config, volume)
    assert 'published' not in names(report.JOB, config, volume)


def test_the_report_names_a_published_encoder(tmp_path):
    for options, text in (
            ({'kind': 'char-CNN-RNN', 'source': {'file': 'a<b.t7'}}, 'char-CNN-RNN of a&lt;b.t7, '),
            ({'kind': 'skip-thought'}, 'skip-thought, ')):
        write_json(str(tmp_path / 'options.json'), dict(options, embedding_dim=12))
        assert text + 'embeddings of 12 numbers' in _text_encoder(str(tmp_path))


def test_settings_of_training_do_not_touch_a_published_encoder():
    def settings(*more):
        return train_text_encoder.JOB.settings(tiny_config('text.weights=a.t7', *more))
    assert settings() == settings('text.steps=7', 'run.seed=3', 'text.source=published')
    assert 'weights' not in train_text_encoder.JOB.settings(tiny_config())['text']
