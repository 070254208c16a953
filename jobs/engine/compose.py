"""compose.yaml as resolved by Docker Compose, by which the chain runs in containers."""

import json
import os
import re
import shlex
import subprocess
from typing import Any, Dict, List, NoReturn, Sequence

from stackgan.errors import ConfigError, MissingRequirement
from stackgan.files import digest_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Project:
    """The services of compose.yaml and its overlays, for one configuration and one volume."""

    def __init__(
            self,
            environment: Dict[str, str],    # variables of compose.yaml for this run
    ) -> None:
        if not os.path.exists(os.path.join(ROOT, 'compose.yaml')):
            raise MissingRequirement('compose.yaml is not installed with the package; run from a '
                                     'checkout of the repository, or with --on local')
        self.environment = dict(os.environ, **environment)
        self.name = ''
        self.services: Dict[str, Dict[str, Any]] = {}
        text = self.call('--profile', '*', 'config', '--format', 'json')
        try:
            resolved = json.loads(text)
            self.name, self.services = resolved['name'], resolved['services']
        except (ValueError, KeyError, TypeError) as error:
            raise MissingRequirement(f'docker compose config gives no project ({error}); install '
                                     'docker-compose-plugin, or run with --on local')

    def call(self, *arguments: str) -> str:
        """Runs `docker compose` and returns what it prints. Raises StackganError."""
        done = self._docker('compose', *arguments)
        if done.returncode:
            self._explain(arguments, done)
        return done.stdout

    def _docker(self, *arguments: str) -> 'subprocess.CompletedProcess[str]':
        try:
            return subprocess.run(['docker'] + list(arguments), cwd=ROOT, env=self.environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, encoding='utf-8', errors='replace')
        except OSError:
            raise MissingRequirement('there is no docker command on PATH; install Docker, or '
                                     'run with --on local')

    def _explain(self, arguments: Sequence[str],
                 failed: 'subprocess.CompletedProcess[str]') -> NoReturn:
        """Raises StackganError for a failed command, after finding out what else fails."""
        if not self.name:                      # else Compose has already worked
            version = self._docker('compose', 'version')
            if version.returncode:
                raise MissingRequirement(
                    f'docker has no Compose v2 ({_first_line(version)}); install '
                    'docker-compose-plugin, or run with --on local')
        elif self._docker('version', '--format', '{{.Server.Version}}').returncode:
            raise MissingRequirement(
                f'the Docker engine does not answer ({_first_line(failed)}); start it, or run with '
                '--on local')
        command = ' '.join(arguments)
        raise ConfigError(f'docker compose {command}: {_first_line(failed)}')

    def build(self, images: Sequence[str]) -> None:
        """Builds images, showing docker's output. Raises ConfigError."""
        builders = [name for name, service in sorted(self.services.items())
                    if 'build' in service and service['image'] in images]
        done = subprocess.run(['docker', 'compose', 'build'] + builders, cwd=ROOT,
                              env=self.environment)
        if done.returncode:
            raise ConfigError('the images cannot be built; docker reports why above. Without a '
                              'registry, make a base image with scripts/base-image.sh and set '
                              'STACKGAN_BASE to its name')

    def base_images(self) -> List[str]:
        """The base images that the images are built from."""
        return sorted({service['build']['args']['BASE'] for service in self.services.values()
                       if 'build' in service})


def _first_line(done: 'subprocess.CompletedProcess[str]') -> str:
    """The first line that a command printed; the last one of docker only points to its help."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[0].strip()[:200] if lines else 'no output'


def variables(
        config_path: str,           # the configuration's file
        settings: Sequence[str],    # ['section.key=value']
        volume: str,                # absolute path of the data volume
) -> Dict[str, str]:
    """The variables of compose.yaml for a run on a folder of this machine.

    Each folder is a Compose project of its own, so that runs on two folders are independent. The
    containers run as the owner of the folder (or, if it does not exist, as the current user),
    unless that is root.
    """
    folder, name = os.path.split(os.path.abspath(config_path))
    found = {'STACKGAN_CONFIG': '/configs/' + name, 'STACKGAN_CONFIGS': folder,
             'STACKGAN_SET': ' '.join(shlex.quote(text) for text in settings),
             'STACKGAN_DATA': volume}
    if not is_set('COMPOSE_PROJECT_NAME'):
        found['COMPOSE_PROJECT_NAME'] = 'stackgan-' + digest_of(volume)[:8]
    owner, group = os.getuid(), os.getgid()
    if os.path.isdir(volume):
        owner, group = os.stat(volume).st_uid, os.stat(volume).st_gid
    if owner and not is_set('STACKGAN_UID'):
        found.update(STACKGAN_UID=str(owner), STACKGAN_GID=str(group))
    return found


def is_set(name: str) -> bool:
    """Whether a variable is set in the environment or in .env."""
    if os.environ.get(name):                        # to compose.yaml, empty means unset
        return True
    from stackgan.text_files import UnreadableText, read_text
    try:
        text = read_text(os.path.join(ROOT, '.env')).text
    except UnreadableText:
        return False
    return re.search(rf'^{name}=.', text, re.M) is not None
