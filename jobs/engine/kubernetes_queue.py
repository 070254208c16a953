"""A chain on Kubernetes after it was handed over: submitted, looked at, its logs.

Everything goes through kubectl, with the cluster, namespace and rights that it is set up for. What
was submitted is in runs/<run.name>/kubernetes/submitted.json of the volume on this machine; the
outputs are on the cluster's own volume.
"""

import json
import os
import shutil
import subprocess
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from stackgan.config import Config
from stackgan.errors import InputError, MissingRequirement, StackganError
from stackgan.files import read_json, write_json
from stackgan.printing import show

from .contract import State
from .outputs import run_folder

SUBMITTED = 'submitted.json'
SECONDS = 60                    # for an answer of kubectl
INDEX = 'batch.kubernetes.io/job-completion-index'


class Found(NamedTuple):
    """What the cluster has of the run that was submitted last."""

    name: str                           # of the Job
    job: Dict[str, Any]                 # the Job
    pod: Optional[Dict[str, Any]]       # the newest that runs the chain


def submit(found: Sequence[Dict[str, Any]], config: Config, volume: str) -> str:
    """Hands manifests to kubectl and returns what it prints.

    A Job of the same name that is over is removed first: it would stay as it is, and nothing run.
    """
    from .kubernetes import text_of
    if shutil.which('kubectl') is None:
        raise MissingRequirement('submit: there is no kubectl on PATH; print the manifests with '
                                 '--dry-run and apply them where there is one')
    name = next(each['metadata']['name'] for each in found if each['kind'] == 'Job')
    text = _call(['get', 'job', name, '--ignore-not-found', '--output=json'])
    if text.strip() and _ending(_json(text)):
        _call(['delete', 'job', name])
    printed = _call(['apply', '-f', '-'], text_of(found)).strip()
    folder = _folder(config, volume)
    os.makedirs(folder, exist_ok=True)
    write_json(os.path.join(folder, SUBMITTED), {'job': name})
    return printed


def states(config: Config, volume: str) -> Dict[str, State]:
    """{job: its state on the cluster} of the run that was submitted last.

    {} where none was, without kubectl, and if the cluster does not answer.
    """
    try:
        found = _find(config, volume)
    except StackganError:                # what does not answer hides no other state
        return {}
    if found is None:
        return {}
    ending, place = _ending(found.job), f'Kubernetes job {found.name}'
    by_job = {each['name']: _state(each.get('state') or {}, place) for each in _statuses(found.pod)}
    if ending == 'Failed':
        failed = [name for name, state in by_job.items() if state.word != 'done'][:1]
        return dict({name: State('failed', f'{place}: {_reason(found.job)}') for name in failed},
                    **{name: state for name, state in by_job.items() if state.word == 'done'})
    waits = _pending(found.pod)
    return {name: state._replace(reason=f'{state.reason}: {waits}')
            if waits and state.word == 'queued' else state for name, state in by_job.items()}


def show_log(name: str, config: Config, volume: str, follow: bool) -> bool:
    """Shows what a job prints on the cluster; False if none was submitted. Raises StackganError."""
    found = _find(config, volume)
    if found is None:
        return False
    if found.pod is None or name not in [each['name'] for each in _statuses(found.pod)]:
        raise InputError(f'logs: {name} has not begun in the Kubernetes job {found.name}')
    words = ['logs', found.pod['metadata']['name'], '--container=' + name]
    if follow:
        subprocess.call(['kubectl'] + words + ['--follow'])
    else:
        show(_call(words), end='')
    return True


def _folder(config: Config, volume: str) -> str:
    return os.path.join(volume, run_folder(config, 'kubernetes'))


def _find(config: Config, volume: str) -> Optional[Found]:
    try:
        name = read_json(os.path.join(_folder(config, volume), SUBMITTED))['job']
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(name, str) or name.startswith('-') or shutil.which('kubectl') is None:
        return None
    text = _call(['get', 'job', name, '--ignore-not-found', '--output=json'])
    if not text.strip():                 # deleted, or over for long
        return None
    pods = [each for each in _json(_call(
        ['get', 'pods', '--selector=job-name=' + name, '--output=json'])).get('items') or []
        if each['metadata'].get('labels', {}).get(INDEX, '0') == '0']
    pods.sort(key=lambda each: str(each['metadata'].get('creationTimestamp')))
    return Found(name, _json(text), pods[-1] if pods else None)


def _statuses(pod: Optional[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Of the containers of a pod, in the order of the chain."""
    status = (pod or {}).get('status') or {}
    return list(status.get('initContainerStatuses') or []) + list(
        status.get('containerStatuses') or [])


def _state(state: Dict[str, Any], place: str) -> State:
    """`State` of a container."""
    if 'running' in state:
        return State('running', place)
    over = state.get('terminated')
    if over is None:
        return State('queued', place)
    if over.get('exitCode') == 0:
        from .kubernetes import CLAIM
        return State('done', f'{place}; the output is on the claim {CLAIM}')
    return State('failed', f"{place}, exit code {over.get('exitCode')}")


def _pending(pod: Optional[Dict[str, Any]]) -> str:
    """Why a pod has not begun."""
    for each in ((pod or {}).get('status') or {}).get('conditions') or []:
        if each.get('type') == 'PodScheduled' and each.get('status') == 'False':
            return str(each.get('message') or each.get('reason') or '')[:200]
    return ''


def _conditions(job: Dict[str, Any]) -> List[Dict[str, Any]]:
    return [each for each in (job.get('status') or {}).get('conditions') or []
            if each.get('status') == 'True' and each.get('type') in ('Complete', 'Failed')]


def _ending(job: Dict[str, Any]) -> str:
    """'Complete' or 'Failed'; '' of a Job that is not over."""
    found = _conditions(job)
    return str(found[0]['type']) if found else ''


def _reason(job: Dict[str, Any]) -> str:
    found = _conditions(job)[0]
    return ' '.join(str(found.get(key)) for key in ('reason', 'message') if found.get(key))[:200]


def _json(text: str) -> Dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StackganError('kubectl answers with something that is not JSON')
    return found


def _call(words: Sequence[str], text: Optional[str] = None) -> str:
    """What kubectl prints. Raises StackganError."""
    try:
        done = subprocess.run(['kubectl'] + list(words), input=text or '', stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackganError(f'kubectl does not answer ({error})')
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f'exit code {done.returncode}']
        raise StackganError(f'kubectl refuses: {lines[-1][:300]}')
    return done.stdout
