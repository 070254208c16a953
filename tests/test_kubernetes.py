"""The manifests of a chain on Kubernetes, as a kubectl would get them; there is no cluster here."""

import os
import stat
import subprocess

import pytest
import yaml
from needs import ROOT
from toy import tiny_config

from jobs.engine import kubernetes
from jobs.engine.chain import until
from jobs.engine.command_line import main
from stackgan.config import load_config
from stackgan.config.loading import to_dict
from stackgan.errors import ConfigError
from stackgan.platforms.rendezvous import Place, from_environment

CARDS = ['resources.training.cards=2', 'resources.card=huawei.com/Ascend910',
         'resources.other.memory_gib=3']


def manifests(tmp_path, *settings):
    """{kind: manifest}, as read back from the text that kubectl gets."""
    config = tiny_config(*settings)
    found = kubernetes.manifests(until('train-stage1', config, str(tmp_path)), config)
    return {each['kind']: each for each in yaml.safe_load_all(kubernetes.text_of(found))}


def pod_of(found):
    return found['Job']['spec']['template']['spec']


def test_the_jobs_run_in_the_order_of_the_chain_with_the_images_of_compose(tmp_path, monkeypatch):
    monkeypatch.setenv('STACKGAN_IMAGE', 'registry.example/birds')
    monkeypatch.delenv('STACKGAN_PLATFORM', raising=False)
    pod = pod_of(manifests(tmp_path))
    names = [job.name for job in until('train-stage1', tiny_config(), str(tmp_path))]
    assert [each['name'] for each in pod['initContainers'] + pod['containers']] == names
    assert [each['name'] for each in pod['containers']] == ['train-stage1']
    images = {each['name']: each['image'] for each in pod['initContainers'] + pod['containers']}
    assert images['preprocess'] == 'registry.example/birds/preprocess:cpu'
    assert images['train-stage1'] == 'registry.example/birds/train:cpu'


def test_a_pod_may_do_no_more_than_a_service_of_compose(tmp_path):
    with open(os.path.join(ROOT, 'compose.yaml')) as stream:
        service = yaml.safe_load(stream)['x-service']
    found = manifests(tmp_path)
    pod, policy = pod_of(found), found['NetworkPolicy']['spec']
    assert pod['securityContext']['runAsNonRoot'] and not pod['automountServiceAccountToken']
    for each in pod['initContainers'] + pod['containers']:
        assert each['securityContext'] == {
            'allowPrivilegeEscalation': False, 'readOnlyRootFilesystem': service['read_only'],
            'capabilities': {'drop': service['cap_drop']}}
    assert policy['policyTypes'] == ['Ingress', 'Egress'] and set(policy) == {
        'podSelector', 'policyTypes'}                        # nothing is allowed
    assert policy['podSelector']['matchLabels'].items() <= \
        found['Job']['spec']['template']['metadata']['labels'].items()


def test_resources_are_those_of_the_configuration(tmp_path):
    pod = pod_of(manifests(tmp_path, *CARDS))
    limits = {each['name']: each['resources']['limits']
              for each in pod['initContainers'] + pod['containers']}
    assert limits['train-stage1']['huawei.com/Ascend910'] == '2'
    assert limits['preprocess'] == {'cpu': '4', 'memory': '3Gi'}


def test_what_cannot_get_better_is_not_tried_again(tmp_path):
    rules = manifests(tmp_path)['Job']['spec']['podFailurePolicy']['rules']
    assert [rule['onExitCodes']['values'] for rule in rules
            if rule['action'] == 'FailJob'] == [[2, 3]]


def test_the_pod_reads_the_same_configuration(tmp_path):
    text = manifests(tmp_path, 'train.batch_size=7')['ConfigMap']['data']['config.yaml']
    path = tmp_path / 'config.yaml'
    path.write_text(text)
    assert to_dict(load_config(str(path))) == to_dict(tiny_config('train.batch_size=7'))


@pytest.mark.parametrize('name', ['birds', 'My_Birds.v2', 'x' * 64, 'a' + '-' * 60])
def test_names_are_such_as_kubernetes_allows(tmp_path, name):
    for each in manifests(tmp_path, f'run.name={name}', *WORKERS).values():
        found = each['metadata']['name']
        assert len(found) <= 63 and found.replace('-', '').isalnum() and found == found.lower()
        assert found[0].isalnum() and found[-1].isalnum()
    assert kubernetes.name_of(tiny_config('run.name=a_b')) != kubernetes.name_of(
        tiny_config('run.name=a-b'))


WORKERS = ['platform.workers=4', 'stage1.batch_size=4', 'stage2.batch_size=4']


def test_several_workers_are_pods_that_meet_at_pod_0(tmp_path):
    config = tiny_config(*WORKERS)
    jobs = until('export', config, str(tmp_path))
    found = {each['kind']: each for each in yaml.safe_load_all(
        kubernetes.text_of(kubernetes.manifests(jobs, config)))}
    job, service, policy = found['Job'], found['Service'], found['NetworkPolicy']['spec']
    assert (job['spec']['completionMode'], job['spec']['completions'],
            job['spec']['parallelism']) == ('Indexed', 4, 4)
    # Pod 0 is to be found before it is ready, which it is not while its init containers run.
    labels = job['spec']['template']['metadata']['labels']
    assert service['spec'] == {'clusterIP': 'None', 'selector': labels,
                               'publishNotReadyAddresses': True}
    pod = pod_of(found)
    assert pod['subdomain'] == service['metadata']['name']
    containers = pod['initContainers'] + pod['containers']
    assert [each['name'] for each in containers] == [each.name for each in jobs]
    places = [from_environment(dict({each['name']: each['value'] for each in container['env']},
                                    JOB_COMPLETION_INDEX='3')) for container in containers[:-1]]
    host = f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert len(host.split('.')[0]) <= 63
    assert places == [Place(3, 4, host, 20000, phase=i) for i in range(1, len(containers))]
    # `export` is for pod 0 alone.
    command = containers[-1]['command'] + containers[-1]['args']
    for index, code in (('0', 127), ('1', 0)):               # where there is no such file to run
        assert subprocess.run(command, env={'JOB_COMPLETION_INDEX': index},
                              stderr=subprocess.DEVNULL).returncode in (code, code and 2)
    assert found['PersistentVolumeClaim']['spec']['accessModes'] == ['ReadWriteMany']
    assert policy['ingress'] == [{'from': [{'podSelector': {'matchLabels': labels}}]}]
    assert [each.get('ports', each.get('to')) for each in policy['egress']] == [
        [{'podSelector': {'matchLabels': labels}}],
        [{'protocol': 'UDP', 'port': 53}, {'protocol': 'TCP', 'port': 53}]]


def test_one_pod_starts_a_worker_for_each_of_its_cards(tmp_path):
    found = manifests(tmp_path, 'platform.workers=auto', *CARDS)
    assert 'completionMode' not in found['Job']['spec'] and 'Service' not in found


def test_another_chain_is_another_job(tmp_path):
    names = [manifests(tmp_path, *settings)['Job']['metadata']['name']
             for settings in ([], [], ['train.batch_size=7'])]
    assert names[0] == names[1] != names[2]


def test_what_a_pod_could_not_do_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match='--restart is not for Kubernetes'):
        kubernetes.check(tiny_config(), ['train-stage1'])
    with pytest.raises(ConfigError, match='which the pod does not see'):
        kubernetes.check(tiny_config('make_dataset=null', 'data.raw=/srv/birds'), [])
    kubernetes.check(tiny_config('make_dataset=null', 'data.raw=/data/raw/birds'), [])
    monkeypatch.setenv('STACKGAN_UID', '0')
    with pytest.raises(ConfigError, match="STACKGAN_UID is '0'; must be a number above 0"):
        manifests(tmp_path)


@pytest.mark.parametrize('code, told', [(0, 'job.batch/x created\nall done'),
                                        (1, 'kubectl refuses: no cluster')])
def test_a_fake_kubectl_gets_the_manifests(tmp_path, monkeypatch, capsys, code, told):
    program = tmp_path / 'kubectl'
    program.write_text(f'#!/bin/sh\n[ $1 = get ] && exit\ncat > {tmp_path}/got\n'
                       f'echo job.batch/x created\necho all done\necho no cluster >&2\n'
                       f'exit {code}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    assert main(['submit', '--on', 'kubernetes', '--config', 'smoke',
                 '--data', str(tmp_path / 'volume')]) == code
    shown = capsys.readouterr()
    assert told in shown.out + shown.err
    kinds = [each['kind'] for each in yaml.safe_load_all((tmp_path / 'got').read_text())]
    assert kinds == ['ConfigMap', 'PersistentVolumeClaim', 'NetworkPolicy', 'Job']
