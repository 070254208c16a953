"""Paths with ~, empty variables, arguments of other encodings, environments of other programs."""

import json
import os
import subprocess
import sys

import pytest
from test_command_line import call
from toy import ROOT, tiny_config

from jobs.engine import compose
from jobs.engine.command_line import _parser, main
from stackgan.config.loading import to_dict
from stackgan.config.schema import Config
from stackgan.platforms import cores

PATHS = {'data.raw', 'data.captions_file', 'data.split.train_list', 'data.split.test_list',
         'text.weights', 'score.stackgan_weights', 'score.imagenet_weights',
         'score.judge',         'export.fusion_switch_file'}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(str(tmp_path))
    return str(tmp_path)


def test_a_tilde_is_the_home_folder_in_every_path(home):
    config = to_dict(tiny_config(
        'make_dataset=null', 'data.layout=folder', 'data.crop=centre', 'data.split.by=lists',
        'text.source=auto', *[f'{name}=~/x' for name in sorted(PATHS)]))
    for name in PATHS:
        value = config
        for part in name.split('.'):
            value = value[part]
        assert value == home + '/x', name


def test_a_tilde_before_the_volume_and_the_configuration(home, monkeypatch, capsys):
    with open(os.path.join(home, 'mine.yaml'), 'w') as stream:
        stream.write('run: {name: mine}\n')
    assert main(['status', '--config=~/mine.yaml', '--data=~/volume']) == 0
    assert f'volume {home}/volume' in capsys.readouterr().out
    monkeypatch.setenv('STACKGAN_CONFIG', '~/mine.yaml')
    monkeypatch.setenv('STACKGAN_DATA', '~/volume')
    assert main(['status']) == 0
    assert f'volume {home}/volume' in capsys.readouterr().out
    assert not os.path.exists('~')


@pytest.mark.parametrize('words', [
    ['sample', '--model=~/x.onnx'], ['sample', '--captions=~/x.txt'],
    ['export', '--check=~/x.pb'], ['score', '--image-folder=~/x'],
    ['import-checkpoint', '--from=~/x'], ['verify-om', '--msame=~/x'],
    ['verify-om', '--results=~/x']])
def test_a_tilde_in_the_paths_of_options(home, words):
    given = vars(_parser().parse_args(words))
    assert any(str(value).startswith(home + '/x') for value in given.values())
    assert '~' not in str(given)


def test_empty_variables_are_as_none(tmp_path, monkeypatch, capsys):
    for name in ('STACKGAN_CONFIG', 'STACKGAN_DATA', 'STACKGAN_SET', 'STACKGAN_CONFIG_FOLDER',
                 'COMPOSE_PROJECT_NAME', 'STACKGAN_UID'):
        monkeypatch.setenv(name, '')
    monkeypatch.chdir(str(tmp_path))
    assert main(['status']) == 0
    assert capsys.readouterr().out.startswith(
        'configuration painted-birds, volume %s' % (tmp_path / 'data'))
    monkeypatch.setattr(compose, 'ROOT', str(tmp_path))
    assert not compose.is_set('STACKGAN_UID')
    assert 'COMPOSE_PROJECT_NAME' in compose.variables('a.yaml', [], str(tmp_path))


def test_an_empty_volume_is_not_the_working_directory(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(str(tmp_path))
    assert main(['make-dataset', '--config', 'smoke', '--data', '']) == 2
    assert '--data is empty' in capsys.readouterr().err and os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize('option', ['--caption', '--interpolate-captions'])
def test_a_caption_that_is_no_text_is_one_line(tmp_path, option):
    words = [option, b'caf\xe9'] + ([b'a bird'] if 'inter' in option else [])
    environment = dict(os.environ, LC_ALL='C.UTF-8')
    environment.pop('PYTHONIOENCODING', None)
    done = subprocess.run([sys.executable, '-m', 'jobs', 'sample', '--config', 'smoke', '--data',
                           str(tmp_path)] + words, cwd=ROOT, stderr=subprocess.PIPE,
                          env=environment)
    text = done.stderr.decode()
    assert done.returncode == 2 and len(text.splitlines()) == 1
    assert r'the caption caf\udce9 is not utf-8 text' in text


def test_a_caption_in_the_encoding_of_the_terminal_is_read(tmp_path):
    code = ('import sys; from jobs.engine.sample_options import _typed\n'
            'sys.stdout.buffer.write(_typed(sys.argv[1]).encode("utf-8"))')
    done = subprocess.run([sys.executable, '-c', code, b'caf\xe9'], cwd=ROOT,
                          stdout=subprocess.PIPE,
                          env=dict(os.environ, LC_ALL='C.UTF-8', PYTHONIOENCODING='latin-1'))
    assert done.stdout.decode() == 'caf\xe9'


def test_a_posix_locale_reads_and_writes_names_as_any_other(tmp_path):
    """The digests of a raw folder are the same, so nothing is stale in a cron job."""
    raw = tmp_path / 'raw'
    (raw / 'images' / '\u65e5\u672c').mkdir(parents=True)
    words = ['preprocess', '--config', 'smoke', '--data', str(tmp_path), '--set',
             'make_dataset=null', '--set', 'data.raw=' + str(raw), '--dry-run']
    posix = dict(LC_ALL='POSIX', PYTHONCOERCECLOCALE='0', PYTHONUTF8='0')
    code = ('import os, sys, json; from jobs.__main__ import in_utf8\n'
            'print(json.dumps(sys.getfilesystemencoding()))')
    assert call(*words, **posix).returncode == call(*words).returncode == 0
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.PIPE,
                          env=dict(os.environ, **posix))
    assert json.loads(done.stdout.decode()) == 'ascii'               # what it is without that


@pytest.mark.parametrize('failure, said', [
    ("raise ImportError('no such library\\nand more')", '(no such library)'),
    ("raise AttributeError('module numpy has no attribute object')",
     '(AttributeError: module numpy has no attribute object)'),
    ("raise SystemError('bad call')", 'SystemError: bad call'),
    ("raise OSError(13, 'denied')", 'denied'), ("raise TypeError('Descriptors')", 'Descriptors'),
    ('import sys; sys.exit(7)', 'SystemExit: 7'), ('1 +', 'SyntaxError'),
    ("raise ImportError('Traceback (most recent call last):\\n  File x\\nImportError: libcuda')",
     '(ImportError: libcuda)'), ('', 'compat')])
def test_a_tensorflow_that_cannot_be_imported_is_exit_3(tmp_path, failure, said):
    (tmp_path / 'tensorflow').mkdir()
    (tmp_path / 'tensorflow' / '__init__.py').write_text(failure)
    code = ('import sys; sys.path[:0] = %r\nfrom test_contract import make_job, run\n'
            'job = make_job()._replace(uses_tensorflow=True)\nsys.exit(run(job, sys.argv[1]))'
            % [str(tmp_path), ROOT, os.path.join(ROOT, 'tests')])
    done = subprocess.run([sys.executable, '-c', code, str(tmp_path / 'volume')], cwd=ROOT,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1, done.stderr
    assert 'TensorFlow cannot be imported' in done.stderr and said in done.stderr


def test_environments_of_other_programs_do_not_change_tensorflow(tmp_path):
    (tmp_path / '.keras').mkdir()
    (tmp_path / '.keras' / 'keras.json').write_text('{"backend": "jax"}')
    code = ('import os, sys; from toy import tiny_config\n'
            'from stackgan.platforms.cores import load_tensorflow\n'
            'load_tensorflow(tiny_config().platform)\n'
            'import tensorflow.compat.v1 as tf\n'
            'import gc\n'
            'assert gc.isenabled() and gc.get_freeze_count() > 100000\n'
            'assert None not in (sys.modules.get(name, 0) for name in ("h5py", "requests"))\n'
            'if sys.version_info < (3, 8):       # a tenth of a second each\n'
            '    assert not {"requests", "setuptools"} & set(sys.modules)\n'
            '    import requests\n'
            'if sys.version_info >= (3, 12):\n'
            '    assert "keras" not in sys.modules       # half a second that no job needs\n'
            '    from tensorflow.keras import layers     # others still can\n'
            'with tf.Graph().as_default(), tf.Session() as session:\n'
            '    print(session.run(tf.constant(42)), sorted(set(os.environ) & {"TF_CONFIG"}))')
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.PIPE, universal_newlines=True,
        env=dict(os.environ, HOME=str(tmp_path), KERAS_BACKEND='torch', TF_CONFIG='{"cluster":',
                 TF_USE_LEGACY_KERAS='1', TF2_BEHAVIOR='1', PYTHONPATH=os.pathsep.join(
                     [ROOT, os.path.join(ROOT, 'tests')])))
    assert done.returncode == 0 and done.stdout.split() == ['42', '[]']


@pytest.mark.parametrize('machine, own, then', [
    ('x86_64', None, '1'), ('AMD64', None, '1'), ('x86_64', '0', '0'), ('aarch64', None, None)])
def test_onednn_is_on_for_x86_unless_the_user_says_otherwise(monkeypatch, machine, own, then):
    monkeypatch.setattr(cores.platform, 'machine', lambda: machine)
    monkeypatch.setattr(os, 'environ', {'TF_ENABLE_ONEDNN_OPTS': own} if own else {})
    cores.prepare_environment(Config().platform)
    assert os.environ.get('TF_ENABLE_ONEDNN_OPTS') == then
