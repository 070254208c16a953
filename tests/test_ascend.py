"""The NPU platform: requirements, options, graphs.

Against a fake npu_bridge, and the vendor's where STACKGAN_NPU_BRIDGE names it (`npu_machine`).
"""

import json
import os
import re
import sys

import pytest
import tensorflow.compat.v1 as tf
from logged import logged
from npu_checks import check_config
from npu_library import NATIVE
from npu_machine import FAKES, OLD, VENDORS, hccl_calls
from toy import tiny_config

from jobs.engine.training_settings import precision
from stackgan.config.schema import Platform
from stackgan.errors import ConfigError, InputError, MissingRequirement, StackganError
from stackgan.platforms import ascend, ascend_session, session
from stackgan.platforms.ascend_options import NEW as LIST_NEW
from stackgan.platforms.ascend_options import OLD as LIST_OLD
from stackgan.platforms.ascend_options import PROFILE, names_of
from stackgan.platforms.ascend_workers import Hccl
from stackgan.platforms.workers import Workers
from stackgan.training.gan_pairs import batch_placeholders, stage1_pairs, stage2_pairs
from stackgan.training.graph import build_step

both_releases = pytest.mark.parametrize('npu', FAKES + VENDORS, indirect=True)


def platform(**values):
    return Platform(**dict(dict(device='npu', threads=1, precision='auto', loss_scale=None,
                                deterministic=False), **values))


# What must be there.

@both_releases
def test_a_machine_with_everything(npu):
    resolved = session.resolve(platform(loss_scale=8.0))
    with tf.Session():                     # which npu_init of CANN 9 would have replaced
        pass
    assert 'npu_bridge.npu_init' not in sys.modules
    assert (resolved.device, resolved.compute_dtype, resolved.loss_scale) == ('npu', 'float16', 8.0)
    assert {name: os.environ[name] for name in ascend.ONE_CARD} == ascend.ONE_CARD
    assert session.resolve(platform(precision='float32')).compute_dtype == 'float32'
    with pytest.raises(MissingRequirement, match='bfloat16, but on an NPU it is chosen by '):
        session.resolve(platform(precision='bfloat16'))


def test_a_chosen_card_is_left(npu, monkeypatch):
    monkeypatch.setenv('DEVICE_ID', '5')                     # a physical number
    ascend.require()
    assert 'ASCEND_DEVICE_ID' not in os.environ
    monkeypatch.setenv('ASCEND_DEVICE_ID', '3')
    ascend.require()
    assert os.environ['ASCEND_DEVICE_ID'] == '3'


def break_machine(what, root, monkeypatch):
    operations = next(root.rglob('npu_supported_ops.json'))
    if what == 'no driver':
        (root / 'driver').rmdir()
    elif what == 'no list':
        operations.unlink()
    elif what == 'cut list':
        operations.write_text('{"Conv2D": ')
    elif what == 'empty list':
        operations.write_text('{}')
    elif what == 'other opp':
        monkeypatch.setenv('ASCEND_OPP_PATH', '/nowhere/opp')
    elif what == 'no bridge':
        monkeypatch.setattr(sys, 'path', [path for path in sys.path if 'fakes' not in path
                                          and 'tf_adapter' not in path])
    else:
        monkeypatch.setenv('FAKE_NPU', what)
        for name in NATIVE if what == 'no hccl' else ():
            monkeypatch.delitem(sys.modules, name, raising=False)


@both_releases
@pytest.mark.parametrize('what, text', [
    ('no driver', 'no Ascend driver at .*Ascend/driver; in a container, mount it'),
    ('no list', r'npu_supported_ops.json cannot be used \(.*No such file'),
    ('cut list', r'npu_supported_ops.json cannot be used'),
    ('empty list', r'it lists no operation.*everything on the CPU'),
    ('other opp', r'/nowhere/opp/framework/built-in/tensorflow/npu_supported_ops.json'),
    ('no bridge', r"npu_bridge cannot be imported \(No module named 'npu_bridge'"),
    ('no library', r'could not load its library _tf_adapter.so'),
    ('no hccl', r"imported \(No module named 'hccl'\); put the hccl package of CANN on ")])
def test_what_is_missing_is_named(npu, monkeypatch, what, text):
    break_machine(what, npu, monkeypatch)
    try:
        session.resolve(platform())
    except MissingRequirement as error:
        assert re.search(text, str(error))
    else:                            # r1.2.0 imports it for several cards alone
        assert what == 'no hccl' and os.environ['FAKE_NPU_RELEASE'] == OLD


@pytest.mark.parametrize('name, value, text', [
    ('ASCEND_DEVICE_ID', 'npu0', "ASCEND_DEVICE_ID is 'npu0'; must be the number of a card"),
    ('RANK_SIZE', '8', 'asks for several cards'),
    ('RANK_TABLE_FILE', '/etc/rank.json', 'asks for several cards')])
def test_an_environment_that_would_abort_is_named(npu, monkeypatch, name, value, text):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=text):
        ascend.require()


@pytest.mark.parametrize('changes, text', [
    ({}, None),
    ({'RANK_TABLE_FILE': '', 'CM_CHIEF_IP': '10.0.0.1'}, None),
    ({'RANK_SIZE': '4'}, "RANK_SIZE is '4', but 2 workers train"),
    ({'RANK_ID': '2'}, "RANK_ID is '2'; must be a number from 0 to 1"),
    ({'RANK_TABLE_FILE': ''}, 'neither RANK_TABLE_FILE nor CM_CHIEF_IP'),
    ({'RANK_TABLE_FILE': '/nowhere.json'}, 'there is no file /nowhere.json')])
def test_several_cards_need_ranks(npu, monkeypatch, tmp_path, changes, text):
    (tmp_path / 'ranks.json').write_text('{}')
    for name, value in dict({'RANK_SIZE': '2', 'RANK_ID': '1',
                             'RANK_TABLE_FILE': str(tmp_path / 'ranks.json')}, **changes).items():
        monkeypatch.setenv(name, value)
    if text is None:
        ascend.require({}, 2)
    else:
        with pytest.raises(InputError, match=text):
            ascend.require({}, 2)


# Options of a session.

@pytest.mark.parametrize('training, float16, mode, precision', [
    (True, True, 1, 'allow_mix_precision'), (True, False, 1, None),
    (False, True, 0, 'allow_mix_precision'), (False, False, 0, 'allow_fp32_to_fp16')])
def test_options_are_those_of_cann_20_2(npu, training, float16, mode, precision):
    config = ascend_session.session_config(training, float16)
    expected = {
        'use_off_line': True, 'graph_run_mode': mode, 'precision_mode': precision,
        'enable_data_pre_proc': False, 'iterations_per_loop': 1, 'mix_compile_mode': False}
    if precision is None:
        del expected['precision_mode']                       # the adapter's default for the chip
    assert check_config(config) == expected
    assert config.graph_options.rewrite_options.memory_optimization == 1      # NO_MEM_OPT
    assert config.allow_soft_placement


def test_a_process_has_one_kind_of_session(npu):
    resolved = session.resolve(platform())
    session.session_config(resolved)
    session.session_config(resolved)
    with pytest.raises(StackganError, match='train and generate in separate processes'):
        session.session_config(resolved, training=False)


def npu_smi(folder, monkeypatch, chip):
    """Puts a program on PATH that answers `npu-smi info -m` as the driver's does."""
    (folder / 'bin').mkdir()
    program = folder / 'bin' / 'npu-smi'
    program.write_text('#!/bin/sh\n[ "$*" = "info -m" ] && printf "%s\\n" "NPU ID  Chip ID  '
                       'Chip Logic ID  Chip Name" "0       0        0              Ascend '
                       + chip + '" "0       1        -              Mcu"\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', str(folder / 'bin') + os.pathsep + os.environ['PATH'])


@pytest.mark.parametrize('chip, inference, words', [
    ('910A', 'allow_fp32_to_fp16', 'convolutions in float16'),
    ('910B3', 'must_keep_origin_dtype', 'float32 on 910B3'),
    ('910_9391', 'must_keep_origin_dtype', 'float32 on 910_9391'),
    ('950PR', 'must_keep_origin_dtype', 'float32 on 950PR'),
    ('310P3', 'allow_fp32_to_fp16', 'convolutions in float16')])
def test_float32_is_what_the_chip_has(npu, tmp_path, monkeypatch, chip, inference, words):
    npu_smi(tmp_path, monkeypatch, chip)
    assert ascend_session.session_options(False, False)['precision_mode'] == inference
    resolved = session.resolve(platform(precision='float32'))
    assert words in resolved.npu_precision and chip in resolved.npu_precision
    assert 'precision_mode' not in ascend_session.session_options(True, False)


@pytest.mark.parametrize('given, value, words', [
    (None, '0', 'without HF32'), ('1', '1', 'with HF32 (ENABLE_HF32_EXECUTION=1)')])
def test_float32_is_no_hf32_unless_the_user_says_so(npu, tmp_path, monkeypatch, given, value,
                                                    words):
    npu_smi(tmp_path, monkeypatch, '910B3')
    if given:
        monkeypatch.setenv('ENABLE_HF32_EXECUTION', given)
    assert words not in session.resolve(platform()).npu_precision      # mixed precision
    assert os.environ.get('ENABLE_HF32_EXECUTION') == given
    assert words in session.resolve(platform(precision='float32')).npu_precision
    assert os.environ['ENABLE_HF32_EXECUTION'] == value


@both_releases
def test_options_are_handed_through(npu, monkeypatch):
    given = {'fusion_switch_file': '/data/switch.cfg', 'modify_mixlist': '/data/list.json'}
    with logged() as said:
        resolved = session.resolve(platform(npu_options=given))
    is_old = os.environ['FAKE_NPU_RELEASE'] == '20.2'
    assert [line for line in said if 'npu_options: modify_mixlist is not among' in line] == \
        ([line for line in said if 'CANN 20.2' in line] if is_old else [])
    assert any('modify_mixlist' in line for line in said) == is_old
    config = session.session_config(resolved)
    values = config.graph_options.rewrite_options.custom_optimizers[0].parameter_map
    assert {name: values[name].s.decode() for name in given} == given


def test_compiled_kernels_are_kept_where_the_environment_says(npu, monkeypatch):
    """CANN 20.2 knows no ASCEND_CACHE_PATH."""
    monkeypatch.setenv('ASCEND_CACHE_PATH', '/data/cache/ascend')
    values = check_config(ascend_session.session_config(True, True))
    assert values['op_compiler_cache_dir'] == '/data/cache/ascend'


@pytest.mark.parametrize('vendor', VENDORS or [pytest.param(None, marks=pytest.mark.skip(
    reason="STACKGAN_NPU_BRIDGE names no checkout of the vendor's adapter (docs/ascend.md)"))])
def test_the_lists_of_options_are_those_of_the_adapter(vendor):
    with open(os.path.join(vendor, 'tf_adapter', 'util', 'npu_attrs.cc')) as stream:
        text = stream.read()
    parser = text[text.rindex('Status NpuAttrs::SetNpuOptimizerAttr'):]
    kinds = {'b': bool, 'i': int, 's': str}
    found = {name: kinds[kind] for name, kind in
             re.findall(r'params\.at\("(\w+)"\)\.([bis])\(\)', parser)
             if not name.startswith('experimental_')}
    if 'dynamic_input' in found and 'precision_mode_v2' not in found:
        pytest.skip('between r1.2.0 and CANN 9, of which there are no lists here')
    assert names_of(LIST_NEW if 'precision_mode_v2' in found else LIST_OLD) == found


@pytest.mark.parametrize('given, text', [
    ({'graph_run_mode': 0}, 'graph_run_mode is set by the training'),
    ({'op_debug_level': '1'}, "op_debug_level is '1'; must be of type int"),
    ({'enable_dump': 1}, 'enable_dump is 1; must be of type bool'),
    ({'enable_dump': True}, 'dump_path is None; must be a folder that exists'),
    ({'enable_dump_debug': True, 'dump_path': '/nowhere'}, "dump_path is '/nowhere'; must be"),
    ({'profiling_options': 'on'}, "profiling_options is 'on'; must be JSON"),
    ({'profiling_options': '{"output": "/nowhere"}'}, "profiling_options is '/nowhere'; must be")])
def test_options_that_would_abort_are_named(npu, given, text):
    with pytest.raises(InputError, match=text):
        session.resolve(platform(npu_options=given))


def test_a_profile_has_the_options_without_which_20_2_aborts(npu, tmp_path, monkeypatch):
    monkeypatch.setenv(PROFILE, str(tmp_path))
    resolved = session.resolve(platform(npu_options={'profiling_mode': True}))
    values = check_config(session.session_config(resolved))
    assert values['profiling_mode'] is True
    assert json.loads(values['profiling_options'])['output'] == str(tmp_path)


def test_diagnostic_options_do_not_make_a_training_another(npu):
    def trained_with(*settings):
        return precision(tiny_config('platform.device=npu', 'platform.deterministic=false',
                                     *['platform.npu_options.' + each for each in settings]))

    assert trained_with('profiling_mode=true', 'enable_dump=true') == trained_with()
    assert trained_with('deterministic=1')['npu_options'] == {'deterministic': 1}


def test_the_text_encoder_stays_on_the_host():
    assert session.on_host(platform()).device == 'cpu'
    assert session.on_host(platform(device='gpu')).device == 'gpu'


def test_contradictions():
    with pytest.raises(ConfigError, match='platform.device: deterministic is a setting of the CPU'):
        tiny_config('platform.device=npu')
    with pytest.raises(ConfigError, match='share the overflow register'):
        tiny_config('platform.device=npu', 'platform.deterministic=false',
                    'stage2.finetune_stage1=true')


class NoChannel:
    rank, size = 0, 2


@both_releases
def test_sums_over_cards_are_fused_by_network(npu, scaled):
    """Gradients of each network apart, sums within a pass not at all, in the adapter's optimiser.
    """
    config = tiny_config('train.ema_decay=null')
    resolved = session.Resolved('npu', 1, 'float16')
    workers = Workers(NoChannel(), Hccl(2))
    with tf.Graph().as_default():
        batch = batch_placeholders(2, 1, config.model)
        build_step(stage1_pairs(batch, config.model, workers=workers), batch, config.train,
                   session.optimizer_wrapper(resolved, 2), workers)
        of_networks = {number: sum(v.shape.num_elements() for v in tf.trainable_variables(scope))
                       for number, scope in ((1, 'stage1/discriminator'), (2, 'stage1/generator'))}
        assert [each.outer._is_distributed for each in scaled] == [True, True]
        calls = list(hccl_calls())
        for number, size in of_networks.items():
            assert sum(count for _, count, fusion, identity in calls
                       if (fusion, identity) == (2, number)) == size
        within = [count for _, count, fusion, identity in calls if (fusion, identity) == (0, -1)]
        assert len(within) > 40 and max(within) < min(of_networks.values()) / 10
        assert {(fusion, identity) for _, _, fusion, identity in calls} == {
            (0, -1), (2, 1), (2, 2)}
        del hccl_calls()[:]
        workers.engine.broadcast(tf.global_variables())
        assert sum(count for _, count, _, _ in hccl_calls()) == sum(
            v.shape.num_elements() for v in tf.global_variables())


def test_hccl_that_cannot_be_imported_is_named(npu, monkeypatch):
    monkeypatch.setitem(sys.modules, 'npu_bridge.hccl.hccl_ops', None)
    with pytest.raises(MissingRequirement, match='several workers, but npu_bridge.hccl.hccl_ops'):
        Hccl(2)


@pytest.mark.oldest
@pytest.mark.parametrize('npu, stage', [(FAKES[0], 2), (FAKES[1], 1)] + [
    (vendor, stage) for vendor in VENDORS for stage in (1, 2)], indirect=['npu'])
def test_the_graphs_of_both_stages_are_built_for_every_release(npu, scaled, stage):
    """Those that no training below builds. Steps update each network, and nothing else is global.
    """
    config = tiny_config('train.ema_decay=null')
    wrapper = session.optimizer_wrapper(session.Resolved('npu', 1, 'float16'))
    with tf.Graph().as_default():
        batch = batch_placeholders(2, stage, config.model)
        pairs = (stage1_pairs(batch, config.model) if stage == 1 else
                 stage2_pairs(batch, config.model, config.stage2))
        build_step(pairs, batch, config.train, wrapper)
        assert [each.network for each in scaled] == [f'stage{stage}/discriminator',
                                                     f'stage{stage}/generator']
        assert not [v for v in tf.global_variables() if 'loss_scale' in v.op.name]
        assert len([v for v in tf.local_variables() if v.op.name.endswith('loss_scale')]) == 2
