"""Conversion and its verification against fakes of ATC and msame: commands, errors, resume."""

import glob
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from export_toy import finished_stage, install_fake, run
from logged import logged
from toy import ROOT, tiny_config

from jobs import convert_om, verify_om
from jobs import export as export_job
from jobs.engine import chain
from jobs.engine.command_line import main
from jobs.engine.contract import read_manifest, state_of
from stackgan.errors import InputError
from stackgan.export.atc import arguments, candidates, environment_for, explain, find_atc
from stackgan.export.atc_options import check_options

SETTINGS = ('export.batch_sizes=[1, 2]', 'export.onnx=false')


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A volume with a finished export."""
    volume = tmp_path_factory.mktemp('volume')
    finished_stage(volume, 2)
    assert run(export_job.JOB, volume, tiny_config(*SETTINGS)) == 0
    return volume


@pytest.fixture
def volume(finished, tmp_path, monkeypatch):
    """A copy of it to work in, on a machine without Ascend tools."""
    monkeypatch.setenv('PATH', '/usr/bin:/bin')
    for name in ('NNAE', 'FAKE_ATC', 'FAKE_MSAME'):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(str(finished), str(tmp_path / 'volume'))
    return tmp_path / 'volume'


@pytest.fixture
def tools(volume, tmp_path, monkeypatch):
    """The volume on a machine where the fakes of ATC and msame are on PATH."""
    for name in ('atc', 'msame'):
        install_fake(tmp_path / 'bin', name)
    monkeypatch.setenv('PATH', '%s:/usr/bin:/bin' % (tmp_path / 'bin'))
    return volume


def folder_of(volume, name):
    return os.path.join(str(volume), 'runs', tiny_config().run.name, name)


def convert(volume, *overrides, **options):
    return run(convert_om.JOB, volume, tiny_config(*(SETTINGS + overrides)), **options)


def verify(volume, **options):
    return run(verify_om.JOB, volume, tiny_config(*SETTINGS), **options)


def read(*parts):
    with open(os.path.join(*parts)) as stream:
        return json.load(stream)


# Conversion.

def test_conversion(tools, capsys):
    assert convert(tools) == 0
    folder = folder_of(tools, 'om')
    names = ['stackgan-stage2-b1', 'stackgan-stage2-b2']
    manifest = read_manifest(folder)
    assert {name + end for name in names for end in ('.om', '.atc.log')} <= set(manifest['files'])
    record = read(folder, 'convert.json')
    assert record['soc_version'] == 'Ascend310'
    model = read(folder, 'stackgan-stage2-b2.om')                  # what the fake was asked
    assert model == {'inputs': [['embedding', [2, 16]], ['z', [2, 6]], ['noise1', [2, 8]],
                                ['noise2', [2, 8]]],
                     'outputs': ['stage1/generator/images', 'stage2/generator/images']}
    assert 'ATC run success' in open(os.path.join(folder, names[0] + '.atc.log')).read()
    assert sorted(os.listdir(folder)) == sorted(
        ['config.yaml', 'convert.json', 'log.txt', 'manifest.json']
        + [name + end for name in names for end in ('.om', '.atc.log')])    # no kernel_meta
    capsys.readouterr()
    assert convert(tools) == 0
    assert 'up to date' in capsys.readouterr().out
    assert convert(tools, 'export.soc_version=Ascend910') == 0
    assert read(folder, 'convert.json')['soc_version'] == 'Ascend910'


def test_without_atc(volume, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('NNAE', str(tmp_path / 'nnae'))
    assert convert(volume) == 3
    line, = capsys.readouterr().err.splitlines()
    for text in ('no ATC on this machine: looked on PATH and at %s/fwkacllib/bin/atc' %
                 (tmp_path / 'nnae'), '/usr/local/Ascend/ascend-toolkit/latest/atc/bin/atc',
                 'the frozen graph passed the check', 'on an Ascend host run: cd ',
                 'atc --framework=3 --model=stackgan-stage2-b1.pb',
                 '&& atc --framework=3 --model=stackgan-stage2-b2.pb'):
        assert text in line
    assert not os.path.exists(folder_of(volume, 'om'))


def test_the_printed_command_is_one_that_atc_takes(tools, volume, capsys):
    """What export.json says, given to a shell, converts."""
    folder = folder_of(volume, 'export')
    for entry in read(folder, 'export.json')['models']:
        subprocess.check_call(entry['atc']['command'], shell=True, cwd=folder)
        assert os.path.exists(os.path.join(folder, 'stackgan-stage2-b%d.om' % entry['batch_size']))


def test_the_command_of_the_port_is_refused(tools):
    """`Placeholder:1,64,1024` for a placeholder of rank 2: ATC compares ranks."""
    folder = folder_of(tools, 'export')
    entry = read(folder, 'export.json')['models'][0]
    entry['inputs'][0]['shape'] = [1, 64, 1024]
    words = arguments(entry, os.path.join(folder, 'stackgan-stage2-b1.pb'), 'out',
                      tiny_config().export)
    done = subprocess.run(['atc'] + words, stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 1 and 'E10001' in done.stdout and 'rank 3' in done.stdout


@pytest.mark.parametrize('failure, text', [
    ('E10001', 'ATC ended with exit code 1: E10001, a value in the command or a shape'),
    ('E10016', 'E10016, the command names a node that is not in the graph'),
    ('E12011', 'E12011, this ATC has no converter for an operation'),
    ('E99999', r'E99999 ("[ERROR] GE(1,atc.bin):E99999: as the test wants it"); its log is '),
    ('silent', 'ATC ended with exit code 0 but wrote no stackgan-stage2-b1.om')])
def test_failures_of_atc_are_sentences(tools, capsys, monkeypatch, failure, text):
    monkeypatch.setenv('FAKE_ATC', failure)
    assert convert(tools) == 1
    line, = capsys.readouterr().err.splitlines()
    assert text in line
    log = line.split('its log is ')[1]
    assert 'ATC' in open(log).read()
    monkeypatch.delenv('FAKE_ATC')
    assert convert(tools) == 0                                     # run the same command to resume


def test_an_old_om_is_not_taken_for_a_new_one(tools, capsys, monkeypatch):
    """A leftover of an interrupted conversion does not hide that ATC wrote nothing."""
    partial = folder_of(tools, 'om') + '.partial'
    monkeypatch.setenv('FAKE_ATC', 'E10001')
    assert convert(tools) == 1
    with open(os.path.join(partial, 'stackgan-stage2-b1.om'), 'w') as stream:
        stream.write('half')
    monkeypatch.setenv('FAKE_ATC', 'silent')
    assert convert(tools) == 1
    assert 'wrote no stackgan-stage2-b1.om' in capsys.readouterr().err


def test_what_was_converted_before_an_interruption_is_kept(tools, monkeypatch, tmp_path):
    """ATC that works once, then fails: the second run converts the second model only."""
    once = tmp_path / 'bin' / 'atc'
    real = once.read_text()
    once.write_text(real.replace('exec', 'if [ -e "{}" ]; then FAKE_ATC=E10001; export FAKE_ATC; fi'
                                 '\ntouch "{}"\nexec'.format(tmp_path / 'flag', tmp_path / 'flag')))
    assert convert(tools) == 1
    first = os.path.join(folder_of(tools, 'om') + '.partial', 'stackgan-stage2-b1.om')
    before = os.stat(first).st_mtime_ns
    once.write_text(real)
    assert convert(tools) == 0
    assert os.stat(os.path.join(folder_of(tools, 'om'),
                                'stackgan-stage2-b1.om')).st_mtime_ns == before


def test_a_graph_that_does_not_pass_the_check_is_not_converted(tools, capsys):
    """The check is always run before: ATC is not asked."""
    path = os.path.join(folder_of(tools, 'export'), 'stackgan-stage2-b1.pb')
    size = os.path.getsize(path)
    with open(path, 'wb') as stream:
        stream.write(b'\0' * size)                                  # so that the manifest fits
    assert convert(tools) == 2
    assert 'stackgan-stage2-b1.pb: not a frozen TensorFlow graph' in capsys.readouterr().err


def test_a_missing_switch_file_is_named(tools, capsys, tmp_path):
    assert convert(tools, 'export.fusion_switch_file=nowhere.cfg') == 2
    assert 'export.fusion_switch_file: nowhere.cfg: no such file' in capsys.readouterr().err
    (tmp_path / 'switch.cfg').write_text('{}')
    assert convert(tools, 'export.fusion_switch_file=%s' % (tmp_path / 'switch.cfg')) == 0
    command = read(folder_of(tools, 'om'), 'convert.json')['models']['stackgan-stage2-b1.om']
    assert '--fusion_switch_file=%s' % (tmp_path / 'switch.cfg') in command['command']


def test_dry_run_prints_the_command(volume, tmp_path, capsys):
    options = ['--config', os.path.join(ROOT, 'configs', 'painted-birds.yaml'), '--dry-run']
    assert main(['convert-om', '--data', str(volume)] + options) == 0
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in lines if line.startswith('atc --framework=3 --model=/')]
    assert len(commands) == 2 and "noise2:2,8'" in commands[1]
    assert main(['convert-om', '--data', str(tmp_path / 'empty')] + options) == 0
    assert 'the commands are known once export is done' in capsys.readouterr().out


def test_order_of_the_search(tmp_path, monkeypatch):
    root = str(tmp_path / 'Ascend')
    environ = {'PATH': str(tmp_path / 'bin')}
    assert find_atc(environ, root) is None
    for path in reversed(candidates(environ, root)):
        expected = install_fake(os.path.dirname(path), 'atc')
        assert find_atc(environ, root) == expected == path
    named = install_fake(tmp_path / 'mine' / 'fwkacllib' / 'bin', 'atc')
    assert find_atc(dict(environ, NNAE=str(tmp_path / 'mine')), root) == named
    on_path = install_fake(tmp_path / 'bin', 'atc')
    assert find_atc(environ, root) == on_path


def test_a_toolkit_that_is_not_set_up_gets_its_environment(tmp_path):
    install = str(tmp_path / 'latest')
    found = environment_for(install + '/atc/bin/atc', {'PATH': '/bin', 'PYTHONPATH': '/mine'})
    assert found['PATH'] == f'{install}/atc/ccec_compiler/bin:{install}/atc/bin:/bin'
    assert found['PYTHONPATH'] == install + '/atc/python/site-packages:/mine'
    assert found['LD_LIBRARY_PATH'] == f'{install}/atc/lib64:{install}/acllib/lib64'
    assert found['ASCEND_OPP_PATH'] == install + '/opp'
    assert environment_for('/usr/bin/atc', {'PATH': '/bin'}) == {'PATH': '/bin'}


def test_a_toolkit_of_today_gets_its_environment(tmp_path):
    """bin/, lib64/ and opp/ side by side, since CANN 5.1."""
    install = str(tmp_path / 'cann-8.5.0')
    os.makedirs(install + '/opp')
    found = environment_for(install + '/bin/atc', {'PATH': '/bin'})
    assert found == {
        'PATH': f'{install}/tools/ccec_compiler/bin:{install}/bin:/bin',
        'PYTHONPATH': install + '/python/site-packages', 'LD_LIBRARY_PATH': install + '/lib64',
        'ASCEND_OPP_PATH': install + '/opp', 'ASCEND_HOME_PATH': install}


def test_options_are_handed_to_atc():
    entry = {'inputs': [{'name': 'z', 'shape': [1, 2]}], 'outputs': [{'name': 'images'}]}

    def words(options):
        settings = tiny_config(f'export.atc_options={options}').export
        with logged() as said:
            check_options(settings.atc_options)
        return arguments(entry, 'm.pb', 'm', settings), said

    found, said = words('{precision_mode: allow_mix_precision, log: debug}')
    assert found[-2:] == ['--precision_mode=allow_mix_precision', '--log=debug']
    assert '--log=error' not in found and not said
    found, said = words('{deterministic: 1, keep_tpye: x, enable_single_stream: true}')
    assert found[-3:] == ['--deterministic=1', '--keep_tpye=x', '--enable_single_stream=true']
    assert ['CANN 9, which' in line or 'keep_tpye is not among' in line for line in said] == \
        [True, True]
    with pytest.raises(InputError, match='atc_options: model is set by the conversion'):
        words('{model: other.pb}')


@pytest.mark.parametrize('line, text', [
    ('[ERROR] GE(7,atc): EZ3003: No supported Ops kernel', 'EZ3003, no engine of this chip'),
    ('EZ9999: Inner Error!', 'EZ9999, an operation failed inside CANN'),
    ('E10001: Value [1]', 'E10001, a value')])
def test_codes_of_every_release_are_explained(tmp_path, line, text):
    log = tmp_path / 'log'
    log.write_text('ATC start\n' + line + '\nthe end\n')
    assert explain(str(log)).startswith(text)


def test_a_log_without_a_code(tmp_path):
    log = tmp_path / 'log'
    log.write_text('start\n\nSegmentation fault\n')
    assert explain(str(log)) == 'it said "Segmentation fault"'
    log.write_text('')
    assert explain(str(log)) == 'it said nothing'


# The chain.

def test_conversion_is_part_of_the_chain_on_request_only(tmp_path):
    def until(name):
        return [job.name for job in chain.until(name, tiny_config(), str(tmp_path))]

    assert 'export' in until(None) and 'convert-om' not in until(None)
    assert until('convert-om')[-2:] == ['export', 'convert-om']
    assert 'score' not in until('convert-om') and until('verify-om')[-2:] == ['export', 'verify-om']


# Verification.

def test_verification(tools, capsys):
    assert convert(tools) == 0 and verify(tools) == 0
    folder = folder_of(tools, 'om-check')
    verdict = read(folder, 'verify.json')
    assert verdict['loops'] == 3 and set(verdict['models']) == {'stackgan-stage2-b1',
                                                                'stackgan-stage2-b2'}
    facts = verdict['models']['stackgan-stage2-b2']
    assert facts['passed'] and facts['milliseconds_a_run'] == 6.5
    for each in facts['outputs'].values():
        assert 0 < each['largest_difference'] < 1e-3               # float16 of numbers up to 1
    inputs = np.fromfile(os.path.join(folder, 'inputs', 'stackgan-stage2-b2', 'embedding.bin'),
                         '<f4')
    assert inputs.size == 2 * 16 and 0.5 < inputs.std() < 1.5
    assert '6.50 ms per run' in capsys.readouterr().out
    assert verify(tools) == 0
    assert 'up to date' in capsys.readouterr().out


@pytest.mark.parametrize('failure, text', [
    ('missing', 'holds 1 outputs, expected 2'),
    ('short', r'output 0 has 49148 bytes, expected 49152 ([1, 64, 64, 3] float32)'),
    ('far', 'farther from the frozen graph than float16 explains; see '),
    ('crash', 'msame ended with exit code 1 and left 0 outputs, expected 2; its log is ')])
def test_failures_of_msame_are_named(tools, capsys, monkeypatch, failure, text):
    assert convert(tools) == 0
    monkeypatch.setenv('FAKE_MSAME', failure)
    assert verify(tools) == 1
    assert text in capsys.readouterr().err


# A checkout of the vendor's (Ascend/tools, ais-bench_workload/tool/ais_bench), which needs tqdm.
VENDORS = [each for each in [os.environ.get('STACKGAN_AIS_BENCH')] if each]


@pytest.fixture(params=['fake'] + VENDORS)
def ais_bench(request, monkeypatch):
    """Puts ais_bench on the path of this Python and of those it starts: the fake, and the vendor's
    Python code over a fake of its native module where STACKGAN_AIS_BENCH names it."""
    fakes = os.path.join(ROOT, 'tests', 'fakes')
    folders = ([os.path.join(fakes, 'ais')] if request.param == 'fake' else
               [request.param, os.path.join(fakes, 'ais_library')])
    for folder in folders:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(folders))


def test_ais_bench_is_taken_before_msame(tools, ais_bench, capsys):
    assert convert(tools) == 0 and verify(tools) == 0
    verdict = read(folder_of(tools, 'om-check'), 'verify.json')
    assert verdict['npu'] == {'chip': None, 'npu_smi': []}          # no npu-smi here
    for facts in verdict['models'].values():
        assert (facts['tool'], facts['milliseconds_a_run']) == ('ais_bench', 2.5)
        assert facts['passed'] and len(facts['outputs']) == 2
    assert '2.50 ms per run' in capsys.readouterr().out


def test_a_failure_of_ais_bench_is_named(tools, ais_bench, capsys, monkeypatch):
    assert convert(tools) == 0
    monkeypatch.setenv('FAKE_AIS_BENCH', 'crash')
    assert verify(tools) == 1
    assert 'ais_bench ended with exit code 1 and left 0 outputs' in capsys.readouterr().err


def test_results_by_the_names_of_ais_bench_are_read_with_the_chip(volume, tmp_path):
    """What the host of the NPU says of itself is in the record of the results it made."""
    results = tmp_path / 'results'
    assert verify(volume) == 0
    folder = folder_of(volume, 'om-check')
    for name in ('stackgan-stage2-b1', 'stackgan-stage2-b2'):
        time = results / name / '2023_01_03-06_35_53'
        time.mkdir(parents=True)
        for number in (0, 1):
            shutil.copy(os.path.join(folder, 'expected', name, f'{number}.bin'),
                        str(time / f'embedding_{number}.bin'))
    (results / 'npu-smi.txt').write_text('| 0     910B3 | OK |\n')
    assert verify(volume, results=str(results)) == 0
    verdict = read(folder, 'verify.json')
    assert verdict['npu']['npu_smi'] == ['| 0     910B3 | OK |']
    assert all(facts['passed'] for facts in verdict['models'].values())


def test_without_msame_all_is_prepared_for_elsewhere(volume, tmp_path, capsys, monkeypatch):
    """No ATC and no msame here; the script does both where they are, and its results count."""
    assert verify(volume) == 0
    said = capsys.readouterr().out
    assert 'prepared, not run: neither ais_bench nor msame here' in said
    assert '.partial' not in said                     # as the folder is called no longer
    folder = folder_of(volume, 'om-check')
    assert read(folder, 'verify.json')['models'] == {}
    elsewhere = str(tmp_path / 'elsewhere')
    shutil.copytree(folder, elsewhere)
    for name in ('atc', 'msame'):
        install_fake(tmp_path / 'bin', name)
    environment = dict(os.environ, PATH='%s:/usr/bin:/bin' % (tmp_path / 'bin'))
    subprocess.check_call([os.path.join(elsewhere, 'run-on-ascend.sh')], env=environment)
    assert len(glob.glob(elsewhere + '/results/*/*/*_output_*.bin')) == 4
    assert verify(volume, results=os.path.join(elsewhere, 'results')) == 0
    assert set(read(folder, 'verify.json')['models']) == {'stackgan-stage2-b1',
                                                          'stackgan-stage2-b2'}


def test_msame_needs_a_converted_model(tools, capsys):
    assert verify(tools) == 2
    assert 'om is not there yet; run convert-om first' in capsys.readouterr().err


def test_a_model_of_another_export_is_refused(tools, capsys):
    assert convert(tools) == 0
    path = os.path.join(folder_of(tools, 'om'), 'convert.json')
    text = open(path).read()
    record = json.loads(text)
    digest = record['models']['stackgan-stage2-b1.om']['frozen_sha256']
    with open(path, 'w') as stream:
        stream.write(text.replace(digest, 64 * '0'))
    assert verify(tools) == 2
    assert 'was not made from the current stackgan-stage2-b1.pb' in capsys.readouterr().err


@pytest.mark.parametrize('options, text', [
    ({'loops': 0}, '--loops 0: must be from 1 to 100'),
    ({'loops': 101}, '--loops 101: must be from 1 to 100'),
    ({'device': -1}, '--device -1: must be from 0 to 255'),
    ({'results': 'nowhere'}, '--results nowhere: no such folder'),
    ({'msame': '/nowhere/msame'}, '--msame /nowhere/msame: not an executable file')])
def test_bad_options(tools, capsys, options, text):
    assert verify(tools, **options) == 2
    assert text in capsys.readouterr().err


def test_states_are_asked_without_tensorflow(finished, tmp_path):
    """`status` knows the jobs on request too."""
    (tmp_path / 'tensorflow.py').write_text('raise SystemExit("tensorflow was imported")')
    done = subprocess.run([sys.executable, '-m', 'jobs', 'status', '--data', str(finished)],
                          cwd=ROOT, stdout=subprocess.PIPE, universal_newlines=True,
                          env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[2:]}
    assert rows['convert-om'] == rows['verify-om'] == 'missing'
    assert state_of(convert_om.JOB, tiny_config(*SETTINGS), str(finished)).word == 'missing'
