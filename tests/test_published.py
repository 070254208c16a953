"""Published checkpoints: what is read, generated and written, and what is refused."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from export_toy import make_stage
from PIL import Image
from published_toy import DIMS, Original, listed, listed_shapes, random_values, write_checkpoint
from toy import NeverStop, make_embeddings, make_prepared, tiny_config

from jobs import import_checkpoint
from jobs.engine import chain
from jobs.engine.cleaning import clean_output
from jobs.engine.command_line import main
from jobs.engine.contract import read_manifest
from stackgan.checkpoints import read_facts
from stackgan.errors import InputError
from stackgan.export.exporting import export
from stackgan.published.names import NAMES, kind_of
from stackgan.published.reading import network_shapes
from stackgan.published.writing import write_published
from stackgan.sampling.plans import copies_plan
from stackgan.sampling.sample_request import SampleRequest
from stackgan.sampling.sampler import Sampler
from stackgan.sampling.writing import write_samples
from stackgan.training.stages import train_stage

PAPER = ['model.stage1_modulation=false', 'model.stage1_encoder_features=false',
         'model.stage2_residual=false', 'model.stage2_skip_connections=false',
         'model.stage2_sub_pixel=false', 'model.stage2_residual_blocks=4',
         'train.caption_matching_weight=0', 'train.caption_similarity_weight=0',
         'train.wrong_candidates=1', 'text.whitening=false', 'train.augment_translation=0',
         'stage2.adversarial_weight=1']
CONFIG = ['--config', 'painted-birds', '--set', 'platform.deterministic=true',
          '--set', 'platform.device=cpu'] + [
              word for key in DIMS + PAPER for word in ('--set', key)]
FIXTURE = ['model.generator_filters=16', 'model.discriminator_filters=8',
           'model.condition_dim=128', 'model.noise_dim=100', 'model.embedding_dim=1024']
LISTS = {'original': 'original_stage%d.json', 'port': 'port_stage%d.json'}


def run(volume, *arguments):
    return main(list(arguments) + CONFIG + ['--data', str(volume)])


def bring(volume, stage, path, *arguments):
    return run(volume, 'import-checkpoint', '--stage', str(stage), '--from', str(path), *arguments)


def folder_of(volume, stage):
    return str(volume / 'runs' / 'painted-birds' / ('stage%d' % stage))


def imported(volume, stage):
    with open(os.path.join(folder_of(volume, stage), 'options.json')) as stream:
        return json.load(stream)['imported']


def generate(folder, inputs):
    """{side: images} of a finished stage from embeddings, z, noise1, noise2."""
    with Sampler(folder, 'best', len(inputs[0]), tiny_config().platform) as sampler:
        images = sampler.session.run(sampler.graph.images, fed(sampler, inputs))
        return {side: images[side][:len(inputs[0])] for side in images}


def fed(sampler, inputs):
    """Over and over in a larger batch, which leaves its statistics what they are."""
    times, rest = divmod(sampler.batch_size, len(inputs[0]))
    assert rest == 0
    holders = (sampler.graph.embeddings,) + tuple(sampler.graph.noise)
    return dict(zip(holders, [np.concatenate([each] * times) for each in inputs]))


def some_inputs(count, dims, seed=1):
    random = np.random.RandomState(seed)
    return [random.standard_normal((count, width)).astype(np.float32) for width in
            (dims.embedding_dim, dims.noise_dim, dims.condition_dim, dims.condition_dim)]


def small(layout, stage, seed=3):
    """{published name: array} of networks alone, for which no list is needed."""
    shapes = network_shapes(stage, tiny_config(*DIMS).model)
    return random_values({NAMES[layout](name): shape for name, shape in shapes.items()}, seed)


@pytest.mark.parametrize('layout', ['original', 'port'])
@pytest.mark.parametrize('stage', [1, 2])
def test_names_and_shapes_are_the_listed_ones(layout, stage):
    paper = tiny_config('model.generator_filters=128', 'model.discriminator_filters=64',
                        'model.condition_dim=128', 'model.noise_dim=100',
                        'model.embedding_dim=1024').model
    public = {each['name']: each['shape'] for each in listed(LISTS[layout] % stage)}
    ours = {NAMES[layout](name): shape for name, shape in network_shapes(stage, paper).items()}
    assert ours == {name: shape for name, shape in public.items() if not kind_of(name)}
    assert len(ours) < len(public)


@pytest.mark.parametrize('stage', [1, 2])
def test_the_original_s_checkpoint_draws_what_its_code_draws(tmp_path, stage, capsys):
    """All the names of the list, optimisers and all; the images by NumPy from those names."""
    values = random_values(listed_shapes(LISTS['original'] % stage))
    values['somebody/else'] = np.zeros(2, np.float32)
    path = write_checkpoint(tmp_path / 'model_82000.ckpt', values)
    assert bring(tmp_path, stage, path) == 0
    said = capsys.readouterr().out
    assert 'unmatched, not read: somebody/else' in said and 'dimensions' not in said
    embeddings, z, noise1, noise2 = inputs = some_inputs(3, tiny_config(*DIMS).model)
    low = Original(values, 'g_net').stage1(embeddings, noise1, z)
    generated = generate(folder_of(tmp_path, stage), inputs)
    assert low.std() > 0.1 and np.abs(generated[64] - low).max() < 1e-4
    if stage == 2:
        high = Original(values, 'hr_g_net').stage2(low, embeddings, noise2)
        assert high.std() > 0.1 and np.abs(generated[256] - high).max() < 1e-4
    facts = imported(tmp_path, stage)
    assert facts['layout'] == 'original' and facts['differs'] == []
    unread = facts['unread']
    assert unread['unmatched'] == ['somebody/else'] and unread['step'] == ['global_step']
    assert facts['variables'] + sum(len(names) for names in unread.values()) == len(values)


@pytest.mark.parametrize('layout, stage', [('original', 2), ('port', 1)])
def test_there_and_back_again(tmp_path, layout, stage):
    """Imported and exported, every variable of the networks has its name and bits again."""
    values = small(layout, stage)
    path = write_checkpoint(tmp_path / 'theirs.ckpt', values)
    assert bring(tmp_path, stage, path, '--layout', layout) == 0
    assert run(tmp_path, 'export', '--names', layout, '--set', 'export.stage=%d' % stage) == 0
    folder = tmp_path / 'runs/painted-birds' / ('export-%s-stage%d' % (layout, stage))
    reader = tf.train.load_checkpoint(str(folder / 'model.ckpt'))
    assert set(reader.get_variable_to_shape_map()) == set(values)
    for name, value in values.items():
        assert np.array_equal(reader.get_tensor(name), value), name


def test_the_port_s_checkpoint_gives_its_outputs(reference, tmp_path, capsys):
    folder = os.path.join(reference, 'port_stage1_checkpoint')
    io = np.load(os.path.join(folder, 'io.npz'))
    inputs = [io['embeddings'], io['z'], io['eps'], io['eps']]
    assert bring(tmp_path, 1, folder) == 0
    said = capsys.readouterr().out
    assert 'one ReLU more' in said and 'not read: 122 of optimisers' in said
    assert '--set model.condition_dim=128 --set model.condition_sigma_limit=null ' in said
    assert ' --set model.discriminator_filters=8' in said
    plain = generate(folder_of(tmp_path, 1), inputs)[64]
    assert np.abs(plain - io['test/fake_images']).max() > 1e-2
    assert len(imported(tmp_path, 1)['differs']) == 2
    assert read_manifest(folder_of(tmp_path, 1))['notes'] == imported(tmp_path, 1)
    assert bring(tmp_path, 1, folder, '--compat', 'ascend-port') == 0
    same = generate(folder_of(tmp_path, 1), inputs)[64]
    assert np.abs(same - io['test/fake_images']).max() < 1e-4
    facts = imported(tmp_path, 1)
    assert facts['compat'] == 'ascend-port' and facts['differs'] == []
    assert facts['unread']['unmatched'] == [] and len(facts['unread']['optimiser']) == 122
    with open(os.path.join(folder_of(tmp_path, 1), 'options.json')) as stream:
        assert json.load(stream)['config']['model'] == vars(tiny_config(*FIXTURE).model)


def test_compat_of_stage2_mixes_the_samples_as_the_port_does(tmp_path):
    """Batch norm of the joining convolution by the batch, that of all others by what was kept."""
    path = write_checkpoint(tmp_path / 'port.ckpt', small('port', 2))
    inputs = some_inputs(4, tiny_config(*DIMS).model)
    other = [np.concatenate([each[:1], -each[1:]]) for each in inputs]
    for arguments, mixes in (((), False), (('--compat', 'ascend-port'), True)):
        assert bring(tmp_path, 2, path, *arguments) == 0
        first, second = [generate(folder_of(tmp_path, 2), each) for each in (inputs, other)]
        for side in (64, 256):
            assert (np.abs(first[side][0] - second[side][0]).max() > 1e-3) == mixes
    joined = np.array(read_joined(folder_of(tmp_path, 2), inputs))
    assert np.abs(joined.mean((0, 1, 2))).max() < 1e-4
    assert np.abs(joined.var((0, 1, 2)) - 1).max() < 1e-2


def read_joined(folder, inputs):
    """The output of the joining convolution's batch norm before its gamma and beta."""
    with Sampler(folder, 'last', len(inputs[0]), tiny_config().platform) as sampler:
        graph = sampler.session.graph
        norm = [op for op in graph.get_operations() if op.type.startswith('FusedBatchNorm')
                and op.name.startswith('stage2/generator/join')]
        assert len(norm) == 1
        out, gamma, beta = sampler.session.run(
            [norm[0].outputs[0], norm[0].inputs[1], norm[0].inputs[2]], fed(sampler, inputs))
    return (out - beta) / gamma


def test_compat_draws_the_port_s_batches_of_different_captions(tmp_path):
    """Whatever batch is configured; the last one is filled up with other captions."""
    path = write_checkpoint(tmp_path / 'port.ckpt', small('port', 1))
    assert bring(tmp_path, 1, path, '--compat', 'ascend-port') == 0
    embeddings = some_inputs(70, tiny_config(*DIMS).model)[0]
    wanted = [SampleRequest('caption %d' % number, embedding, 0, {})
              for number, embedding in enumerate(embeddings)]
    with Sampler(folder_of(tmp_path, 1), 'last', 1, tiny_config().platform) as sampler:
        write_samples(sampler, copies_plan(wanted, 5), str(tmp_path))
        generated = np.concatenate([sampler.generate(wanted[:64], 5)[64],
                                    sampler.generate(wanted[64:] + wanted[:58], 5)[64][:6]])
        for few in (wanted[:63], wanted[:7] * 64, [wanted[0]]):
            with pytest.raises(InputError, match='64 images at once by their common statistics'):
                sampler.generate(few, 5)
        with pytest.raises(InputError, match='here are 4 of 4 different captions'):
            write_samples(sampler, copies_plan(wanted[:4], 5), str(tmp_path / 'few'))
    written = [np.asarray(Image.open(str(tmp_path / '64' / ('%05d.png' % number))))
               for number in range(70)]
    assert np.array_equal(written, generated) and len(os.listdir(str(tmp_path / '64'))) == 70
    assert min(np.abs(one.astype(int) - written[0]).mean() for one in written[1:]) > 1


def test_what_compat_cannot_do_is_refused(tmp_path, capsys):
    path = write_checkpoint(tmp_path / 'port.ckpt', small('port', 1))
    assert bring(tmp_path, 1, path, '--compat', 'ascend-port') == 0
    config = tiny_config(*DIMS)
    with pytest.raises(InputError, match='--compat ascend-port, which normalises by'):
        export(folder_of(tmp_path, 1), str(tmp_path), config.export, config.platform)
    prepared = make_prepared(tmp_path / 'prepared')
    embeddings = make_embeddings(tmp_path / 'embeddings', prepared, 64)
    os.makedirs(str(tmp_path / 'out'))
    with pytest.raises(InputError, match='supports sampling only; import it without'):
        train_stage(2, config, prepared, embeddings, str(tmp_path / 'out'), NeverStop(),
                    folder_of(tmp_path, 1))


def test_what_an_imported_stage_would_have_been_trained_on_is_not_needed(tmp_path):
    config = tiny_config(*DIMS)

    def until(name):
        return [job.name for job in chain.until(name, config, str(tmp_path))]

    assert 'train-text-encoder' in until('export')
    path = write_checkpoint(tmp_path / 'model.ckpt', small('original', 2))
    assert bring(tmp_path, 2, path) == 0
    assert until('export') == ['train-stage2', 'export']
    assert until('train-stage1') == ['train-stage1']
    assert 'train-text-encoder' in until('sample')        # which embeds its held-out captions


def test_stage2_trains_an_imported_stage1_along(tmp_path):
    values = small('original', 1)
    assert bring(tmp_path, 1, write_checkpoint(tmp_path / 'model.ckpt', values)) == 0
    prepared = make_prepared(tmp_path / 'prepared')
    embeddings = make_embeddings(tmp_path / 'embeddings', prepared, 64)
    config = tiny_config(*DIMS + ['stage2.epochs=0.1', 'stage2.finetune_stage1=true'])
    os.makedirs(str(tmp_path / 'out'))
    path = train_stage(2, config, prepared, embeddings, str(tmp_path / 'out'), NeverStop(),
                       folder_of(tmp_path, 1))
    reader, differences = tf.train.load_checkpoint(os.path.join(path, 'model')), []
    for name in network_shapes(1, config.model):
        value = reader.get_tensor(name) - values[NAMES['original'](name)]
        differences.append(np.abs(value).max())
    assert 0 < np.median(differences) < 0.05      # a few steps of Adam away, from no other start


def test_a_generator_alone_can_be_drawn_with(tmp_path, capsys):
    """As of one that was written without a discriminator: what is absent is said."""
    values = {name: value for name, value in small('original', 1).items()
              if not name.startswith('d_net/')}
    assert bring(tmp_path, 1, write_checkpoint(tmp_path / 'model.ckpt', values)) == 0
    assert imported(tmp_path, 1)['absent'] == ['stage1/discriminator']
    assert 'has no variables of stage1/discriminator' in capsys.readouterr().out


def test_averages_are_what_is_exported(tmp_path):
    config = tiny_config()
    stage = make_stage(tmp_path / 'stage1', 1, config.model)
    for weights, prefix in (('ema', 'moving_average/'), ('trained', '')):
        settings = tiny_config('export.weights=' + weights).export
        folder = tmp_path / weights
        folder.mkdir()
        write_published(stage, str(folder), settings, 'original')
        theirs = tf.train.load_checkpoint(str(folder / 'model.ckpt'))
        ours = tf.train.load_checkpoint(os.path.join(stage, 'checkpoints/00000012/model'))
        name = 'stage1/generator/up2/moving_variance'
        assert np.array_equal(theirs.get_tensor(NAMES['original'](name)),
                              ours.get_tensor(prefix + name))


@pytest.mark.parametrize('stage, option', [
    (1, 'condition_sigma_limit=1.0'), (1, 'stage1_modulation=true'),
    (1, 'stage1_encoder_features=true'),
    (2, 'stage2_residual_blocks=1')])
def test_networks_that_the_published_code_cannot_build_are_refused(tmp_path, stage, option):
    config = tiny_config('model.' + option)
    folder = make_stage(tmp_path / 'stage', stage, config.model)
    with pytest.raises(InputError, match=f'trained with model.{option}, which hanzhanggit/StackGAN '
                                         'does not have'):
        write_published(folder, str(tmp_path), config.export, 'original')
    if stage == 2:                             # its Stage-I alone is the paper's
        write_published(make_stage(tmp_path / 'first', 1, config.model), str(tmp_path),
                        config.export, 'original')


def without(name):
    def change(values):
        del values[name]
    return change


def with_shape(name, *shape):
    def change(values):
        values[name] = np.ones(shape, np.float32)
    return change


def with_nan(values):
    values['g_net/conv_batch_norm/conv_batch_norm/gamma'][0] = np.nan


@pytest.mark.parametrize('change, arguments, text', [
    (without('g_net/custom_conv2d_3/custom_conv2d_3/w'), (),
     '1 of 93 variables are missing: g_net/custom_conv2d_3/custom_conv2d_3/w'),
    (without('d_net/conv_batch_norm_2/conv_batch_norm_2/mean'), (), 'are missing: d_net/conv'),
    (without('g_net/custom_fully_connected_1/Linear/Matrix'), (),
     'g_net/custom_fully_connected_1/Linear/Matrix is missing'),
    (with_shape('g_net/custom_conv2d_5/custom_conv2d_5/w', 3, 3, 9, 8), (),
     'custom_conv2d_5/w has the shape [3, 3, 9, 8], expected [3, 3, 8, 8]'),
    (with_shape('g_net/custom_conv2d_9/custom_conv2d_9/w', 8), (),
     'custom_conv2d_9/w has the shape [8], expected 4 dimensions'),
    (with_shape('g_net/custom_fully_connected_1/Linear/Matrix', 5, 1024), (),
     'dimensions that no StackGAN has: model.condition_dim=8'),
    (with_nan, (), 'conv_batch_norm/gamma holds non-finite values (NaN or infinite)'),
    (lambda values: None, ('--layout', 'port'),
     '--layout port, but its names are those of hanzhanggit/StackGAN; pass --layout original'),
    (lambda values: [values.pop(name) for name in list(values) if name.startswith('g_net')], (),
     'has the names of neither'),
    (with_shape('hr_g_net/anything', 2), (), 'it is a checkpoint of Stage-II, with its Stage-I; '
                                             'pass --stage 2')])
def test_what_does_not_fit_is_one_line(tmp_path, capsys, change, arguments, text):
    values = small('original', 1)
    change(values)
    path = write_checkpoint(tmp_path / 'model.ckpt', values)
    assert bring(tmp_path, 1, path, *arguments) == 2
    said = capsys.readouterr().err
    assert text in said and len(said.splitlines()) == 1 and path in said
    assert os.listdir(os.path.dirname(folder_of(tmp_path, 1))) in ([], ['stage1.lock'])


def test_stage1_is_no_stage2(tmp_path, capsys):
    path = write_checkpoint(tmp_path / 'model.ckpt', small('original', 1))
    assert bring(tmp_path, 2, path) == 2
    assert '--stage 2, but it is a checkpoint of Stage-I alone; pass --stage 1' in \
        capsys.readouterr().err


@pytest.mark.parametrize('files, source, text', [
    ({}, 'nowhere.ckpt', 'no such checkpoint'),
    ({}, '', 'a folder with no .index file'),
    ({'a.index': b'', 'b.index': b''}, '', 'a folder with a.index, b.index; name one'),
    ({'a.ckpt': b'not a checkpoint'}, 'a.ckpt', 'not a readable TensorFlow checkpoint'),
    ({'a.ckpt.index': b'nor this'}, 'a.ckpt', 'not a readable TensorFlow checkpoint')])
def test_no_checkpoint(tmp_path, capsys, files, source, text):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert bring(tmp_path, 1, tmp_path / source) == 2
    said = capsys.readouterr().err
    assert text in said and len(said.splitlines()) == 1


def test_a_checkpoint_cut_off_is_one_line(tmp_path, capsys):
    path = write_checkpoint(tmp_path / 'model.ckpt', small('original', 1))
    with open(path + '.data-00000-of-00001', 'r+b') as stream:
        stream.truncate(1000)
    assert bring(tmp_path, 1, path) == 2
    assert 'not a readable TensorFlow checkpoint' in capsys.readouterr().err
    assert bring(tmp_path, 1, path + '.index') == 2


def test_the_form_of_before_tensorflow_0_12_is_read(tmp_path):
    """One file of the name itself."""
    values = small('original', 1)
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.get_variable(name, initializer=value, use_resource=True)
                     for name, value in values.items()]
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(variables, write_version=tf.train.SaverDef.V1)
        saver.save(session, str(tmp_path / 'old.ckpt'), write_meta_graph=False, write_state=False)
    assert os.path.isfile(str(tmp_path / 'old.ckpt'))
    assert bring(tmp_path, 1, tmp_path / 'old.ckpt') == 0
    ours = tf.train.load_checkpoint(
        os.path.join(folder_of(tmp_path, 1), 'checkpoints', '00000000', 'model'))
    for name in ('stage1/generator/condition/weights', 'stage1/generator/up1/moving_mean'):
        assert np.array_equal(ours.get_tensor(name), values[NAMES['original'](name)])


def test_options_that_are_missing(tmp_path, capsys):
    assert run(tmp_path, 'import-checkpoint') == 2
    assert '--stage is missing; pass --stage 1 or 2 and --from PATH' in capsys.readouterr().err
    assert run(tmp_path, 'export', '--names', 'port', '--check', 'x.pb') == 2


def test_it_lives_with_the_trainings_of_its_run(tmp_path, capsys):
    """Not done twice, never trained over, never over a training."""
    path = write_checkpoint(tmp_path / 'model.ckpt', small('original', 1))
    assert bring(tmp_path, 1, path) == 0 and bring(tmp_path, 1, path + '.index') == 0
    assert 'up to date' in capsys.readouterr().out
    before = read_manifest(folder_of(tmp_path, 1))
    assert before['request']['settings']['from'] == path
    for arguments in (['train-stage1'], ['train-stage1', '--force', '--restart']):
        assert run(tmp_path, *arguments) == 0
        assert 'not needed: runs/painted-birds/stage1 was imported from' in capsys.readouterr().out
    assert read_manifest(folder_of(tmp_path, 1)) == before
    clean_output(import_checkpoint.JOB, tiny_config(), str(tmp_path))     # has none of its own
    assert read_manifest(folder_of(tmp_path, 1)) == before
    options = os.path.join(folder_of(tmp_path, 1), 'options.json')
    os.rename(options, options + '.away')         # damaged: not trained over, nor taken as whole
    assert run(tmp_path, 'train-stage1') == 2
    assert 'and is damaged (options.json is missing); import it again' in capsys.readouterr().err
    os.rename(options + '.away', options)
    manifest = dict(before, request=dict(before['request'], job='train-stage1'))
    with open(os.path.join(folder_of(tmp_path, 1), 'manifest.json'), 'w') as stream:
        json.dump(manifest, stream)
    capsys.readouterr()
    assert bring(tmp_path, 1, path, '--force') == 2
    assert 'stage1 was made by train-stage1; choose another run.name' in capsys.readouterr().err
    os.rename(folder_of(tmp_path, 1), folder_of(tmp_path, 1) + '.partial')
    with open(os.path.join(folder_of(tmp_path, 1) + '.partial', 'request.json'), 'w') as stream:
        json.dump(manifest['request'], stream)               # as of a training in progress
    assert bring(tmp_path, 1, path, '--restart') == 2
    assert os.path.isdir(folder_of(tmp_path, 1) + '.partial')


def test_an_imported_stage2_brings_its_stage1(tmp_path, capsys):
    path = write_checkpoint(tmp_path / 'model.ckpt', small('port', 2))
    assert bring(tmp_path, 2, path) == 0
    assert run(tmp_path, 'train-stage1') == 0 and run(tmp_path, 'train-stage2') == 0
    said = capsys.readouterr().out
    assert 'train-stage1: not needed: runs/painted-birds/stage2 was imported and has' in said
    assert 'train-stage2: not needed: runs/painted-birds/stage2 was imported from' in said
    facts = read_facts(os.path.join(folder_of(tmp_path, 2), 'checkpoints', '00000000'))
    assert facts['stage'] == 2 and 'compat' not in facts
