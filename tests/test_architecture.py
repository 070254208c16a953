"""The arrows between the parts, and what may not be in the code."""

import ast
import os

import pytest
from toy import ROOT

from stackgan.files import files_below

pytestmark = pytest.mark.newest               # it reads the source

# Who may import whom inside the library; modules at its top (errors, files, ...) serve everyone.
MAY_IMPORT = {
    'config': set(),
    'data': {'config', 'platforms'},
    'platforms': {'config'},
    'networks': set(),
    'text': {'config', 'data', 'networks', 'platforms'},
    'sampling': {'config', 'data', 'networks', 'platforms'},
    'scoring': {'config', 'data', 'networks', 'platforms', 'sampling', 'text'},
    'export': {'config', 'data', 'networks', 'platforms', 'sampling', 'text'},
    'serving': {'config', 'data', 'export', 'platforms', 'reporting', 'sampling', 'text'},
    'pretrained': set(),
    'published': {'config', 'networks'},
    'training': {'config', 'data', 'networks', 'platforms', 'sampling', 'scoring', 'text'},
    'reporting': {'config', 'scoring'},
    'api': {'config', 'data', 'export', 'platforms', 'pretrained', 'sampling', 'scoring', 'text',
            'training'},
}
SHARED = {'types', 'losses', 'checkpoints', 'errors', 'files', 'text_files', 'progress',
          'text_rendering', 'prefetch', 'printing', 'file_systems',
          'tensorflow_paths', 'integrity', 'manifests', 'graph_fields', 'graph_files',
          'model_bounds', 'foreign_onnx', 'wire', 'plain_names', 'checkpoint_files',
          'read_variables'}
SOURCES = [os.path.join(top, name) for top in ('stackgan', 'jobs')
           for name in files_below(os.path.join(ROOT, top)) if name.endswith('.py')]


def imported(path):
    """Dotted names of everything a file imports, wherever in the file."""
    with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
        tree = ast.parse(stream.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            above = path.split(os.sep)[:-node.level] if node.level else []
            module = '.'.join(above + [node.module] if node.module else above)
            for alias in node.names:
                yield f'{module}.{alias.name}'


@pytest.mark.parametrize('path', SOURCES)
def test_arrows(path):
    parts = path.split(os.sep)
    for name in imported(path):
        words = name.split('.')
        if words[0] == 'jobs':
            assert parts[0] == 'jobs', f'{path} imports {name}'
        assert words[0] not in ('tests', 'toy', 'pytest'), f'{path} imports a test'
        if words[0] == 'npu_bridge':
            assert parts[1] == 'platforms', f'{path} imports {name}'
        if words[0] == 'stackgan' and parts[0] == 'stackgan':
            own = parts[1][:-3] if len(parts) == 2 else parts[1]
            part = words[1] if len(words) > 1 else ''
            known = set() if len(parts) == 2 else MAY_IMPORT[own]    # modules at the top: no part
            assert part in known | SHARED | {own, '', '__version__'}, f'{path} imports {name}'


@pytest.mark.parametrize('path', SOURCES)
def test_the_inside_of_a_package_is_imported_by_its_part_alone(path):
    """Modules of data/layouts/, scoring/statistics/ and the like by data and scoring."""
    for name in imported(path):
        words = name.split('.')
        inner = os.path.join(ROOT, *words[:3])
        if len(words) > 4 and words[0] == 'stackgan' and os.path.isdir(inner):
            assert path.split(os.sep)[:2] == words[:2], f'{path} imports {name}'


@pytest.mark.parametrize('path', SOURCES)
def test_only_what_tensorflow_1_15_has(path):
    for name in imported(path):
        assert not name.startswith(('tensorflow.contrib', 'tensorflow.keras', 'keras')), name
    with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
        text = stream.read()
    for forbidden in ('tf.contrib', 'tf.keras', 'tf.layers'):
        assert forbidden not in text


@pytest.mark.parametrize('path', SOURCES)
def test_no_unchecked_deserialisation(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
        tree = ast.parse(stream.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            owner = getattr(getattr(node.func, 'value', None), 'id', '')
            assert name not in ('eval', 'exec'), path
            assert (owner, name) not in {('pickle', 'load'), ('pickle', 'loads')}, path
            if (owner, name) == ('yaml', 'load'):
                assert any(k.arg == 'Loader' for k in node.keywords), path
            if (owner, name) == ('np', 'load'):
                assert any(k.arg == 'allow_pickle' and k.value.value is False
                           for k in node.keywords), path


@pytest.mark.parametrize('path', SOURCES)
def test_jobs_do_not_load_tensorflow_to_be_asked(path):
    """At the top of a job's module nothing may need more than the job contract."""
    if path.startswith('jobs'):
        with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
            tree = ast.parse(stream.read())
        for node in tree.body:
            names = [alias.name for alias in getattr(node, 'names', [])]
            module = getattr(node, 'module', '') or ''
            assert 'tensorflow' not in names + [module], path
            assert not module.startswith(('stackgan.training', 'stackgan.sampling',
                                          'stackgan.text', 'stackgan.export',
                                          'stackgan.checkpoints')), path


@pytest.mark.parametrize('path', SOURCES)
def test_one_module_prints(path):
    """A line that is printed elsewhere could end a job: see tests/test_printing.py."""
    if path in (os.path.join('stackgan', 'printing.py'),
                os.path.join('stackgan', 'export', 'standalone.py')):    # runs elsewhere
        return
    with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
        tree = ast.parse(stream.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            assert node.id not in ('print', 'input'), '%s:%d prints' % (path, node.lineno)
        elif isinstance(node, ast.Attribute):
            owner = getattr(node.value, 'id', '')
            assert node.attr != 'isatty', '%s:%d' % (path, node.lineno)
            assert (owner, node.attr) not in {
                ('sys', 'stdout'), ('sys', 'stderr'), ('sys', '__stdout__'), ('sys', '__stderr__'),
                ('traceback', 'print_exc'), ('traceback', 'print_exception'),
            }, '%s:%d' % (path, node.lineno)


@pytest.mark.parametrize('path', SOURCES)
def test_durations_are_of_a_clock_that_nobody_sets(path):
    """time.monotonic; dates are of datetime, and no difference of them is taken."""
    with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
        tree = ast.parse(stream.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = getattr(node.value, 'id', '')
            assert (owner, node.attr) not in {('time', 'time'), ('time', 'clock')}, path


@pytest.mark.parametrize('path', SOURCES)
def test_tensorflow_is_given_plain_paths(path):
    """What it may take for a pattern goes through stackgan/tensorflow_paths.py."""
    with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
        tree = ast.parse(stream.read())
    given = {'list_variables', 'load_checkpoint', 'load_variable', 'latest_checkpoint',
             'checkpoint_exists', 'NewCheckpointReader', 'FileWriter', 'gfile', 'glob'}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
            and getattr(getattr(node.value, 'value', node.value), 'id', '') == 'tf'} & given
    assert not used & {'gfile', 'glob', 'latest_checkpoint'}, path
    assert not used or 'stackgan.tensorflow_paths.plain_path' in imported(path), path
