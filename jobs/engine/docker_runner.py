"""The chain in containers: the services of compose.yaml, followed through the Docker SDK."""

import codecs
import os
import shutil
import threading
from contextlib import contextmanager

from stackgan.errors import ConfigError, Interrupted, MissingRequirement, StackganError
from stackgan.printing import echo, echo_error, relay
from stackgan.progress import duration

from . import chain
from .compose import Project
from .contract import folder_of
from .replacing import check_chain
from .signals import handled

ENGINE_SECONDS = 60           # how long the engine may take to answer
REGISTRY_SECONDS = 15         # how long a registry may take to answer
IN_CONTAINERS = '/data'       # where compose.yaml shows them the volume
MIN_FREE_BYTES = 1 << 30    # a checkpoint of the paper's dimensions is 0.9 GB


def connect():
    """A client of the engine. Raises MissingRequirement where none answers."""
    try:
        from docker import DockerClient  # not `import docker`: a folder here has that name
        client = DockerClient.from_env(timeout=ENGINE_SECONDS)
        client.ping()
    except ImportError:
        raise MissingRequirement("the Docker SDK is not installed: pip install '.[docker]', or "
                                 'run with --on local')
    except Exception as error:               # the SDK raises its own and those of requests
        raise MissingRequirement(f'no Docker engine answers ({_short(error)}); start it, or run '
                                 f'with --on local')
    return client


def can_have_images(client, project, services):
    """None where the images are there or can be built, else why not."""
    if not missing_images(client, project, services):
        return None
    for base in project.base_images():
        if _find_image(client, base):
            continue
        try:
            client.api.timeout = REGISTRY_SECONDS
            client.images.get_registry_data(base)
        except Exception as error:
            return f'the base image {base} is not here and it cannot be pulled ({_short(error)})'
        finally:
            client.api.timeout = ENGINE_SECONDS
    return None


def missing_images(client, project, services):
    """Names of the images of services that are not there."""
    return sorted({image for image in (project.services[name]['image'] for name in services)
                   if not _find_image(client, image)})


def _find_image(client, name):
    from docker.errors import ImageNotFound
    try:
        return client.images.get(name)
    except ImageNotFound:
        return None


def run_chain(
        config,            # Config
        volume,            # absolute path of the data volume
        last,              # name of the job wanted, with what it needs; None: all
        environment,       # variables of compose.yaml
        restart=(),        # names of jobs that may replace what is there
):
    """As `chain.run_chain`, in containers. Leaves no container behind. Raises StackganError."""
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


def check(client, project, jobs, config, volume):
    """What a chain needs: room, rights, device nodes, images (built where they are missing)."""
    hidden = out_of_sight(jobs, config, volume)
    if hidden:
        raise ConfigError(f'{hidden}, where containers do not see it; put it below {volume} and '
                          f'name it from '
                          'there, or run with --on local')
    services = [job.name for job in jobs]
    make_volume(project, services[0], volume)
    free = shutil.disk_usage(volume).free
    if free < MIN_FREE_BYTES:
        raise ConfigError('only %d MiB are free in %s; a chain needs %d'
                          % (free >> 20, volume, MIN_FREE_BYTES >> 20))
    nodes = {device['source'] if isinstance(device, dict) else device.split(':')[0]
             for name in services for device in project.services[name].get('devices', [])}
    absent = sorted(node for node in nodes if not os.path.exists(node))
    if absent:
        raise MissingRequirement('device {} is not on this machine; is its driver loaded?'.format(', '.join(absent)))
    with engine_errors('the check before the chain'):
        missing = missing_images(client, project, services)
    if missing:
        echo('run: building {}'.format(', '.join(missing)))
        project.build(missing)


def out_of_sight(jobs, config, volume):
    """Why containers do not see a path that the user named, or None."""
    for job in jobs:
        place = os.path.join(volume, job.output(config))
        if not _is_below(os.path.realpath(place), os.path.realpath(volume)):
            return f'{place} leads outside of the volume'
    named = [each.path for job in jobs for each in job.inputs(config, volume) if not each.made_by]
    for path in named:
        if os.path.isabs(path):
            if not _is_below(path, IN_CONTAINERS):
                return _named_from_outside(path, volume)
            path = os.path.relpath(path, IN_CONTAINERS)
        for place in _with_links(os.path.join(volume, path)):
            if not _is_below(os.path.realpath(place), os.path.realpath(volume)):
                return f'{place} leads outside of the volume'
    return None


def _named_from_outside(path, volume):
    from_there = os.path.relpath(path, volume)
    if from_there.startswith(os.pardir):
        return f'{path} lies outside of the volume'
    return f'{path} is on the volume; give its path relative to the volume: {from_there}'


def _with_links(path):
    """A path, and the links in that folder: a dataset is often linked to, whole or its parts."""
    if not os.path.isdir(path):
        return [path]
    with os.scandir(path) as entries:
        return [path] + sorted(entry.path for entry in entries if entry.is_symlink())


def _is_below(path, folder):
    return os.path.commonpath([path, folder]) == folder


def make_volume(project, service, volume):
    """Makes the folder of the volume, owned by the user of the containers."""
    user, group = (int(part) for part in project.services[service]['user'].split(':'))
    if not os.path.isdir(volume):
        os.makedirs(volume)
        if os.getuid() == 0:
            os.chown(volume, user, group)
    facts = os.stat(volume)
    by_group = facts.st_gid == group and facts.st_mode & 0o020
    if user not in (0, facts.st_uid) and not by_group and not facts.st_mode & 0o002:
        raise ConfigError('%s belongs to user %d, the containers run as %d and cannot write it: '
                          'chown -R %d:%d %s, or set STACKGAN_UID'
                          % (volume, facts.st_uid, user, user, group, volume))


def run_service(client, project, name):
    """Runs one service to its end, showing its output; returns its exit code.

    Raises Interrupted after the job has been stopped, StackganError when the engine refuses it.
    """
    with engine_errors(name):
        for other in containers_of(client, project, name):
            if other.status == 'running':
                raise StackganError(f'{name}: runs already, in container {other.name}; wait for it '
                                    f'or stop it')
        project.call('up', '--no-start', '--no-deps', '--no-build', '--force-recreate', name)
        container = containers_of(client, project, name)[0]
        try:
            return _follow(container, name)
        except Interrupted:
            grace = _seconds(project.services[name].get('stop_grace_period', '10s'))
            echo_error(f'run: stopping {name}, which saves what it has (up to {duration(grace)})')
            container.stop(timeout=grace)
            raise
        finally:
            container.remove(force=True)


@contextmanager
def engine_errors(what):
    """Turns what the engine refuses, and its silence, into a StackganError."""
    from docker.errors import APIError
    try:
        yield
    except APIError as error:
        raise StackganError(f'{what}: the Docker engine refuses: '
                            f'{_short(error.explanation or error)}')
    except _engine_failures() as error:
        raise MissingRequirement(f'the Docker engine went away during {what} ({_short(error)}); '
                                 f'what is done is '
                                 'kept: start the engine and give the same command again')


def containers_of(client, project, name):
    """The containers that Compose has made for a service."""
    labels = ['com.docker.compose.project=' + project.name, 'com.docker.compose.service=' + name,
              'com.docker.compose.oneoff=False']
    return client.containers.list(all=True, filters={'label': labels})


def _follow(container, name):
    """Starts a container, prints what it prints and returns its exit code."""
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
        echo_error('%s: error: killed by signal %d; what is done is kept' % (name, code - 128))
    return code if code in (0, 1, 2, 3, Interrupted.exit_code) else 1


def _print_output(container):
    decoder = codecs.getincrementaldecoder('utf-8')('replace')     # a block may end in a letter
    try:
        for block in container.logs(stream=True, follow=True):
            relay(decoder.decode(block))
    except _engine_failures():
        pass                                  # the thread that waits reports it


def _engine_failures():
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError
    return (DockerException, RequestException, HTTPError, ConnectionError)


def _log_of(job, config, volume):
    """Where the log of an unfinished job is, as the end of a sentence."""
    path = os.path.join(folder_of(job, config, volume) + '.partial', 'log.txt')
    return f'; its log is {path}' if os.path.exists(path) else ''


def _seconds(text):
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


def _short(error):
    """The first sentence of an error of the SDK."""
    return ' '.join(str(error).split())[:160]
