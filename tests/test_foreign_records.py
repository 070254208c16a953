"""Names and sizes in records of others, and checkpoints of others: nothing leaves the folder."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from export_toy import make_stage, make_text_encoder
from toy import tiny_config

from stackgan.checkpoint_files import open_checkpoint
from stackgan.checkpoints import variables_of
from stackgan.errors import InputError
from stackgan.export.exporting import export
from stackgan.export.om_check import SCRIPT, verify
from stackgan.export.record import read_export
from stackgan.published.reading import open_published
from stackgan.reporting.page import _image
from stackgan.sampling.sampler import Sampler
from stackgan.text.encoder import TextEncoder

CONFIG = tiny_config('export.batch_sizes=[1]', 'export.onnx=false')
NAMES = ['/etc/passwd.pb', '../outside.pb', 'a/b.pb', '..', '', '.hidden.pb', 'a\n.pb', 'a.txt',
         '$(touch harm).pb', 'a;b.pb', 'a b.pb', '-rf.pb', 7, None, ['a.pb'], 'x' * 300 + '.pb']


@pytest.fixture(scope='module')
def stage(tmp_path_factory):
    return make_stage(tmp_path_factory.mktemp('stage'), 1, CONFIG.model)


@pytest.fixture(scope='module')
def exported(stage, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('export'))
    export(stage, folder, CONFIG.export, CONFIG.platform)
    return folder


@pytest.fixture
def copy(exported, tmp_path):
    """A copy of the export, and a function that changes its export.json."""
    folder = str(tmp_path / 'export')
    shutil.copytree(exported, folder)

    def change(edit):
        path = os.path.join(folder, 'export.json')
        with open(path) as stream:
            facts = json.load(stream)
        edit(facts)
        with open(path, 'w') as stream:
            json.dump(facts, stream)
        return folder
    return change


def refused(folder):
    with pytest.raises(InputError, match='export.json: not what export writes') as error:
        read_export(folder)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', NAMES)
def test_an_export_names_files_beside_it(copy, name):
    refused(copy(lambda facts: facts['models'][0]['frozen'].update(file=name)))
    refused(copy(lambda facts: facts.update(text_encoder={'file': name})))


def test_a_link_out_of_an_export_is_not_followed(copy, tmp_path):
    folder = copy(lambda facts: None)
    inside = os.path.join(folder, 'stackgan-stage1-b1.pb')
    os.rename(inside, str(tmp_path / 'elsewhere.pb'))
    os.symlink(str(tmp_path / 'elsewhere.pb'), inside)
    refused(folder)


@pytest.mark.parametrize('edit', [
    lambda facts: facts.update(stage=3), lambda facts: facts.update(stage=[1]),
    lambda facts: facts.update(models={}), lambda facts: facts.update(models=[]),
    lambda facts: facts.update(models=[7]), lambda facts: facts['models'][0].pop('frozen'),
    lambda facts: facts['models'][0].update(batch_size='1'),
    lambda facts: facts['models'][0]['inputs'][0].update(name='../../x'),
    lambda facts: facts['models'][0]['inputs'][0].update(shape=[1 << 60]),
    lambda facts: facts['models'][0]['outputs'][0].update(name='x;y'),
    lambda facts: facts['models'][0]['outputs'][0].update(shape=[1, 64, 64, -3]),
    lambda facts: facts.update(text_encoder=7),
])
def test_an_odd_export_is_one_line(copy, edit):
    refused(copy(edit))


def test_the_script_for_an_ascend_host_runs_nothing_that_a_record_says(copy, tmp_path):
    folder = copy(lambda facts: facts['models'][0]['atc'].update(command='touch harm'))
    (tmp_path / 'out').mkdir()
    verify(folder, None, str(tmp_path / 'out'), CONFIG.export, CONFIG.platform, None, None, 1, 0)
    script = (tmp_path / 'out' / SCRIPT).read_text()
    assert 'harm' not in script and '|| atc --framework=3 --model=stackgan-stage1-b1.pb' in script


def test_sizes_come_from_the_model_and_not_from_its_record(copy, tmp_path):
    folder = copy(lambda facts: facts['models'][0]['inputs'][0].update(shape=[1 << 20, 1 << 20]))
    (tmp_path / 'out').mkdir()
    verify(folder, None, str(tmp_path / 'out'), CONFIG.export, CONFIG.platform, None, None, 1, 0)
    path = tmp_path / 'out' / 'inputs' / 'stackgan-stage1-b1' / 'embedding.bin'
    assert path.stat().st_size == 4 * CONFIG.model.embedding_dim


@pytest.mark.parametrize('options', [
    {'weights': {'file': '/etc/passwd', 'sha256': 'x'}}, {'weights': {'file': '../weights.npz'}},
    {'weights': 'weights.npz'}, {'embedding_dim': 10 ** 12}, {'filters': [10 ** 9] * 3},
    {'filters': 'abc'}, {'cell': []}, {'kind': 'skip-thought', 'files': 7}])
def test_options_of_an_encoder_name_nothing_outside(tmp_path, options):
    folder = make_text_encoder(tmp_path / 'encoder')
    path = tmp_path / 'encoder' / 'options.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), **options)))
    with pytest.raises(InputError, match='options.json: not the options of a text encoder'):
        TextEncoder(folder, CONFIG.platform)


def test_a_report_shows_no_link(tmp_path):
    (tmp_path / 'secret').write_text('secret')
    (tmp_path / 'samples').mkdir()
    (tmp_path / 'samples' / 'grid.png').symlink_to(tmp_path / 'secret')
    with pytest.raises(InputError, match='grid.png: cannot be shown .*is a link out of the folder'):
        _image(str(tmp_path), str(tmp_path / 'samples' / 'grid.png'), 'samples.png', 'a')
    assert not (tmp_path / 'samples.png').exists()


# Checkpoints.

@pytest.mark.parametrize('facts, words', [
    ({'stage': 3}, 'stage is 3, expected 1 or 2'), ({'stage': [1]}, 'stage is'),
    ({'stage': 1, 'model': 7}, 'model: expected a section'),
    ({'stage': 1, 'model': {'generator_filters': 10 ** 9}}, 'model.generator_filters: is 1000000'),
    ({'stage': 1, 'model': {'embedding_dim': '16'}}, 'model.embedding_dim: expected a whole'),
    ({'stage': 1, 'model': {'x': 1}}, 'unknown key model.x'),
])
def test_what_a_checkpoint_tells_of_itself_is_checked(stage, tmp_path, facts, words):
    folder = str(tmp_path / 'stage')
    shutil.copytree(stage, folder)
    path = os.path.join(folder, 'checkpoints', '00000012', 'checkpoint.json')
    with open(path, 'w') as stream:
        json.dump(dict({'step': 12}, **facts), stream)
    with pytest.raises(InputError, match=f'00000012: .*{words}.*; the checkpoint.s description'):
        Sampler(folder, 'last', 1, CONFIG.platform)


def saved(prefix, shape=(3,)):
    """A checkpoint of one variable, without a file `checkpoint`."""
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.get_variable('v', shape, initializer=tf.zeros_initializer())
        session.run(variable.initializer)
        tf.train.Saver([variable]).save(session, prefix, write_meta_graph=False, write_state=False)


def test_a_folder_of_a_checkpoints_name_is_not_looked_into(tmp_path):
    """There TensorFlow would follow the path in a file `checkpoint`."""
    saved(str(tmp_path / 'elsewhere'))
    (tmp_path / 'run' / 'model').mkdir(parents=True)
    (tmp_path / 'run' / 'model' / 'checkpoint').write_text(
        'model_checkpoint_path: "%s"\n' % (tmp_path / 'elsewhere'))
    assert [name for name, _ in tf.train.list_variables(str(tmp_path / 'run' / 'model'))] == ['v']
    with pytest.raises(InputError, match='run.*: (not a readable checkpoint|cannot be read)'):
        variables_of(str(tmp_path / 'run'))
    with pytest.raises(InputError, match='model: not a readable TensorFlow checkpoint'):
        open_published(str(tmp_path / 'run' / 'model'), 1, 'auto')


@pytest.mark.parametrize('form', [tf.train.SaverDef.V1, tf.train.SaverDef.V2])
def test_both_forms_of_checkpoints_are_opened(tmp_path, form):
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.get_variable('v', [1000, 100], initializer=tf.zeros_initializer())
        session.run(variable.initializer)
        tf.train.Saver([variable], write_version=form).save(
            session, str(tmp_path / 'a'), write_meta_graph=False, write_state=False)
    reader = open_checkpoint(str(tmp_path / 'a'))
    assert reader.get_variable_to_shape_map() == {'v': [1000, 100]}
    assert np.array_equal(reader.get_tensor('v'), np.zeros([1000, 100]))


def test_tensors_are_not_larger_than_their_files(tmp_path):
    saved(str(tmp_path / 'a'), [1000, 1000])
    data = str(tmp_path / 'a.data-00000-of-00001')
    with open(data, 'r+b') as stream:
        stream.truncate(1000)
    with pytest.raises(ValueError, match="'v' and others are larger than the files are"):
        open_checkpoint(str(tmp_path / 'a'))


@pytest.mark.parametrize('ending', ['.index', '.data-00000-of-00001'])
def test_files_of_checkpoints_are_regular(tmp_path, ending):
    saved(str(tmp_path / 'a'))
    os.unlink(str(tmp_path / 'a') + ending)
    os.mkfifo(str(tmp_path / 'a') + ending)
    with pytest.raises(ValueError, match=f'a{ending} is not a regular file'):
        open_checkpoint(str(tmp_path / 'a'))


def test_damage_to_a_checkpoint_is_one_line(stage, tmp_path):
    random, source = np.random.RandomState(3), os.path.join(stage, 'checkpoints', '00000012')
    folder = str(tmp_path / 'copy')
    for i in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        path = os.path.join(folder, 'model.index')
        with open(path, 'rb') as stream:
            data = bytearray(stream.read())
        if i % 2:
            data[random.randint(len(data))] ^= 1 << random.randint(8)
        else:
            data = data[:random.randint(len(data))]
        with open(path, 'wb') as stream:
            stream.write(bytes(data))
        try:
            variables_of(folder)
        except InputError as error:
            assert '\n' not in str(error) and 'not a readable checkpoint' in str(error)
