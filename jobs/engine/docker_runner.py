"""Runs the chain in containers: the services of compose.yaml, by the Docker SDK."""

import codecs
import os
import shutil
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Type

from stackgan.config import Config
from stackgan.errors import ConfigError, Interrupted, MissingRequirement, StackganError
from stackgan.printing import echo, echo_error, relay
from stackgan.progress import duration

from . import chain
from .compose import Project
from .contract import Job, folder_of
from .replacing import check_chain
from .signals import handled

ENGINE_SECONDS = 60           # how long the engine may take to answer
REGISTRY_SECONDS = 15         # how long a registry may take to answer
IN_CONTAINERS = '/data'       # where compose.yaml mounts the volume
MIN_FREE_BYTES = 1 << 30      # a checkpoint of the paper's dimensions is 0.9 GB


def connect() -> Any:
    """A client of the Docker engine. Raises MissingRequirement if it does not answer."""
    try:
        # Not `import docker`, which would find the checkout's folder of that name, as mypy does.
        from docker import DockerClient  # type: ignore[attr-defined]
        client = DockerClient.from_env(timeout=ENGINE_SECONDS)
        client.ping()
    except ImportError:
        raise MissingRequirement("the Docker SDK is not installed: pip install '.[docker]', or "
                                 'run with --on local')
    except Exception as error:               # of the SDK, or of requests
        raise MissingRequirement(f'no Docker engine answers ({_short(error)}); start it, or run '
                                 'with --on local')
    return client


def can_have_images(client: Any, project: Project, services: Sequence[str]) -> Optional[str]:
    """None if the images are there or can be built, else the reason."""
    if not missing_images(client, project, services):
        return None
    for base in project.base_images():
        if _find_image(client, base):
            continue
        try:
            client.api.timeout = REGISTRY_SECONDS
            client.images.get_registry_data(base)
        except Exception as error:
            return f'the base image {base} is not here and cannot be pulled ({_short(error)})'
        finally:
            client.api.timeout = ENGINE_SECONDS
    return None


def missing_images(client: Any, project: Project, services: Sequence[str]) -> List[str]:
    """Names of the images of services that do not exist here."""
    return sorted({image for image in (project.services[name]['image'] for name in services)
                   if not _find_image(client, image)})


def _find_image(client: Any, name: str) -> Any:
    from docker.errors import ImageNotFound
    try:
        return client.images.get(name)
    except ImageNotFound:
        return None


def run_chain(
        config: Config,
        volume: str,                    # absolute path of the data volume
        last: Optional[str],            # the job to run, after all that it needs; None: all jobs
        environment: Dict[str, str],    # variables of compose.yaml
        restart: Sequence[str] = (),    # jobs that may replace a finished training
) -> int:
    """As `chain.run_chain`, but in containers, which are removed. Raises StackganError."""
    jobs = chain.until(last, config, volume)
    anew = check_chain(jobs, config, volume, restart)
    client, project = connect(), Project(dict(environment, STACKGAN_RESTART=' '.join(anew)))
    try:
        with handled():
            check(client, project, jobs, config, volume)
            return chain.run_jobs(jobs, config, volume,
                                  lambda job: run_service(client, project, job.name),
                                  lambda job: _log_of(job, config, volume))
    except Interrupted:
        return Interrupted.exit_code


def check(client: Any, project: Project, jobs: Sequence[Job], config: Config, volume: str) -> None:
    """Checks what a chain needs: free space, permissions, devices and images, and builds images.

    Raises StackganError for what is missing.
    """
    hidden = out_of_sight(jobs, config, volume)
    if hidden:
        raise ConfigError(f'{hidden}, where containers do not see it; put it below {volume} and '
                          'give its path from there, or run with --on local')
    services = [job.name for job in jobs]
    make_volume(project, services[0], volume)
    free = shutil.disk_usage(volume).free
    if free < MIN_FREE_BYTES:
        raise ConfigError(f'only {free >> 20} MiB are free in {volume}; a chain needs '
                          f'{MIN_FREE_BYTES >> 20}; make room, or pass another volume with --data')
    nodes = {device['source'] if isinstance(device, dict) else device.split(':')[0]
             for name in services for device in project.services[name].get('devices', [])}
    absent = ', '.join(sorted(node for node in nodes if not os.path.exists(node)))
    if absent:
        raise MissingRequirement(f'device {absent} is not on this machine; load its driver')
    with engine_errors('the check before the chain'):
        missing = missing_images(client, project, services)
    if missing:
        names = ', '.join(missing)
        echo(f'run: building {names}')
        project.build(missing)


def out_of_sight(jobs: Sequence[Job], config: Config, volume: str) -> Optional[str]:
    """Why containers would not see one of the user's paths, or None."""
    for job in jobs:
        place = os.path.join(volume, job.output(config))
        if not _is_below(os.path.realpath(place), os.path.realpath(volume)):
            return f'{place} is a link out of the volume'
    named = [each.path for job in jobs for each in job.inputs(config, volume) if not each.made_by]
    for path in named:
        if os.path.isabs(path):
            if not _is_below(path, IN_CONTAINERS):
                return _named_from_outside(path, volume)
            path = os.path.relpath(path, IN_CONTAINERS)
        for place in _with_links(os.path.join(volume, path)):
            if not _is_below(os.path.realpath(place), os.path.realpath(volume)):
                return f'{place} is a link out of the volume'
    return None


def _named_from_outside(path: str, volume: str) -> str:
    from_there = os.path.relpath(path, volume)
    if from_there.startswith(os.pardir):
        return f'{path} is outside of the volume'
    return f'{path} is on the volume; give its path relative to the volume: {from_there}'


def _with_links(path: str) -> List[str]:
    """A path, and the links in that folder: datasets and their parts are often links."""
    if not os.path.isdir(path):
        return [path]
    with os.scandir(path) as entries:
        return [path] + sorted(entry.path for entry in entries if entry.is_symlink())


def _is_below(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def make_volume(project: Project, service: str, volume: str) -> None:
    """Makes the folder of the volume; it belongs to the user that the containers run as."""
    user, group = (int(part) for part in project.services[service]['user'].split(':'))
    if not os.path.isdir(volume):
        os.makedirs(volume)
        if os.getuid() == 0:
            os.chown(volume, user, group)
    facts = os.stat(volume)
    by_group = facts.st_gid == group and facts.st_mode & 0o020
    if user not in (0, facts.st_uid) and not by_group and not facts.st_mode & 0o002:
        raise ConfigError(f'{volume} belongs to user {facts.st_uid}, but the containers run as '
                          f'{user} and cannot write to it; chown -R {user}:{group} {volume}, or '
                          'set STACKGAN_UID')


def run_service(client: Any, project: Project, name: str) -> int:
    """Runs one service to its end, showing its output, and returns its exit code.

    Raises Interrupted after stopping the job, StackganError if the engine refuses to run it.
    """
    with engine_errors(name):
        for other in containers_of(client, project, name):
            if other.status == 'running':
                raise StackganError(f'{name}: already runs, in container {other.name}; wait for it '
                                    'or stop it')
        project.call('up', '--no-start', '--no-deps', '--no-build', '--force-recreate', name)
        first, *others = sorted(containers_of(client, project, name), key=_number)
        try:
            for other in others:                  # workers, which end with the first one
                other.start()
            return _follow(first, name)
        except Interrupted:
            grace = _seconds(project.services[name].get('stop_grace_period', '10s'))
            echo_error(f'run: stopping {name}, which saves its work (up to {duration(grace)})')
            first.stop(timeout=grace)
            raise
        finally:
            for container in [first] + others:
                container.remove(force=True)


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turns errors of the engine, and a lost connection to it, into a StackganError."""
    from docker.errors import APIError
    try:
        yield
    except APIError as error:
        raise StackganError(f'{what}: the Docker engine refuses: '
                            f'{_short(error.explanation or error)}')
    except _engine_failures() as error:
        raise MissingRequirement(f'the Docker engine went away during {what} ({_short(error)}); '
                                 'what is done is kept: start the engine and run the same command '
                                 'again')


def containers_of(client: Any, project: Project, name: str) -> List[Any]:
    """The containers that Compose made for a service."""
    labels = ['com.docker.compose.project=' + project.name, 'com.docker.compose.service=' + name,
              'com.docker.compose.oneoff=False']
    return client.containers.list(all=True, filters={'label': labels})


def _number(container: Any) -> int:
    """Of a container among those of its service."""
    return int(container.labels.get('com.docker.compose.container-number', 1))


def _follow(container: Any, name: str) -> int:
    """Starts a container, shows its output and returns its exit code."""
    container.start()
    printer = threading.Thread(target=_print_output, args=(container,), daemon=True)
    printer.start()
    code = container.wait()['StatusCode']
    printer.join(timeout=10)
    container.reload()
    if container.attrs['State']['OOMKilled']:
        echo_error(f'{name}: error: out of memory (killed); raise STACKGAN_MEMORY or lower '
                 'train.batch_size')
    elif code > 128 and code != Interrupted.exit_code:
        echo_error(f'{name}: error: killed by signal {code - 128}; what is done is kept')
    return code if code in (0, 1, 2, 3, Interrupted.exit_code) else 1


def _print_output(container: Any) -> None:
    decoder = codecs.getincrementaldecoder('utf-8')('replace')     # a block may end in mid-letter
    try:
        for block in container.logs(stream=True, follow=True):
            relay(decoder.decode(block))
    except _engine_failures():
        pass                                  # the waiting thread reports it


def _engine_failures() -> Tuple[Type[BaseException], ...]:
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError
    return (DockerException, RequestException, HTTPError, ConnectionError)


def _log_of(job: Job, config: Config, volume: str) -> str:
    """The place of an unfinished job's log, as the end of a sentence."""
    path = os.path.join(folder_of(job, config, volume) + '.partial', 'log.txt')
    return f'; its log is {path}' if os.path.exists(path) else ''


def _seconds(text: str) -> int:
    """Seconds of a duration of Compose, e.g. 5m0s."""
    units = {'h': 3600, 'm': 60, 's': 1}
    total, digits = 0, ''
    for character in text:
        if character.isdigit():
            digits += character
        else:
            total += int(digits or 0) * units.get(character, 0)
            digits = ''
    return total


def _short(error: object) -> str:
    """The first sentence of an error of the SDK."""
    return ' '.join(str(error).split())[:160]
