"""What networks compute in: the choice for a device, its rounding, loss scaling and its resume."""

import json
import os
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from logged import logged
from small_networks import two_networks
from toy import ROOT, NeverStop, make_embeddings, make_prepared, tiny_config

from stackgan.checkpoints import Checkpoints, read_facts, variables_of
from stackgan.config import load_config
from stackgan.config.renamed import rename_settings
from stackgan.config.schema import Platform
from stackgan.errors import MissingRequirement
from stackgan.losses import generator_loss, matching_aware_discriminator_loss
from stackgan.networks.layers import ForwardMode
from stackgan.platforms import loss_scale, nvidia, precision, session
from stackgan.platforms.overflows import Overflows
from stackgan.sampling.generation import build_generation
from stackgan.training import observer
from stackgan.training.gan_pairs import TRAINING, batch_placeholders, stage1_pairs, stage2_pairs
from stackgan.training.graph import scope_variables
from stackgan.training.stages import train_stage

TF1 = tf.__version__.startswith('1.')
of_tf2 = pytest.mark.skipif(TF1, reason='TensorFlow 1.15 computes in float32 alone on a CPU')


# Which type it is.

def of_device(monkeypatch, device, version, capability=None, has_bfloat16=True):
    """Makes this machine look like one with that device."""
    listed = [types.SimpleNamespace(name='/physical_device:GPU:0')] if device == 'gpu' else []
    monkeypatch.setattr(tf.config.experimental, 'list_physical_devices',
                        lambda kind: listed if kind == 'GPU' else [])
    monkeypatch.setattr(precision, '_capability', lambda: capability)
    monkeypatch.setattr(precision, '_has_kernels', lambda dtype: version >= (2, 16))
    monkeypatch.setattr(precision, 'tf_version', lambda: version)
    monkeypatch.setattr(precision, 'cpu_computes_bfloat16', lambda: has_bfloat16)


@pytest.mark.parametrize('wanted, device, version, capability, compute, network, graph', [
    ('auto', 'gpu', (2, 21), (9, 0), 'bfloat16', tf.bfloat16, 'float32'),
    ('auto', 'gpu', (2, 21), (8, 0), 'bfloat16', tf.bfloat16, 'float32'),
    ('auto', 'gpu', (2, 15), (8, 6), 'float16', tf.float16, 'float32'),      # without the kernels
    ('auto', 'gpu', (2, 21), (7, 5), 'float16', tf.float16, 'float32'),
    ('auto', 'gpu', (1, 15), (7, 0), 'float16', tf.float16, 'float32'),
    ('auto', 'gpu', (2, 21), (6, 1), 'float32', tf.float32, 'float32'),
    ('auto', 'gpu', (2, 21), None, 'float32', tf.float32, 'float32'),
    ('tf32', 'gpu', (2, 21), (8, 0), 'tf32', tf.float32, 'tf32'),
    ('float32', 'gpu', (2, 21), (9, 0), 'float32', tf.float32, 'float32'),
    ('float16', 'gpu', (2, 21), (9, 0), 'float16', tf.float16, 'float32'),
    ('auto', 'cpu', (2, 21), None, 'bfloat16', tf.float32, 'bfloat16'),      # by the optimiser
    ('auto', 'cpu', (1, 15), None, 'float32', tf.float32, 'float32'),
    ('bfloat16', 'cpu', (2, 21), None, 'bfloat16', tf.float32, 'bfloat16'),
    ('float16', 'cpu', (2, 21), None, 'float16', tf.float16, 'float32')])
def test_the_type_of_a_device(monkeypatch, wanted, device, version, capability, compute, network,
                              graph):
    of_device(monkeypatch, device, version, capability)
    resolved = session.resolve(Platform(precision=wanted))
    assert (resolved.device, resolved.compute_dtype) == (device, compute)
    assert (resolved.network_dtype, resolved.graph_dtype) == (network, graph)
    assert resolved.scales_loss == (compute == 'float16')


@pytest.mark.parametrize('wanted, device, version, capability, text', [
    ('tf32', 'cpu', (2, 21), None, 'tf32, but it is a type of GPUs, and this is a CPU'),
    ('bfloat16', 'cpu', (1, 15), None, 'on this CPU does not multiply in it'),
    ('float16', 'cpu', (1, 15), None, 'has no batch norm in it on a CPU'),
    ('bfloat16', 'gpu', (2, 21), (7, 5), r'a GPU of compute capability 7.5; 8.0 \(Ampere\)'),
    ('tf32', 'gpu', (2, 21), None, 'this is a GPU of unknown compute capability'),
    ('bfloat16', 'gpu', (2, 15), (8, 0), 'has no batch norm in it on a GPU')])
def test_a_type_that_a_device_lacks_is_named(monkeypatch, wanted, device, version, capability,
                                             text):
    of_device(monkeypatch, device, version, capability)
    with pytest.raises(MissingRequirement, match=text + '.*; use auto or float32'):
        session.resolve(Platform(precision=wanted))


def test_a_cpu_without_bfloat16_computes_in_float32(monkeypatch):
    of_device(monkeypatch, 'cpu', (2, 21), has_bfloat16=False)
    assert session.resolve(Platform()).compute_dtype == 'float32'
    with pytest.raises(MissingRequirement, match='AVX512-BF16 or AMX'):
        session.resolve(Platform(precision='bfloat16'))


def test_deterministic_is_float32(monkeypatch):
    of_device(monkeypatch, 'gpu', (2, 21), (9, 0))
    resolved = session.resolve(Platform(deterministic=True))
    assert (resolved.device, resolved.compute_dtype) == ('cpu', 'float32')


def test_tf32_is_switched_on_by_its_own_name_alone(monkeypatch):
    of_device(monkeypatch, 'gpu', (2, 21), (9, 0))
    switched = []
    monkeypatch.setattr(session, 'allow_tf32', switched.append)
    for wanted in ('auto', 'float32', 'tf32', 'float16'):
        settings = Platform(precision=wanted)
        for each in (settings, session.without_16_bits(settings)):
            session.session_config(session.resolve(each))
    assert switched == [False, False, False, False, True, True, False, False]


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A machine with two GPUs, as its `nvidia-smi` (tests/fakes) tells."""
    program = tmp_path / 'nvidia-smi'
    with open(os.path.join(ROOT, 'tests', 'fakes', 'nvidia-smi')) as stream:
        program.write_text(stream.read())
    program.chmod(0o755)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    return program


def test_cuda_sees_the_chosen_card_first(driver, monkeypatch):
    assert [each.name for each in nvidia.cards()] == ['Tesla V100-SXM2-16GB',
                                                      'NVIDIA H100 80GB HBM3']
    assert nvidia.cards()[1] == ('NVIDIA H100 80GB HBM3', '550.54.15', '81559 MiB', (9, 0))
    assert nvidia.capability_by_driver() == (7, 0)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '1')
    assert nvidia.capability_by_driver() == (9, 0)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    assert nvidia.cards() == []
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES')
    monkeypatch.setenv('FAKE_NVIDIA_SMI', 'fails')
    assert nvidia.cards() == [] and nvidia.capability_by_driver() is None


def health(capsys):
    """(exit code, what the health check of a container prints)."""
    code = nvidia.main()
    return code, capsys.readouterr().out


def test_the_health_check_names_driver_and_card_or_what_is_missing(driver, monkeypatch, capsys):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '1')
    assert health(capsys) == (0, 'NVIDIA H100 80GB HBM3 (81559 MiB), driver 550.54.15\n')
    monkeypatch.setenv('FAKE_NVIDIA_SMI', 'fails')
    assert health(capsys) == (1, 'no GPU: nvidia-smi finds none; run it to see why\n')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')
    assert health(capsys) == (1, 'no GPU: CUDA_VISIBLE_DEVICES=-1 hides them\n')
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES')
    monkeypatch.setenv('PATH', os.devnull)
    code, text = health(capsys)
    assert code == 1 and text.startswith('no GPU: there is no NVIDIA driver; in a container, ')
    assert text.count('\n') == 1


@pytest.mark.parametrize('built, text', [
    (False, 'sees none: it is built without CUDA; install the extra tf2-gpu; or use auto'),
    (True, r'sees none: it cannot use Tesla V100.*, driver 550.54.15; its CUDA libraries or the')])
def test_a_gpu_that_is_not_seen_is_explained(driver, monkeypatch, built, text):
    of_device(monkeypatch, 'cpu', (2, 21))
    monkeypatch.setattr(tf.test, 'is_built_with_cuda', lambda: built)
    with pytest.raises(MissingRequirement, match=text):
        session.resolve(Platform(device='gpu'))


def test_a_build_for_gpus_without_one_tells_once_that_the_cpu_computes(driver, monkeypatch):
    of_device(monkeypatch, 'cpu', (2, 21))
    monkeypatch.setattr(tf.test, 'is_built_with_cuda', lambda: True)
    monkeypatch.setenv('PATH', os.devnull)
    session._tell_of_no_gpu.cache_clear()
    with logged() as said:
        assert {session.resolve(Platform()).device for _ in range(2)} == {'cpu'}
    assert len(said) == 1 and 'so the CPU computes: there is no NVIDIA driver' in said[0]


# The key that it replaces.

@pytest.mark.parametrize('old, new', [('auto', 'auto'), ('off', 'float32'), ("'off'", 'float32')])
def test_the_earlier_key_is_read_and_told_of(tmp_path, old, new):
    path = tmp_path / 'mine.yaml'
    path.write_text(f'platform: {{mixed_precision: {old}}}\n')
    with logged() as said:
        assert load_config(str(path)).platform.precision == new
        assert load_config(str(path), ['platform.precision=tf32']).platform.precision == 'tf32'
        assert load_config(str(path), ['platform.mixed_precision=off'])
    assert said[0] == (f'{path}: platform.mixed_precision is now platform.precision; it is read as '
                       f'platform.precision: {new}')
    assert len(said) == 4 and said[3].startswith('--set platform.mixed_precision=off: ')


def test_finished_work_of_the_earlier_key_stays_done():
    assert rename_settings({'platform.mixed_precision': 'auto'}) == {'platform.precision': 'auto'}
    assert rename_settings({'platform.mixed_precision': 'off'}) == {'platform.precision': 'float32'}


# Rounding.

def gradients_of(pair, stage):
    """[(loss, gradients)] of the discriminator, and of Stage-I's generator; all float32."""
    mode = ForwardMode(True, compute_dtype=pair.compute_dtype)
    real, wrong, fake = [pair.discriminate(images, pair.embeddings, mode)
                         for images in (pair.real, pair.wrong, pair.fake)]
    losses = [(matching_aware_discriminator_loss(real, wrong, fake).total,
               pair.discriminator_scope), (generator_loss(fake), pair.generator_scope)]
    return [(loss, tf.gradients(loss, scope_variables(scope)))
            for loss, scope in (losses if stage == 1 else losses[:1])]


def distance(ones, others):
    """Of gradients: that of all numbers together."""
    return np.sqrt(sum(np.square(a - b).sum() for a, b in zip(ones, others)))


@of_tf2
@pytest.mark.parametrize('stage, dtype, bound', [
    (1, tf.bfloat16, 0.03), (1, tf.float16, 0.006), (2, tf.bfloat16, 0.06)])
def test_it_moves_losses_and_gradients_by_rounding_alone(stage, dtype, bound):
    """Of the networks as they begin, whose batch norms enlarge every difference.

    So gradients are compared with those of float32 from weights that are rounded to the type: from
    them alone come most of the differences.
    """
    config, size = tiny_config(), 4 if stage == 1 else 2
    random = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as one:
        tf.set_random_seed(0)
        batch, fetches = batch_placeholders(size, stage, config.model), []
        for each in (tf.float32, dtype):
            mode = TRAINING._replace(compute_dtype=each, statistics=[])
            pair = (stage1_pairs(batch, config.model, mode=mode) if stage == 1
                    else stage2_pairs(batch, config.model, config.stage2, mode))[0]
            assert pair.fake.dtype == tf.float32 and pair.compute_dtype == each
            assert {value.dtype for _, value in pair.statistics} == {tf.float32}
            fetches.append((pair.fake, gradients_of(pair, stage)))
        assert {v.dtype.base_dtype for v in tf.global_variables()} == {tf.float32}
        feed = {each: (random.randint(0, 256, each.shape.as_list()) if each.dtype == tf.uint8
                       else random.standard_normal(each.shape.as_list()))
                for each in batch if each is not None}
        round_weights = [v.assign(tf.cast(tf.cast(v.read_value(), dtype), tf.float32))
                         for v in tf.trainable_variables()]
        one.run(tf.global_variables_initializer())
        (images, exact), (others, rounded) = one.run(fetches, feed)
        one.run(round_weights)
        _, control = one.run(fetches[0], feed)
    assert 0 < np.abs(images - others).max() < bound < 0.2 * np.abs(images).max()
    for (loss, gradients), (other, theirs), (_, controls) in zip(exact, rounded, control):
        assert 0 < abs(loss - other) < bound * loss
        assert 0 < distance(gradients, theirs) < 2.5 * distance(gradients, controls)


def test_float32_adds_no_operation_to_a_generator():
    with tf.Graph().as_default() as graph:
        build_generation(2, 1, tiny_config().model)
        assert not [op.name for op in graph.get_operations() if op.type == 'Cast']


# Loss scaling.

def scaled_steps(fixed, *values):
    """[(weights, summary, state)] after each step with those factors."""
    with tf.Graph().as_default() as graph, tf.Session() as one:
        factors, step = two_networks(
            lambda optimizer: loss_scale.with_loss_scale(optimizer, fixed))
        assert {v.op.name.split('/')[-1] for v in tf.global_variables()} == {
            'discriminator', 'generator', 'Adam', 'Adam_1', 'beta1_power', 'beta2_power'}
        one.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        weights = [v for v in tf.global_variables()
                   if v.op.name.split('/')[2:] in (['discriminator'], ['generator'])]
        told, scales, seen = Overflows(graph), loss_scale.LossScales(graph), []
        for each in values:
            one.run(step, dict(zip(factors, each)))
            seen.append((one.run(weights), told.summary(one), scales.state(one)))
    return seen


def test_an_overflow_halves_the_scale_and_skips_the_step():
    first, second, third, fourth = scaled_steps(None, (1e38, 1.0), (float('nan'), 1.0), (1.0, 1e38),
                                                (1.0, 1.0))
    assert first[0] == second[0] == [1.0, 1.0]                          # neither network stepped
    assert abs(third[0][0] - 0.5) < 1e-6 and third[0][1] == 1.0         # Adam's first step
    assert abs(fourth[0][1] - 0.5) < 1e-6                               # not its second or third
    assert [each[2]['discriminator'] for each in (first, second, third, fourth)] == [
        [2.0 ** 14, 0], [2.0 ** 13, 0], [2.0 ** 13, 1], [2.0 ** 13, 2]]
    assert [each[2]['generator'] for each in (first, second, third, fourth)] == [
        [2.0 ** 15, 1], [2.0 ** 15, 2], [2.0 ** 14, 0], [2.0 ** 14, 1]]
    assert third[1] == {'loss_scale/discriminator': 2.0 ** 13, 'skipped_steps/discriminator': 0.0,
                        'loss_scale/generator': 2.0 ** 14, 'skipped_steps/generator': 1.0}


def test_the_scale_doubles_after_good_steps(monkeypatch):
    monkeypatch.setattr(loss_scale, 'GOOD_STEPS', 2)
    states = [state['generator'] for _, _, state in scaled_steps(None, *[(1.0, 1.0)] * 4)]
    assert states == [[2.0 ** 15, 1], [2.0 ** 16, 0], [2.0 ** 16, 1], [2.0 ** 17, 0]]


def test_a_fixed_scale_stays():
    seen = scaled_steps(64.0, (1e38, 1.0), (1.0, 1.0))
    assert [told['loss_scale/discriminator'] for _, told, _ in seen] == [64.0, 64.0]
    assert [state for _, _, state in seen] == [{}, {}]
    assert seen[0][0] == [1.0, 1.0] and abs(seen[1][0][0] - 0.5) < 1e-6


# A training in float16.

HALF = ('platform.deterministic=false', 'platform.threads=1', 'platform.precision=float16',
        'train.ema_decay=0.9', 'train.log_every_steps=1', 'train.checkpoint_every_steps=100')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    prepared = make_prepared(folder / 'prepared')
    return prepared, make_embeddings(folder / 'embeddings', prepared)


@pytest.fixture
def few_samples(monkeypatch):
    monkeypatch.setattr(observer, 'COMPARED', {1: 8})
    monkeypatch.setattr(observer, 'BATCH', {1: 8})


def train(data, folder, epochs, settings=HALF):
    """(variables, checkpoint's facts) of Stage-I after so many epochs of three steps."""
    os.makedirs(str(folder), exist_ok=True)
    path = train_stage(1, tiny_config(*(settings + (f'stage1.epochs={epochs}',))), data[0],
                       data[1], str(folder), NeverStop())
    reader = tf.train.load_checkpoint(path + '/model')
    return {name: reader.get_tensor(name) for name in variables_of(path)}, read_facts(path)


@of_tf2
def test_resuming_in_float16_is_exact_with_its_scales(data, few_samples, tmp_path, monkeypatch):
    monkeypatch.setattr(loss_scale, 'FIRST_SCALE', 2.0 ** 19)         # overflows at first
    straight, facts = train(data, tmp_path / 'straight', 2)
    _, half_way = train(data, tmp_path / 'resumed', 1)
    resumed, resumed_facts = train(data, tmp_path / 'resumed', 2)
    assert facts['loss_scale'] == resumed_facts['loss_scale']
    assert facts['loss_scale'] != half_way['loss_scale']
    assert set(straight) == set(resumed)
    for name in straight:
        assert np.array_equal(straight[name], resumed[name]), name
    with open(str(tmp_path / 'straight' / 'stats.jsonl')) as stream:
        told = [json.loads(line) for line in stream if 'skipped' in line]
    skipped = [line['skipped_steps/stage1/discriminator'] for line in told]
    assert len(skipped) == 6 and skipped[0] == 1.0 and skipped[-1] == 0.0
    assert all(line['skipped_steps/stage1/generator'] >= line['skipped_steps/stage1/discriminator']
               for line in told)
    goes_on_in_float32(data, tmp_path / 'resumed', set(straight))


def goes_on_in_float32(data, folder, names):
    """A checkpoint is one of every type: it has the same variables."""
    variables, facts = train(data, folder, 3, ('train.ema_decay=0.9',))
    assert set(variables) == names and 'loss_scale' not in facts
    assert facts['step'] == 9 and len(Checkpoints(str(folder) + '/checkpoints', None).all()) > 1
