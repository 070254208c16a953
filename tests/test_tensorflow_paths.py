"""A volume of any name: what TensorFlow takes for a pattern, or for no text, is only a name."""

import errno
import os
import tempfile

import pytest
import tensorflow.compat.v1 as tf
from test_checkpoints import load

from stackgan import tensorflow_paths
from stackgan.checkpoints import Checkpoints, restore, variables_of
from stackgan.errors import InputError
from stackgan.published.reading import _reader
from stackgan.scoring.scores import write_events
from stackgan.tensorflow_paths import plain_path
from stackgan.training.records import Records

NAMES = ['a[1]', '[x]', 'a]b[', 'a\\b', '\\', 'a*b', '?', 'a{1,2}b', 'a\nb', 'a b%20%s', '--x',
         'x.', '\u65e5\u672c', 'caf\udce9', "it's", '~', '$HOME', 'a:b', '#']


@pytest.fixture(params=NAMES)
def folder(request, tmp_path):
    """A folder of such a name, beside ones that the name would match as a pattern."""
    for other in ('a1', 'x', 'axb', 'a1b', 'b', 'home', request.param):
        (tmp_path / other).mkdir(exist_ok=True)
    return str(tmp_path / request.param)


def save(folder, value=3.0, step=1):
    with tf.Graph().as_default(), tf.Session() as session:
        a = tf.get_variable('a', [2], use_resource=True)
        session.run(a.assign([value] * 2))
        return Checkpoints(folder, 2).save(session, tf.train.Saver([a]), step, {})


def test_checkpoints_are_saved_and_restored(folder):
    before = len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else 0
    path = save(os.path.join(folder, 'checkpoints'))
    assert path == os.path.join(folder, 'checkpoints', '00000001')
    assert sorted(os.listdir(path)) == ['checkpoint.json', 'model.data-00000-of-00001',
                                        'model.index']
    assert variables_of(path) == {'a': [2]}
    assert load(path, {'a': [2]})[0].tolist() == [3.0, 3.0]
    if before:
        assert len(os.listdir('/proc/self/fd')) <= before + 2        # of sessions, not of each call


def test_a_checkpoint_of_someone_else_is_read(folder):
    with tf.Graph().as_default(), tf.Session() as session:
        a = tf.get_variable('a', [2], use_resource=True)
        session.run(a.assign([5.0, 6.0]))
        with plain_path(folder) as plain:
            tf.train.Saver([a]).save(session, os.path.join(plain, 'it'), write_state=False)
    reader, place = _reader(os.path.join(folder, 'it'))
    with place:
        assert reader.get_tensor('a').tolist() == [5.0, 6.0]


@pytest.mark.parametrize('prefix', ['model[1].ckpt', 'model\\.ckpt', 'm*'])
def test_the_name_of_a_checkpoint_itself(tmp_path, prefix):
    path = save(str(tmp_path / '[x]'))
    for name in os.listdir(path):
        os.rename(os.path.join(path, name), os.path.join(path, name.replace('model', prefix)))
    (tmp_path / '[x]' / '00000001' / 'other.index').write_text('no checkpoint')
    reader, place = _reader(os.path.join(path, prefix))
    with place:
        assert reader.get_tensor('a').tolist() == [3.0, 3.0]


def test_events_are_written(folder):
    with tf.Graph().as_default():
        records = Records(folder, 0)
        records.stats(1, {'loss': 2.0})
        records.close()
    assert len(os.listdir(os.path.join(folder, 'events'))) == 1
    os.mkdir(os.path.join(folder, 'scores'))
    write_events(os.path.join(folder, 'scores'),
                 [{'protocol': 'is', 'value': 1.0, 'set': 'generated', 'step': 4}])
    (name,) = os.listdir(os.path.join(folder, 'scores'))
    with open(os.path.join(folder, 'scores', name), 'rb') as stream:
        assert b'scores/is' in stream.read()


def test_a_machine_without_proc(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorflow_paths, 'DESCRIPTORS', str(tmp_path / 'none'))
    for place in (tempfile.gettempdir(), str(tmp_path / '[t]')):
        os.makedirs(place, exist_ok=True)
        monkeypatch.setattr(tempfile, 'tempdir', place)
        path = save(str(tmp_path / 'v[1]'))
        assert load(path, {'a': [2]})[0].tolist() == [3.0, 3.0]
        assert not [name for name in os.listdir(place) if name.startswith('tmp')] or \
            place != str(tmp_path / '[t]')


def test_a_plain_path_is_given_as_it_is():
    for path in ('/a/b.c', 'a', '/\u65e5 x/%s{~$'.replace('{', '')):
        with plain_path(path) as plain:
            assert plain == path


@pytest.mark.parametrize('name', ['v', 'v[1]'])
def test_what_cannot_be_opened_is_not_said_to_be_damaged(tmp_path, monkeypatch, name):
    path = save(str(tmp_path / name))

    def refused(*arguments):
        raise tf.errors.PermissionDeniedError(None, None, 'refused')
    monkeypatch.setattr(tf.train, 'NewCheckpointReader', refused)
    real = open

    def refusing(file, *arguments, **more):
        if str(file).endswith('model.index'):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), file)
        return real(file, *arguments, **more)
    monkeypatch.setattr('builtins.open', refusing)
    with pytest.raises(InputError) as error:
        variables_of(path)
    assert 'model.index: cannot be read: Permission denied' in str(error.value)
    assert 'remove' not in str(error.value)


def test_a_damaged_one_is_told_and_may_be_removed(tmp_path):
    path = save(str(tmp_path / 'v[1]'))
    with open(os.path.join(path, 'model.data-00000-of-00001'), 'r+b') as stream:
        stream.truncate(3)
    with pytest.raises(InputError, match='not a readable checkpoint .*; remove that folder'):
        with tf.Graph().as_default(), tf.Session() as session:
            a = tf.get_variable('a', [2], use_resource=True)
            restore(session, tf.train.Saver([a]), [a], path)


def test_one_that_is_gone_is_told(tmp_path):
    for name in ('v', 'v[1]'):
        with pytest.raises(InputError, match='cannot be read: No such file'):
            variables_of(str(tmp_path / name / '00000001'))
