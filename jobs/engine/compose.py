"""compose.yaml as Compose itself resolves it: the one source of the chain in containers."""

import json
import os
import re
import shlex
import subprocess

from stackgan.errors import ConfigError, MissingRequirement
from stackgan.files import digest_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Project:
    """The services of compose.yaml with its overlays, for one configuration and one volume."""

    def __init__(
            self,
            environment,      # dict: variables of compose.yaml that are set for this run
    ):
        if not os.path.exists(os.path.join(ROOT, 'compose.yaml')):
            raise MissingRequirement('compose.yaml is not installed with the package; run from a '
                                     'checkout of the repository, or with --on local')
        self.environment = dict(os.environ, **environment)
        self.name, self.services = None, None
        resolved = self.call('--profile', '*', 'config', '--format', 'json')
        try:
            resolved = json.loads(resolved)
            self.name, self.services = resolved['name'], resolved['services']
        except (ValueError, KeyError, TypeError) as error:
            raise MissingRequirement(f'docker compose config gives no project ({error}); install '
                                     'docker-compose-plugin, or run with --on local')

    def call(self, *arguments):
        """Runs `docker compose` and returns what it prints. Raises StackganError."""
        done = self._docker('compose', *arguments)
        if done.returncode:
            self._explain(arguments, done)
        return done.stdout

    def _docker(self, *arguments):
        try:
            return subprocess.run(['docker'] + list(arguments), cwd=ROOT, env=self.environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, encoding='utf-8', errors='replace')
        except OSError:
            raise MissingRequirement('there is no docker command on PATH; install Docker, or '
                                     'run with --on local')

    def _explain(self, arguments, failed):
        """Raises StackganError for a command that failed: by what works, not by its words."""
        if self.services is None:                        # a Compose that resolved them is there
            version = self._docker('compose', 'version')
            if version.returncode:
                raise MissingRequirement(
                    f'docker has no Compose v2 ({_first_line(version)}); install '
                    f'docker-compose-plugin, or run with '
                    '--on local')
        elif self._docker('version', '--format', '{{.Server.Version}}').returncode:
            raise MissingRequirement(
                f'the Docker engine does not answer ({_first_line(failed)}); start it, or run with '
                f'--on local')
        raise ConfigError('docker compose {}: {}'.format(' '.join(arguments), _first_line(failed)))

    def build(self, images):
        """Builds images in the terminal's sight. Raises ConfigError."""
        builders = [name for name, service in sorted(self.services.items())
                    if 'build' in service and service['image'] in images]
        done = subprocess.run(['docker', 'compose', 'build'] + builders, cwd=ROOT,
                              env=self.environment)
        if done.returncode:
            raise ConfigError('the images cannot be built; what docker says is above. Without a '
                              'registry, make a base by scripts/base-image.sh and name it with '
                              'STACKGAN_BASE')

    def base_images(self):
        """The bases that the images are built on."""
        return sorted({service['build']['args']['BASE'] for service in self.services.values()
                       if 'build' in service})


def _first_line(done):
    """The first thing that a command said: the last of docker is advice to ask for help."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[0].strip()[:200] if lines else 'it says nothing'


def variables(
        config_path,      # the configuration's file
        settings,         # ['section.key=value']
        volume,           # absolute path of the data volume
):
    """The variables of compose.yaml for a run on a folder of this machine.

    Each folder is a project of its own, so that runs on two of them do not meet; who owns the
    folder, or would make it, is the user of the containers, unless that is root.
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


def is_set(name):
    """Whether a variable comes from the environment or from .env."""
    if os.environ.get(name):                        # compose.yaml takes an empty one for none
        return True
    from stackgan.text_files import UnreadableText, read_text
    try:
        text = read_text(os.path.join(ROOT, '.env')).text
    except UnreadableText:
        return False
    return re.search(rf'^{name}=.', text, re.M) is not None
