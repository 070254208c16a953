"""Chains on Kubernetes: one Job whose pod runs the jobs of the chain one after the other.

Each job of the chain is an init container of the pod, so Kubernetes itself keeps the order and
nothing else has to run in the cluster. The images are those of compose.yaml, the volume is one
claim, the configuration a ConfigMap. A pod that is evicted or interrupted is replaced, and its
jobs resume; one that fails because of the configuration or the input is not tried again.

Where several workers train, the Job is an indexed one with a pod for each. Pod 0 runs the chain;
the others wait for it, train along, and are done when the last training is.
"""

import os
import re
from typing import Any, Dict, List, Sequence

import yaml

from stackgan.config import Config
from stackgan.config.loading import to_yaml
from stackgan.errors import ConfigError, InputError
from stackgan.files import digest_of
from stackgan.platforms import rendezvous

from .compose import ROOT
from .contract import Job
from .submitting import GRACE_SECONDS, resources_of, workers_of

TRIES = 6                       # pods of one Job: each resumes where the one before was stopped
FINAL_EXIT_CODES = [2, 3]       # bad configuration or input, a machine that lacks something
SHM_GIB = 1
KEPT_SECONDS = 3600             # for which a finished Job stays; the logs are on the volume
CLAIM = 'stackgan-data'
ONLY_POD_0 = '[ "$JOB_COMPLETION_INDEX" = 0 ] || exit 0; exec sh /usr/local/bin/stackgan "$@"'


def manifests(jobs: Sequence[Job], config: Config) -> List[Dict[str, Any]]:
    """ConfigMap, claim, network policy and Job that run `jobs` in order; a Service for workers."""
    name, workers = name_of(config), max(workers_of(job, config) for job in jobs)
    labels = {'app.kubernetes.io/name': 'stackgan', 'app.kubernetes.io/instance': name}
    claim: Dict[str, Any] = {
        'accessModes': ['ReadWriteOnce' if workers == 1 else 'ReadWriteMany'],
        'resources': {'requests': {'storage': f'{config.resources.storage_gib}Gi'}}}
    if config.resources.storage_class:
        claim['storageClassName'] = config.resources.storage_class
    spec: Dict[str, Any] = {
        'backoffLimit': TRIES * workers,         # one that fails takes the others with it
        'ttlSecondsAfterFinished': KEPT_SECONDS,
        'podFailurePolicy': {'rules': [
            {'action': 'Ignore',
             'onPodConditions': [{'type': 'DisruptionTarget', 'status': 'True'}]},
            # The empty list is for the schema of 1.28, which requires one in every rule.
            {'action': 'FailJob', 'onPodConditions': [],
             'onExitCodes': {'operator': 'In', 'values': FINAL_EXIT_CODES}}]},
        'template': {'metadata': {'labels': labels}, 'spec': _pod(jobs, config, name)}}
    # A Job cannot be changed, so one that is to do something else has another name.
    job_name = f'{name}-{digest_of([spec, to_yaml(config)])[:8 if workers == 1 else 6]}'
    policy: Dict[str, Any] = {'podSelector': {'matchLabels': labels},
                              'policyTypes': ['Ingress', 'Egress']}
    found = []
    if workers > 1:
        spec.update(completionMode='Indexed', completions=workers, parallelism=workers)
        _join(spec['template']['spec'], jobs, config, name, job_name)
        policy.update(ingress=[{'from': [{'podSelector': {'matchLabels': labels}}]}],
                      egress=[{'to': [{'podSelector': {'matchLabels': labels}}]},
                              {'ports': [{'protocol': kind, 'port': 53} for kind in (
                                  'UDP', 'TCP')]}])
        found = [_manifest('v1', 'Service', name, labels, spec={
            'clusterIP': 'None', 'selector': labels, 'publishNotReadyAddresses': True})]
    return found + [
        _manifest('v1', 'ConfigMap', name, labels, data={'config.yaml': to_yaml(config)}),
        _manifest('v1', 'PersistentVolumeClaim', CLAIM, {'app.kubernetes.io/name': 'stackgan'},
                  spec=claim),
        _manifest('networking.k8s.io/v1', 'NetworkPolicy', name, labels, spec=policy),
        _manifest('batch/v1', 'Job', job_name, labels, spec=spec)]


def _join(pod: Dict[str, Any], jobs: Sequence[Job], config: Config, service: str,
          job_name: str) -> None:
    """Changes a pod into one of several that do the trainings together.

    Each container up to the last training meets its like in the other pods; those after it do
    nothing but in pod 0.
    """
    pod['subdomain'] = service               # pods have names of their own below it
    containers = pod['initContainers'] + pod['containers']
    last = max(i for i, job in enumerate(jobs) if workers_of(job, config) > 1)
    for i, container in enumerate(containers):
        if i > last:
            container['command'] = ['sh', '-c', ONLY_POD_0, 'stackgan']
            continue
        container['env'] = [
            {'name': rendezvous.SIZE, 'value': str(config.platform.workers)},
            {'name': rendezvous.ADDRESS,
             'value': f'{job_name}-0.{service}:{rendezvous.FIRST_PORT}'},
            {'name': rendezvous.PHASE, 'value': str(i + 1)}]


def _manifest(version: str, kind: str, name: str, labels: Dict[str, str],
              **content: Any) -> Dict[str, Any]:
    return dict({'apiVersion': version, 'kind': kind,
                 'metadata': {'name': name, 'labels': labels}}, **content)


def _pod(jobs: Sequence[Job], config: Config, name: str) -> Dict[str, Any]:
    images = _images()
    containers = [_container(job, config, images) for job in jobs]
    user, group = _number('STACKGAN_UID'), _number('STACKGAN_GID')
    return {
        'restartPolicy': 'Never',
        'automountServiceAccountToken': False,
        'enableServiceLinks': False,
        'terminationGracePeriodSeconds': GRACE_SECONDS,
        'securityContext': {'runAsNonRoot': True, 'runAsUser': user, 'runAsGroup': group,
                            'fsGroup': group, 'fsGroupChangePolicy': 'OnRootMismatch',
                            'seccompProfile': {'type': 'RuntimeDefault'}},
        'initContainers': containers[:-1],
        'containers': containers[-1:],
        'volumes': [
            {'name': 'data', 'persistentVolumeClaim': {'claimName': CLAIM}},
            {'name': 'config', 'configMap': {'name': name}},
            {'name': 'tmp', 'emptyDir': {'sizeLimit': '1Gi'}},
            {'name': 'shm', 'emptyDir': {'medium': 'Memory', 'sizeLimit': f'{SHM_GIB}Gi'}}]}


def _number(name: str) -> int:
    """The user or group of the containers, as in compose.yaml."""
    text = os.environ.get(name) or '1000'
    if not text.isdigit() or int(text) == 0:
        raise ConfigError(f'submit: {name} is {text!r}; must be a number above 0')
    return int(text)


def _container(job: Job, config: Config, images: Dict[str, str]) -> Dict[str, Any]:
    wanted = resources_of(job, config)
    amounts: Dict[str, Any] = {'cpu': str(wanted.cores), 'memory': f'{wanted.memory_gib}Gi'}
    if wanted.cards:
        amounts[config.resources.card] = str(wanted.cards)
    return {
        'name': job.name,
        'image': images[job.name],
        'args': [job.name, '--config', '/configs/config.yaml', '--data', '/data'],
        'command': ['sh', '/usr/local/bin/stackgan'],
        'resources': {'requests': amounts, 'limits': amounts},
        'securityContext': {'allowPrivilegeEscalation': False, 'readOnlyRootFilesystem': True,
                            'capabilities': {'drop': ['ALL']}},
        'volumeMounts': [{'name': 'data', 'mountPath': '/data'},
                         {'name': 'config', 'mountPath': '/configs', 'readOnly': True},
                         {'name': 'tmp', 'mountPath': '/tmp'},
                         {'name': 'shm', 'mountPath': '/dev/shm'}]}


def name_of(config: Config) -> str:
    """The name of the run as Kubernetes allows it; one that had to change gets a digest."""
    plain = re.sub(r'[^a-z0-9]+', '-', str(config.run.name).lower())[:36].strip('-')
    same = plain == config.run.name
    return f'stackgan-{plain}' if same else f'stackgan-{plain}-{digest_of(config.run.name)[:6]}'


def _images() -> Dict[str, str]:
    """{job: image} of compose.yaml, its variables filled in from the environment."""
    path = os.path.join(ROOT, 'compose.yaml')
    try:
        with open(path, encoding='utf-8') as stream:
            services = yaml.safe_load(stream)['services']
    except OSError as error:
        raise InputError(f'submit: {path} cannot be read ({error.strerror}); run it in a checkout '
                         f'of the repository')
    return {name: re.sub(r'\$\{(\w+):-([^}]*)\}',
                         lambda found: os.environ.get(found.group(1)) or found.group(2),
                         service['image']) for name, service in services.items()}


def text_of(found: Sequence[Dict[str, Any]]) -> str:
    """Manifests as one YAML stream."""
    return yaml.dump_all(found, Dumper=_Dumper, sort_keys=False, default_flow_style=False)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and the same labels wherever they are."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar(
    'tag:yaml.org,2002:str', text, '|' if '\n' in text else None))


def check(config: Config, restart: Sequence[str]) -> None:
    """Raises ConfigError for what a pod could not do."""
    if restart:
        raise ConfigError('submit: --restart is not for Kubernetes, where a replaced pod would '
                          'start anew once more; remove the output with `clean`, or choose another '
                          'run.name')
    if config.data.raw and not config.data.raw.startswith('/data/') and config.data.raw[0] == '/':
        raise ConfigError(f'submit: data.raw is {config.data.raw}, which the pod does not see; '
                          f'put the dataset on the claim and give its path below /data')
