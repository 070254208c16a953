"""Several workers for one job: the first is the job, the others do its computation with it.

`platform.workers` starts the others here; Slurm, Kubernetes or Compose start all by the same
command, and the environment says which is which (`stackgan.platforms.rendezvous`).
"""

import argparse
import dataclasses
import glob
import logging
import os
import secrets
import subprocess
import sys
from typing import Dict, List, Mapping, NamedTuple, Optional

from stackgan.config import Config
from stackgan.config.checks import check_config
from stackgan.config.places import find_config
from stackgan.errors import Interrupted, StackganError
from stackgan.files import digest_of
from stackgan.platforms import rendezvous
from stackgan.platforms.cores import available_cores, load_tensorflow
from stackgan.platforms.rendezvous import Place
from stackgan.platforms.worker_channel import Follower, end_process
from stackgan.platforms.worker_leader import Leader
from stackgan.printing import echo_error

from .contract import Job, Work, flat
from .signals import handled

logger = logging.getLogger(__name__)

LOOPBACK = '127.0.0.1'
CARDS = '/dev/nvidia[0-9]*'


class Group(NamedTuple):
    """The workers of a job, as its first one knows them before they have begun."""

    leader: Leader
    is_local: bool            # this process starts the others
    arguments: List[str]      # of the command line that starts one


def place_of(job: Job, config: Config, environ: Mapping[str, str]) -> Optional[Place]:
    """The place of this process among the workers of a job; None: it has no others.

    Raises InputError for an environment that contradicts itself.
    """
    if not job.takes_workers:
        return None
    place = rendezvous.from_environment(environ)
    count = config.platform.workers
    if place is None and count > 1:
        return Place(0, count, LOOPBACK, 0, secrets.token_hex(16), count)
    return place


def config_of(config: Config, place: Optional[Place]) -> Config:
    """The configuration with the number of workers there are, each with its share of the cores.

    Raises ConfigError where they cannot share a batch.
    """
    if place is None:
        return config
    threads = config.platform.threads
    if threads is None and place.here > 1:
        threads = max(1, available_cores() // place.here)
    platform = dataclasses.replace(config.platform, workers=place.size,
                                   threads=None if config.platform.deterministic else threads)
    changed = dataclasses.replace(config, platform=platform)
    check_config(changed, f'{place.size} workers')
    return changed


def lead(job: Job, config: Config, volume: str, options: argparse.Namespace,
         place: Optional[Place]) -> Optional[Group]:
    """Listens for the other workers; None if there are none. Raises StackganError."""
    if place is None:
        return None
    leader = Leader(place, config.platform.worker_timeout, _digest(job, config))
    arguments = [job.name, '--config', find_config(options.config), '--data', volume]
    for text in options.set:
        arguments += ['--set', text]
    return Group(leader, place.port == 0, arguments)


def begin(group: Optional[Group], config: Config) -> Optional[Leader]:
    """Starts the other workers if they are to run here, and gives this one its card."""
    if group is None:
        return None
    leader, place = group.leader, group.leader.place
    own = _card(0, place.local_rank, place.here, config)
    if group.is_local:
        for rank in range(1, place.size):
            environment = dict(os.environ, **_card(rank, rank, place.size, config))
            environment.update({
                rendezvous.SIZE: str(place.size), rendezvous.RANK: str(rank),
                rendezvous.ADDRESS: f'{LOOPBACK}:{leader.port}', rendezvous.TOKEN: place.token,
                rendezvous.HERE: str(place.size), rendezvous.LOCAL_RANK: str(rank)})
            leader.children[rank] = subprocess.Popen(
                [sys.executable, '-m', __name__.rpartition('.engine.')[0]] + group.arguments,
                env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    os.environ.update(own)
    return leader


def follow(job: Job, config: Config, volume: str, place: Place) -> int:
    """Computes with worker 0, which ends this process. Returns only if it cannot be reached."""
    logging.getLogger('stackgan').addHandler(_Errors(f'{job.name}: error: '))
    os.environ.update(_card(place.rank, place.local_rank, place.here, config))
    follower = None
    try:
        with handled() as stop:
            follower = Follower(place, config.platform.worker_timeout, _digest(job, config))
            follower.gather()
            load_tensorflow(config.platform)
            inputs = {each.name: os.path.join(volume, each.path)
                      for each in job.inputs(config, volume)}
            assert job.run is not None
            job.run(Work(config, volume, '', inputs, job.settings(config), stop, {}, follower))
            follower.wait_for_end()
    except Interrupted as signal:
        if follower is not None and follower.started.is_set():     # worker 0 saves
            follower.wait_for_end(config.platform.worker_timeout)
        elif follower is not None:
            follower.fail(f'interrupted by {signal}', Interrupted.exit_code)
        return Interrupted.exit_code
    except Exception as error:
        code = error.exit_code if isinstance(error, StackganError) else 1
        text = ' '.join(str(error).split())[:400]
        text = text if isinstance(error, StackganError) else f'{type(error).__name__}: {text}'
        if follower is None:
            echo_error(f'{job.name}: error: {text}')
            return code
        follower.fail(text, code)
    end_process('', 1)
    return 1


class _Errors(logging.Handler):
    """Shows errors alone: worker 0 shows the rest."""

    def __init__(self, prefix: str) -> None:
        super().__init__(logging.ERROR)
        self.prefix = prefix

    def emit(self, record: logging.LogRecord) -> None:
        echo_error(self.prefix + record.getMessage())


def _digest(job: Job, config: Config) -> str:
    """Of the settings that all workers must have."""
    return digest_of([job.name, flat(job.settings(config))])


def _card(rank: int, local_rank: int, here: int, config: Config) -> Dict[str, str]:
    """The environment that gives one of `here` workers on this machine a card of its own."""
    if config.platform.device == 'npu':
        found = {'RANK_ID': str(rank), 'RANK_SIZE': str(config.platform.workers)}
        return dict(found, ASCEND_DEVICE_ID=str(local_rank)) if here > 1 else found
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    cards = visible.split(',') if visible else [str(i) for i in range(len(glob.glob(CARDS)))]
    if here == 1 or not cards or config.platform.device == 'cpu' or visible == '':
        return {}
    return {'CUDA_VISIBLE_DEVICES': cards[local_rank % len(cards)]}
