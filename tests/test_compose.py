"""compose.yaml and its overlays as Compose resolves them, against the contract of the platforms."""

import itertools
import json
import os
import re
import subprocess

import needs
import pytest
from toy import ROOT

from jobs.engine import chain
from jobs.engine.compose import Project, variables
from stackgan.config import load_config

FILES = ['compose.yaml', 'compose.ascend.yaml', 'compose.ascend-runtime.yaml', 'compose.gpu.yaml',
         'compose.workers.yaml']
ON_CARDS = ('train-stage1', 'train-stage2', 'sample', 'score')


def order_of(services, last):
    """Names of the services that `last` waits for, each after its own, and of itself."""
    found = []

    def visit(name):
        for before in sorted(services[name].get('depends_on', {})):
            visit(before)
        if name not in found:
            found.append(name)

    visit(last)
    return found


def resolve(*overlays, **environment):
    command = ['docker', 'compose', '--env-file', os.devnull]       # not that of this checkout
    for name in ('compose.yaml',) + overlays:
        command += ['-f', name]
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(('STACKGAN_', 'COMPOSE_', 'ASCEND_'))}
    done = subprocess.run(command + ['--profile', '*', 'config', '--format', 'json'], cwd=ROOT,
                          env=dict(clean, **environment), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0, done.stderr
    assert 'variable is not set' not in done.stderr
    return json.loads(done.stdout)


def job_services(project):
    return {name: service for name, service in project['services'].items()
            if name in chain.NAMES}


@needs.compose
def test_every_combination_is_valid():
    platforms = {'cpu': [()], 'cpu-tf2': [()], 'gpu': [('compose.gpu.yaml',)],
                 'ascend': [('compose.ascend.yaml',), ('compose.ascend-runtime.yaml',)]}
    for platform, data in itertools.product(platforms, ('data', '/srv/my birds')):
        for overlays in platforms[platform]:
            project = resolve(*overlays, STACKGAN_PLATFORM=platform, STACKGAN_DATA=data)
            kinds = {service['image'] for service in project['services'].values()}
            assert kinds == {f'stackgan/{kind}:{platform}' for kind in (
                'preprocess', 'train', 'score', 'convert', 'serve')}
            for service in job_services(project).values():
                volume = service['volumes'][0]
                assert volume['type'] == ('volume' if data == 'data' else 'bind')
                assert volume['source'] == data and volume['target'] == '/data'


@needs.compose
def test_services_are_the_jobs_each_after_those_whose_outputs_it_needs(tmp_path):
    project = Project({})
    config = load_config(os.path.join(ROOT, 'configs', 'smoke.yaml'), [])
    assert {name for name, service in project.services.items()
            if not service.get('profiles')} == {job.name for job in chain.JOBS}
    others = {'status', 'tensorboard', 'serve', 'serve-pretrained'}
    assert set(resolve()['services']) - others == set(chain.NAMES)
    for name, service in job_services(resolve()).items():
        assert service['entrypoint'][-1] == name
        for condition in service.get('depends_on', {}).values():
            assert condition['condition'] == 'service_completed_successfully'
    for last in chain.NAMES:
        waits_for = order_of(project.services, last)
        derived = [job.name for job in chain.until(last, config, str(tmp_path))]
        assert set(derived) <= set(waits_for) and waits_for[-1] == last
        for name in derived:
            for each in chain.BY_NAME[name].inputs(config, str(tmp_path)):
                if each.made_by:
                    assert waits_for.index(each.made_by) < waits_for.index(name)


@needs.compose
def test_conversion_waits_for_export_alone():
    services = resolve()['services']
    for name in ('convert-om', 'verify-om'):
        assert set(services[name]['depends_on']) == {'export'}
        assert services[name]['profiles'] == ['ascend']


@needs.compose
def test_an_import_waits_for_nothing():
    service = resolve()['services']['import-checkpoint']
    assert 'depends_on' not in service and service['profiles'] == ['import']


@needs.compose
def test_jobs_get_no_more_than_they_need():
    project = resolve()
    for name, service in project['services'].items():
        assert service['cap_drop'] == ['ALL'] and service['read_only'] and service['init']
        assert service['security_opt'] == ['no-new-privileges:true']
        assert service['user'] == '1000:1000' and not service.get('privileged')
        assert service['logging']['options'] == {'max-size': '10m', 'max-file': '3'}
        assert service['restart'] == 'no' and service['pids_limit'] and service['mem_limit']
        volumes = {volume['target']: volume for volume in service['volumes']}
        assert volumes['/configs' if '/configs' in volumes else '/data']['read_only']
        if name in chain.NAMES:
            assert service['network_mode'] == 'none'
            assert service['stop_grace_period'] == '5m0s'
        elif service.get('ports'):
            assert all(volume['read_only'] for volume in volumes.values())
            assert all(port['host_ip'] == '127.0.0.1' for port in service['ports'])


@needs.compose
def test_the_page_is_for_this_machine_and_only_reads():
    service = resolve(STACKGAN_SERVE_PORT='8123')['services']['serve']
    assert service['profiles'] == ['serve'] and 'depends_on' not in service
    assert [(port['host_ip'], port['published'], port['target']) for port in service['ports']] == [
        ('127.0.0.1', '8123', 8080)]
    assert all(volume['read_only'] for volume in service['volumes'])
    assert '/health' in service['healthcheck']['test'][-1]
    assert service['entrypoint'][-2:] == ['serve', '--host=0.0.0.0']


@needs.compose
def test_the_page_of_a_pretrained_model_has_no_volume():
    project = resolve(STACKGAN_PRETRAINED='birds', STACKGAN_SERVE_OPTIONS='--rate 9')
    service, serve = [project['services'][name] for name in ('serve-pretrained', 'serve')]
    assert service['profiles'] == ['pretrained'] and 'depends_on' not in service
    assert [volume['target'] for volume in service['volumes']] == ['/configs']
    assert service['command'] == ['--pretrained=birds', '--rate', '9']
    changed = ('profiles', 'volumes', 'command')
    assert all(service[key] == serve[key] for key in serve if key not in changed)


@needs.compose
def test_the_page_has_its_own_little_memory_and_network():
    project = resolve(STACKGAN_SERVE_ALLOW_HOSTS='birds.example.org')
    service = project['services']['serve']
    assert int(service['mem_limit']) == 2 << 30 and service['pids_limit'] == 512
    assert list(service['networks']) == ['serve'] and 'network_mode' not in service
    assert not [name for name, other in project['services'].items()
                if not name.startswith('serve') and 'serve' in (other.get('networks') or {})]
    network = project['networks']['serve']
    assert not network.get('internal')                 # else its published port is not there
    assert network['driver_opts']['com.docker.network.bridge.enable_ip_masquerade'] == 'false'
    assert service['dns'] == ['127.0.0.1']
    assert service['environment']['STACKGAN_SERVE_ALLOW_HOSTS'] == 'birds.example.org'


@needs.compose
def test_the_ascend_overlay_keeps_the_contract():
    """Device nodes, mounts and variables of CANN 20.2's containers; nothing is overwritten."""
    project = resolve('compose.ascend.yaml', ASCEND_CARD='3')
    for name in ON_CARDS:
        service = project['services'][name]
        nodes = [node['source'] if isinstance(node, dict) else node.split(':')[0]
                 for node in service['devices']]
        assert nodes == ['/dev/davinci3', '/dev/davinci_manager', '/dev/devmm_svm',
                         '/dev/hisi_hdc']
        targets = {volume['target'] for volume in service['volumes']}
        assert {'/data', '/configs', '/usr/local/Ascend/driver', '/usr/local/Ascend/add-ons',
                '/usr/slog', '/var/log/npu'} == targets
        environment = service['environment']
        assert environment['ASCEND_DEVICE_ID'] == '0' and environment['RANK_SIZE'] == '1'
        assert not {'PYTHONPATH', 'LD_LIBRARY_PATH', 'PATH', 'RANK_TABLE_FILE'} & set(environment)
        assert environment['STACKGAN_SET'] == 'platform.device=npu '
        assert environment['STACKGAN_DATA'] == '/data'              # appended to the base's
        assert service['ipc'] == 'host' and service['group_add'] == ['1000']
        assert service['network_mode'] == 'none' and service['cap_drop'] == ['ALL']
        assert any('exec' in entry for entry in service['tmpfs'])
    assert 'devices' not in project['services']['preprocess']


@needs.compose
def test_the_ascend_runtime_overlay_names_the_physical_card():
    service = resolve('compose.ascend-runtime.yaml',
                      ASCEND_CARD='5')['services']['train-stage1']
    assert service['runtime'] == 'ascend'
    assert service['environment']['ASCEND_VISIBLE_DEVICES'] == '5'
    assert service['environment']['ASCEND_DEVICE_ID'] == '0' and 'devices' not in service
    assert service['ipc'] == 'host' and service['group_add'] == ['1000']
    assert {'/usr/slog', '/var/log/npu'} < {volume['target'] for volume in service['volumes']}
    assert any('size=4g' in entry and 'exec' in entry for entry in service['tmpfs'])


@needs.compose
def test_the_gpu_overlay_reserves_one_card():
    service = resolve('compose.gpu.yaml', STACKGAN_GPU='1')['services']['train-stage1']
    devices = service['deploy']['resources']['reservations']['devices']
    assert devices == [{'driver': 'nvidia', 'device_ids': ['1'], 'capabilities': ['gpu']}]
    assert service['healthcheck']['test'][1].endswith('python -m stackgan.platforms.nvidia')


@needs.compose
@pytest.mark.parametrize('overlays', [(), ('compose.gpu.yaml',), ('compose.ascend.yaml',)])
def test_the_workers_overlay_joins_replicas_by_a_network_of_their_own(overlays):
    project = resolve(*overlays, 'compose.workers.yaml', STACKGAN_REPLICAS='4',
                      COMPOSE_PROJECT_NAME='mine')
    plain = resolve(*overlays, COMPOSE_PROJECT_NAME='mine')['services']
    for name, service in project['services'].items():
        if name not in ('train-stage1', 'train-stage2'):
            assert service == plain[name]
            continue
        assert service['deploy']['replicas'] == 4 and list(service['networks']) == ['workers']
        environment = {key: value for key, value in service['environment'].items()
                       if key not in plain[name]['environment']}
        assert environment == {'STACKGAN_WORKER_HOSTS': f'mine-{name}-[1-4]',
                               'STACKGAN_WORKERS_HERE': '4'}
        same = set(plain[name]) - {'network_mode', 'environment', 'deploy'}
        assert {key: service[key] for key in same} == {key: plain[name][key] for key in same}
    assert project['networks']['workers']['internal']


@needs.compose
def test_variables_of_a_run(tmp_path):
    volume = tmp_path / 'with space'
    volume.mkdir()
    found = variables(os.path.join(ROOT, 'configs', 'smoke.yaml'),
                      ['run.name=a b', 'train.batch_size=2'], str(volume))
    service = Project(found).services['train-stage1']
    assert service['environment']['STACKGAN_CONFIG'] == '/configs/smoke.yaml'
    assert service['environment']['STACKGAN_SET'] == "'run.name=a b' train.batch_size=2"
    assert service['volumes'][0]['source'] == str(volume)


def test_every_variable_is_in_the_example_with_its_default():
    """What compose.yaml asks for, .env.example explains."""
    with open(os.path.join(ROOT, '.env.example'), encoding='utf-8') as stream:
        example = dict(re.findall(r'^([A-Z_]+)=(.*)$', stream.read(), re.M))
    asked = {}
    for name in FILES:
        with open(os.path.join(ROOT, name), encoding='utf-8') as stream:
            asked.update(re.findall(r'\$\{([A-Z_]+):-([^}]*)\}', stream.read()))
    asked.pop('COMPOSE_PROJECT_NAME')
    assert {name: example[name] for name in asked} == asked
    assert set(example) - set(asked) == {'COMPOSE_FILE'}


@pytest.mark.parametrize('platform', ['cpu', 'cpu-tf2', 'gpu', 'ascend'])
def test_requirements_are_pinned_and_hashed(platform):
    must = {'preprocess': {'pillow', 'pyyaml'},
            'train': {'pillow', 'pyyaml', 'torchfile', 'tokenizers', 'onnxruntime'},
            'convert': {'onnx', 'onnxruntime'},
            'serve': {'flask', 'waitress', 'onnxruntime', 'tokenizers'}}
    for kind in must:
        path = os.path.join(ROOT, 'docker', 'requirements', f'{kind}-{platform}.txt')
        with open(path) as stream:
            blocks = re.findall(r'^[a-z].*(?:\n[ \t].*)*', stream.read(), re.M)
        assert blocks and all('==' in block and '--hash=sha256:' in block for block in blocks)
        names = {block.split('==')[0] for block in blocks}
        assert must[kind] <= names
        assert bool([n for n in names if n.endswith(('tensorflow', 'tensorflow-cpu'))]) == (
            kind == 'train' and platform != 'ascend')


def test_no_service_names_a_processor():
    """So that a build is for the machine it runs on, ARM or x86."""
    for name in os.listdir(ROOT):
        if name.startswith('compose.') and name.endswith('.yaml'):
            with open(os.path.join(ROOT, name), encoding='utf-8') as stream:
                text = stream.read()
            assert not re.search(r'^\s*platforms?:', text, re.M), name
