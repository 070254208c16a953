"""Configuration: every shipped file loads; every mistake names file and key."""

import dataclasses
import glob
import os

import pytest
import yaml
from toy import ROOT

from stackgan.config import load_config
from stackgan.config.documentation import page
from stackgan.config.loading import marked_yaml, to_dict, to_yaml
from stackgan.config.places import find_config
from stackgan.errors import ConfigError

DEFAULT = os.path.join(ROOT, 'configs', 'painted-birds.yaml')
SHIPPED = sorted(glob.glob(os.path.join(ROOT, 'configs', '*.yaml')))


def test_shipped_files():
    assert [os.path.basename(path) for path in SHIPPED] == [
        'birds-improved.yaml', 'birds.yaml', 'flowers-cpu.yaml', 'flowers-improved.yaml',
        'flowers.yaml', 'folder-cpu.yaml', 'folder.yaml', 'painted-birds-long.yaml',
        'painted-birds.yaml', 'smoke.yaml']


@pytest.mark.parametrize('path', SHIPPED, ids=os.path.basename)
def test_every_shipped_file_loads_and_survives_the_round_trip(path, tmp_path):
    config = load_config(path)
    again = tmp_path / 'again.yaml'
    again.write_text(to_yaml(config))
    resolved = load_config(str(again))
    assert resolved == dataclasses.replace(config)
    assert None not in (config.stage1.batch_size, config.stage2.batch_size, config.data.raw)


@pytest.mark.parametrize('name', ['birds', 'flowers'])
def test_the_paper_s_values(name):
    config = load_config(os.path.join(ROOT, 'configs', name + '.yaml'))
    assert config.train.batch_size == config.stage1.batch_size == config.stage2.batch_size == 64
    assert (config.stage1.epochs, config.stage2.epochs) == (600, 600)
    assert config.train.generator_learning_rate == 2e-4
    assert config.train.discriminator_learning_rate == 2e-4
    assert config.stage1.learning_rate_half_life_epochs == 50
    assert config.stage2.learning_rate_half_life_epochs == 100
    model = config.model
    assert (model.embedding_dim, model.condition_dim, model.noise_dim) == (1024, 128, 100)
    assert (model.generator_filters, model.discriminator_filters) == (128, 64)
    assert (config.train.kl_coefficient, config.train.captions_averaged) == (2.0, 4)
    assert config.train.weight_decay == 0.0 and config.train.ema_decay is None
    assert not config.model.stage1_modulation
    assert not config.model.stage2_residual and config.train.loss == 'cross-entropy'
    assert config.train.augment_translation == config.train.augment_cutout == 0.0
    assert config.train.gradient_penalty == 'off' and config.train.mode_seeking_weight == 0.0
    assert not config.model.stage2_skip_connections and config.model.stage2_residual_blocks == 4
    assert config.train.caption_matching_weight == config.stage2.super_resolution_weight == 0.0
    assert config.stage2.low_resolution_consistency == 0.0


@pytest.mark.parametrize('override, message', [
    ('train.batchsize=8', r'--set train.batchsize=8: unknown key train.batchsize; did you mean '
                          r'batch_size\?'),
    ('trian.batch_size=8', r'unknown key trian; did you mean train\?'),
    ('train=8', r'train: expected a section of keys, found 8'),
    ('train.batch_size', r'--set train.batch_size: not of the form section.key=value'),
    ('train.batch_size=eight', r'painted-birds.yaml with --set: train.batch_size: expected a '
                               r"whole number, found 'eight'"),
    ('train.batch_size=8.5', r'train.batch_size: expected a whole number, found 8.5'),
    ('train.batch_size=true', r'expected a whole number, found True'),
    ('train.batch_size=0', r'train.batch_size: is 0, must be at least 2'),
    ('train.batch_size=null', r'train.batch_size: expected a whole number, found null'),
    ('train.adam_beta1=.nan', r'train.adam_beta1: expected a number, found nan'),
    ('stage1.epochs=-1', r'stage1.epochs: is -1.0, must be more than 0.0'),
    ('data.crop=square', r"data.crop: is 'square', must be one of box, centre, stretch"),
    ('run.name=../up', r"run.name: '../up' may contain only letters"),
    ('text.filters=[1, 2]', r'text.filters: expected a list of 3 values'),
    ('text.filters=[1, 2, 0]', r'text.filters\[2\]: is 0, must be at least 1'),
    ('export.batch_sizes=4', r'export.batch_sizes: expected a list of 1 values, found 4'),
    ('export.batch_sizes=[]', r'export.batch_sizes: expected a list'),
    ('export.batch_sizes=[1, 0]', r'export.batch_sizes\[1\]: is 0, must be at least 1'),
    ('export.batch_sizes=[2, 2]', r'export.batch_sizes: a size is given twice'),
    ('export.stage=3', r'export.stage: is 3, must be at most 2'),
    ('platform.loss_scale=0.5', r'platform.loss_scale: is 0.5, must be at least 1'),
    ('platform.deterministic=yes please', r'expected true or false, found'),
    ('data.layout=flowers', r'data.layout: make_dataset paints the cub layout'),
    ('data.raw=elsewhere', r'data.raw: make_dataset writes raw/<data.name>'),
    ('data.captions_file=captions.csv', r'data.captions_file: only layout folder reads it'),
    ('data.split.train_list=a.txt', r'data.split.test_list: train_list and test_list are given'),
    ('train.batch_size: 8', r'not of the form'),
    ('run.name.first=a', r'run.name is a value and has no keys'),
])
def test_a_mistake_is_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(DEFAULT, [override])


def test_contradictions_between_keys():
    def load(*overrides):
        load_config(DEFAULT, overrides)

    with pytest.raises(ConfigError, match='platform.threads: deterministic runs on one thread'):
        load('platform.deterministic=true', 'platform.threads=2')
    with pytest.raises(ConfigError, match='data.crop: box needs the bounding boxes'):
        load('make_dataset=null', 'data.layout=folder')


def write(tmp_path, text):
    path = tmp_path / 'mine.yaml'
    path.write_text(text)
    return str(path)


def test_a_key_that_is_missing_has_its_default(tmp_path):
    config = load_config(write(tmp_path, 'train: {kl_coefficient: 1.5}\n'))
    assert config.train.kl_coefficient == 1.5
    assert config.train.batch_size == config.stage2.batch_size == 64
    assert config.stage1.learning_rate_half_life_epochs == 50
    assert config.stage2.learning_rate_half_life_epochs == 100
    assert (config.run.name, config.data.name, config.data.raw) == ('mine', 'mine', 'raw/mine')
    assert config.make_dataset is None
    own = load_config(write(tmp_path, 'make_dataset: {seed: 3}\ndata: {layout: cub, crop: box}\n'))
    assert (own.make_dataset.images, own.make_dataset.seed) == (1920, 3)


def test_a_file_builds_on_another(tmp_path):
    config = load_config(write(tmp_path, 'base: birds\nstage1: {epochs: 5}\n'))
    birds = load_config(os.path.join(ROOT, 'configs', 'birds.yaml'))
    assert (config.run.name, config.data, config.stage1.epochs) == ('mine', birds.data, 5.0)
    assert dataclasses.replace(config, run=birds.run, stage1=birds.stage1) == birds
    (tmp_path / 'birds.yaml').write_text('run: {seed: 7}\n')        # one beside the file is nearer
    assert load_config(str(tmp_path / 'mine.yaml')).run.seed == 7
    (tmp_path / 'below').mkdir()
    (tmp_path / 'below' / 'deep.yaml').write_text('base: ../mine.yaml\nstage1: null\n')
    with pytest.raises(ConfigError, match='stage1: expected a section of keys, found null'):
        load_config(str(tmp_path / 'below' / 'deep.yaml'))
    null = write(tmp_path, 'base: painted-birds\nmake_dataset: null\n')
    assert load_config(null).make_dataset is None
    assert load_config(null, ['make_dataset.seed=1']).make_dataset.images == 1920


@pytest.mark.parametrize('text, message', [
    ('base: mine\n', 'mine.yaml: base: mine builds on this file in turn'),
    ('base: nowhere\n', r'mine.yaml: base: nowhere: no such file, and configs/ has '
                        r'only birds, birds-improved, flowers'),
    ('base: no/where.yaml\n', r'where.yaml: cannot be read: No such file'),
    ('base: [birds]\n', r"mine.yaml: base: expected the name or path of a configuration file, "
                        r"found \['birds'\]")])
def test_a_base_that_cannot_be_used_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


def test_names_are_looked_up_where_containers_see_them(tmp_path, monkeypatch):
    monkeypatch.setenv('STACKGAN_CONFIG_FOLDER', str(tmp_path))
    (tmp_path / 'own.yaml').write_text('run: {seed: 7}\n')
    assert find_config('own') == str(tmp_path / 'own.yaml')
    assert find_config('birds') == os.path.join(ROOT, 'configs', 'birds.yaml')
    with pytest.raises(ConfigError, match='elsewhere: no such file, .*, own'):
        find_config('elsewhere')


def test_a_file_whose_name_cannot_stand_for_a_run_s_name(tmp_path):
    path = tmp_path / 'my birds.yaml'
    path.write_text('data: {name: a}\n')
    with pytest.raises(ConfigError, match=r'my birds.yaml: run.name is not given'):
        load_config(str(path))
    assert load_config(str(path), ['run.name=a']).run.name == 'a'


def test_files_and_settings_of_earlier_versions(tmp_path):
    path = write(tmp_path, 'stage2: {likeness_coefficient: 3.0}\nexport: {weights: averages}\n'
                 'data: {brought_embeddings: skip-thought}\nscorer: {least_accuracy: 0.1}\n'
                 'make_dataset: null\n')
    config = load_config(path, ['stage2.likeness_coefficient=4', 'export.weights=averages'])
    assert config.stage2.low_resolution_consistency == 4.0 and config.export.weights == 'ema'
    assert config.data.precomputed_embeddings == 'skip-thought'
    assert config.scorer.minimum_accuracy == 0.1
    with pytest.raises(ConfigError, match='unknown key stage2.likeness_coefficient'):
        load_config(write(tmp_path, 'stage2: {likeness_coefficient: 3.0, '
                          'low_resolution_consistency: 3.0}\n'))


def test_what_is_not_a_default_is_marked():
    config = load_config(os.path.join(ROOT, 'configs', 'birds.yaml'),
                         ['train.batch_size=16', 'stage2.batch_size=4', 'export.batch_sizes=[2]'])
    text = marked_yaml(config)
    assert yaml.safe_load(text) == to_dict(config)
    marked = [line.split()[0] + line.partition('#')[2] for line in text.splitlines() if '#' in line]
    assert marked == ['layout: default: folder', 'crop: default: centre', 'by: default: ratio',
                      'batch_size: default: 64', 'batch_size: default: 16',
                      'batch_sizes: default: [1, 64]']


def test_the_page_of_keys_is_that_of_the_schema():
    with open(os.path.join(ROOT, 'docs', 'configuration.md'), encoding='utf-8') as stream:
        assert stream.read() == page(), ('run: python -m stackgan.config.documentation '
                                         'docs/configuration.md')


@pytest.mark.parametrize('text, message', [
    ('run: [1', 'not valid YAML'), ('- 1\n', 'not a mapping of sections'), ('', 'holds null'),
    ('run: {name: a, name: b}', "key 'name' is given twice"),
    ('run: !!python/object/apply:os.system [true]', 'not valid YAML')])
def test_a_broken_file_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match='mine.yaml: .*' + message):
        load_config(write(tmp_path, text))


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match='nowhere.yaml: cannot be read: No such file'):
        load_config('nowhere.yaml')


def test_yaml_s_textual_floats_are_numbers(tmp_path):
    config = load_config(DEFAULT, ['train.generator_learning_rate=1e-4', 'stage1.epochs=3'])
    assert config.train.generator_learning_rate == 1e-4
    assert config.stage1.epochs == 3.0 and isinstance(config.stage1.epochs, float)


def test_off_is_a_word_where_it_is_a_choice():
    config = load_config(DEFAULT, ['train.gradient_penalty=off'])
    assert config.train.gradient_penalty == 'off' and "'off'" in to_yaml(config)
    with pytest.raises(ConfigError, match='platform.device: expected text, found False'):
        load_config(DEFAULT, ['platform.device=off'])


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_config(DEFAULT).train.batch_size = 3


def test_every_key_is_explained():
    def check(kind):
        for field in dataclasses.fields(kind):
            assert len(field.metadata['help']) > 5, field.name
    for section in dataclasses.fields(load_config(DEFAULT)):
        value = getattr(load_config(DEFAULT), section.name)
        check(type(value))
    assert to_dict(load_config(DEFAULT))['train']['adam_beta1'] == 0.5
