"""Several workers for one job: the first is the job, the others do its computation with it.

`platform.workers` starts the others here; on several machines, and by Slurm, Kubernetes or Compose,
all are started by the same command, and a list of the machines or the environment says which is
which (`stackgan.platforms.rendezvous`).
"""

import argparse
import dataclasses
import json
import logging
import os
import secrets
import subprocess
import sys
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from stackgan import progress
from stackgan.config import Config
from stackgan.config.checks import check_config
from stackgan.config.places import find_config
from stackgan.errors import InputError, Interrupted, StackganError
from stackgan.files import digest_of
from stackgan.platforms import rendezvous
from stackgan.platforms.cards import card_of, cards_here
from stackgan.platforms.cores import available_cores, load_tensorflow
from stackgan.platforms.rendezvous import Place
from stackgan.platforms.worker_channel import Follower, end_process
from stackgan.platforms.worker_leader import Leader
from stackgan.printing import echo_error

from .contract import Job, Work, flat, folder_of
from .signals import handled

logger = logging.getLogger(__name__)

LOOPBACK = '127.0.0.1'
OPTIONS = 'STACKGAN_WORKER_OPTIONS'      # JSON: the job's own options, for workers started here


class Group(NamedTuple):
    """The workers of a job, as its first one knows them before they have begun."""

    leader: Leader
    arguments: List[str]      # of the command line that starts one
    options: Dict[str, Any]   # the job's own that were given, by name


def place_of(job: Job, config: Config, environ: Mapping[str, str],
             options: Optional[argparse.Namespace] = None) -> Optional[Place]:
    """The place of this process among the workers of a job; None: it has no others.

    Raises InputError for an environment that contradicts itself.
    """
    if not job.takes_workers:          # worker 0 does it, and the others wait
        return rendezvous.from_environment(environ) if environ.get(rendezvous.PHASE) else None
    hosts, number = getattr(options, 'hosts', None), getattr(options, 'rank', None)
    if not hosts and not environ.get(rendezvous.SIZE):      # which a worker that was started has
        hosts = environ.get(rendezvous.HOSTS)
    if hosts:
        return rendezvous.from_hosts(hosts, number, _count_here(config), environ)
    if number is not None:
        raise InputError('--rank is the number of this machine among --hosts, which is missing')
    place = rendezvous.from_environment(environ)
    if place is not None:
        return place
    count = _count_here(config)
    return Place(0, count, LOOPBACK, 0, secrets.token_hex(16), count,
                 starts=count - 1) if count > 1 else None


def _count_here(config: Config) -> int:
    """How many workers are to be started on this machine."""
    if isinstance(config.platform.workers, int):
        return config.platform.workers
    cards = len(cards_here(config.platform))
    sizes = [int(stage.batch_size or 1) for stage in (config.stage1, config.stage2)]    # filled in
    count = next((n for n in range(cards, 1, -1) if not any(size % n for size in sizes)), 1)
    if count < cards:
        logger.info(f'platform.workers: auto: {count} of {cards} cards, because batches of '
                    f'{sizes[0]} and {sizes[1]} images are shared evenly')
    return count


def config_of(job: Job, config: Config, place: Optional[Place]) -> Config:
    """The configuration with the number of workers there are, each with its share of the cores.

    Raises ConfigError where they cannot share a batch.
    """
    if place is None and isinstance(config.platform.workers, int) or not job.takes_workers:
        return config
    threads, size, here = config.platform.threads, 1, 1
    if place is not None:
        size, here = place.size, place.here
    if threads is None and here > 1:
        threads = max(1, available_cores() // here)
    platform = dataclasses.replace(config.platform, workers=size,
                                   threads=None if config.platform.deterministic else threads)
    changed = dataclasses.replace(config, platform=platform)
    check_config(changed, f'{size} workers')
    return changed


def lead(job: Job, config: Config, volume: str, options: argparse.Namespace,
         place: Optional[Place]) -> Optional[Group]:
    """Listens for the other workers; None if there are none. Raises StackganError."""
    if place is None:
        return None
    own = own_options(job, options)
    leader = Leader(place, config.platform.worker_timeout, _digest(job, config, own))
    return Group(leader, _arguments(job, volume, options), own)


def begin(group: Optional[Group], config: Config) -> Optional[Leader]:
    """Starts the other workers that are to run here, and gives this one its card."""
    if group is None:
        return None
    leader, place = group.leader, group.leader.place
    own = _card(place, config)
    leader.children.update(_start(place._replace(port=leader.port), config, group.arguments,
                                  group.options))
    os.environ.update(own)
    return leader


def _arguments(job: Job, volume: str, options: argparse.Namespace) -> List[str]:
    found = [job.name, '--config', find_config(options.config), '--data', volume]
    for text in options.set:
        found += ['--set', text]
    return found


def own_options(job: Job, options: argparse.Namespace) -> Dict[str, Any]:
    """{name: value} of the options that this job alone has, where they are not the defaults."""
    if OPTIONS in os.environ:                     # of a worker that another one started
        return dict(json.loads(os.environ[OPTIONS]))
    parser = argparse.ArgumentParser()
    if job.add_options:
        job.add_options(parser)
    return {name: getattr(options, name) for name, default in vars(parser.parse_args([])).items()
            if getattr(options, name, default) != default}


def _start(place: Place, config: Config, arguments: List[str],
           options: Dict[str, Any]) -> Dict[int, 'subprocess.Popen[bytes]']:
    """Starts the workers that come after this one on the same machine; {rank: process}."""
    found = {}
    for i in range(1, place.starts + 1):
        other = place._replace(rank=place.rank + i, local_rank=place.local_rank + i)
        environment = dict(os.environ, **_card(other, config))
        environment.update({
            rendezvous.SIZE: str(place.size), rendezvous.RANK: str(other.rank),
            rendezvous.ADDRESS: f'{place.host}:{place.port}', rendezvous.TOKEN: place.token,
            rendezvous.HERE: str(place.here), rendezvous.LOCAL_RANK: str(other.local_rank),
            rendezvous.PORT: str(place.own_port + i if place.own_port else 0),
            OPTIONS: json.dumps(options)})
        found[other.rank] = subprocess.Popen(
            [sys.executable, '-m', __name__.rpartition('.engine.')[0]] + arguments,
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return found


def follow(job: Job, config: Config, volume: str, options: argparse.Namespace,
           place: Place) -> int:
    """Computes with worker 0, or waits for it, which ends this process.

    Returns only if it cannot be reached.
    """
    progress.hide()
    logging.getLogger('stackgan').addHandler(_Errors(f'{job.name}: error: '))
    own = own_options(job, options)
    children = _start(place, config, _arguments(job, volume, options), own)
    os.environ.update(_card(place, config))
    vars(options).update(own)
    try:
        return _follow(job, config, volume, options, place)
    finally:                                 # worker 0 ends them as well, if it was reached
        for child in children.values():
            child.terminate()


def _follow(job: Job, config: Config, volume: str, options: argparse.Namespace,
            place: Place) -> int:
    follower = None
    try:
        with handled() as stop:
            follower = Follower(place, config.platform.worker_timeout,
                                _digest(job, config, own_options(job, options)))
            job = job.variant(job, options)
            if not job.takes_workers:
                follower.wait_for_end()
            follower.gather()
            load_tensorflow(config.platform)
            inputs = {each.name: os.path.join(volume, each.path)
                      for each in job.inputs(config, volume)}
            assert job.run is not None
            job.run(Work(config, volume, folder_of(job, config, volume) + '.partial', inputs,
                         job.settings(config), stop, {}, follower))
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


def _digest(job: Job, config: Config, options: Dict[str, Any]) -> str:
    """Of the settings and the job's own options, which all workers must have."""
    return digest_of([job.name, config.platform.workers, flat(job.settings(config)), options])


def _card(place: Place, config: Config) -> Dict[str, str]:
    return card_of(place.rank, place.size, place.local_rank, place.here, config.platform)
