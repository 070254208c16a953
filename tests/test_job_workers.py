"""How a job gets several workers: the command line, shares of cores and cards, who is who."""

import argparse
import re

import pytest
from toy import tiny_config

from jobs.engine import command_line, workers
from jobs.engine.chain import BY_NAME
from jobs.engine.contract import flat
from stackgan.errors import ConfigError, InputError
from stackgan.platforms import cards
from stackgan.platforms.rendezvous import Place

STAGE1, EXPORT, SAMPLE = BY_NAME['train-stage1'], BY_NAME['export'], BY_NAME['sample']
TWO = ('platform.workers=2', 'stage1.batch_size=4', 'stage2.batch_size=2')
STARTED = {'STACKGAN_WORKERS': '4', 'STACKGAN_WORKER_RANK': '2',
           'STACKGAN_WORKER_ADDRESS': '10.0.0.1:20000'}


def test_place():
    assert workers.place_of(STAGE1, tiny_config(), {}) is None
    place = workers.place_of(STAGE1, tiny_config(*TWO), {})
    assert (place.rank, place.size, place.host, place.here, place.starts) == (
        0, 2, '127.0.0.1', 2, 1)
    assert len(place.token) == 32
    assert workers.place_of(STAGE1, tiny_config(), STARTED).rank == 2
    assert workers.place_of(EXPORT, tiny_config(*TWO), STARTED) is None
    waiting = workers.place_of(EXPORT, tiny_config(), dict(STARTED, STACKGAN_WORKER_PHASE='4'))
    assert (waiting.rank, waiting.phase) == (2, 4)
    assert workers.config_of(EXPORT, tiny_config(), waiting) == tiny_config()


def options(hosts=None, rank=None):
    return argparse.Namespace(hosts=hosts, rank=rank)


@pytest.mark.parametrize('hosts, rank, environ, place', [
    ('10.9.9.9:7000,127.0.0.1:8000', None, {}, Place(1, 2, '10.9.9.9', 7000, own_port=8000)),
    ('127.0.0.1:7000,10.9.9.9', None, {}, Place(0, 2, '127.0.0.1', 7000, own_port=7001)),
    ('a[08-10].rack', 2, {}, Place(2, 3, 'a08.rack', 20000)),
    ('a,b', 0, {}, Place(0, 2, 'a', 20000)),
    ('a', 0, {}, None),
    # Replicas of one machine: they share its cores.
    ('c-[1-4]', 3, {'STACKGAN_WORKERS_HERE': '4'}, Place(3, 4, 'c-1', 20000, '', 4, 3))])
def test_place_in_a_list_of_machines(hosts, rank, environ, place):
    assert workers.place_of(STAGE1, tiny_config(), environ, options(hosts, rank)) == place
    environ = dict(environ, STACKGAN_WORKER_HOSTS=hosts)
    if rank is None:
        assert workers.place_of(STAGE1, tiny_config(), environ, options()) == place


def test_several_workers_on_each_machine_of_a_list():
    config = tiny_config(*TWO)
    place = workers.place_of(STAGE1, config, {}, options('a:70,b:80', 1))
    assert place == Place(2, 4, 'a', 70, '', 2, 0, 80, starts=1)
    # One that this process started has the list in its environment too.
    environ = dict(STARTED, STACKGAN_WORKER_HOSTS='a,b')
    assert workers.place_of(STAGE1, config, environ, options()).rank == 2


@pytest.mark.parametrize('hosts, rank, text', [
    ('127.0.0.1,127.0.0.2', None, 'several of 127.0.0.1, 127.0.0.2 are this machine; add --rank'),
    ('10.9.9.9,no.such.name.invalid', None, 'none of 10.9.9.9, no.such.name.invalid is this'),
    ('a,b', 2, '--rank is 2; must be a number from 0 to 1'),
    ('a,a', 0, 'names none, or one twice'),
    ('a,b:', 0, "'b:'; must be HOST or HOST:PORT"),
    ('a:70000,b', 0, "'a:70000'; must be HOST or HOST:PORT"),
    ('a[1-9999]', 0, '1025 workers; must be at most 1024'),
    (None, 1, '--rank is the number of this machine among --hosts, which is missing')])
def test_a_list_of_machines_that_is_none(hosts, rank, text):
    with pytest.raises(InputError, match=re.escape(text)):
        workers.place_of(STAGE1, tiny_config(), {}, options(hosts, rank))


@pytest.mark.parametrize('device, visible, nodes, count', [
    ('auto', None, 4, 4), ('gpu', '0,2', 4, 2), ('auto', '-1', 4, 1), ('cpu', None, 4, 1),
    ('auto', None, 0, 1), ('npu', None, 8, 8), ('auto', None, 6, 4)])      # batches of 8
def test_auto_is_one_worker_a_card(monkeypatch, device, visible, nodes, count):
    """/dev is a fake."""
    pattern = cards.NPUS if device == 'npu' else cards.GPUS
    monkeypatch.setattr(cards.glob, 'glob',
                        lambda path: ['card'] * nodes if path == pattern else [])
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    config = tiny_config('platform.deterministic=false', f'platform.device={device}',
                         'platform.workers=auto', 'stage1.batch_size=8', 'stage2.batch_size=8',
                         *(['platform.precision=float32'] if device == 'npu' else []))
    place = workers.place_of(STAGE1, config, {})
    assert (1 if place is None else place.size) == count
    assert workers.config_of(STAGE1, config, place).platform.workers == count


@pytest.mark.parametrize('settings, text', [
    (['platform.workers=many'], 'platform.workers: expected a whole number or auto, found'),
    (['platform.workers=0'], 'platform.workers: is 0, must be at least 1'),
    (['platform.workers=auto', 'platform.worker_batch_norm=own'],
     'platform.workers: is auto, but with worker_batch_norm: own results depend on the number')])
def test_a_number_of_workers_that_is_none(settings, text):
    with pytest.raises(ConfigError, match=text):
        tiny_config(*settings)


def test_workers_share_the_cores_of_a_machine(monkeypatch):
    monkeypatch.setattr(workers, 'available_cores', lambda: 12)
    config = tiny_config('platform.deterministic=false', *TWO)
    place = workers.place_of(STAGE1, config, {})
    assert workers.config_of(STAGE1, config, place).platform.threads == 6
    assert workers.config_of(STAGE1, config, None) is config
    config = tiny_config('platform.deterministic=false', 'stage2.batch_size=4')
    elsewhere = workers.config_of(STAGE1, config, workers.place_of(STAGE1, config, STARTED))
    assert (elsewhere.platform.workers, elsewhere.platform.threads) == (4, None)


def test_a_batch_is_shared_evenly():
    with pytest.raises(ConfigError, match='stage2.batch_size: is shared by 3 workers'):
        tiny_config('platform.workers=3', 'stage1.batch_size=3')
    with pytest.raises(ConfigError, match='4 workers: stage2.batch_size: is shared by 4 workers'):
        workers.config_of(STAGE1, tiny_config(), workers.place_of(STAGE1, tiny_config(), STARTED))


@pytest.mark.parametrize('device, visible, here, local, environment', [
    ('auto', '4,5', 2, 1, {'CUDA_VISIBLE_DEVICES': '5'}),
    ('auto', '4', 2, 1, {'CUDA_VISIBLE_DEVICES': '4'}),      # both on the only card
    ('auto', '4,5', 1, 0, {}),                               # the scheduler chose
    ('cpu', '4,5', 2, 1, {}),
    ('npu', '', 2, 1, {'RANK_ID': '3', 'RANK_SIZE': '4', 'ASCEND_DEVICE_ID': '1'}),
    ('npu', '', 1, 0, {'RANK_ID': '3', 'RANK_SIZE': '4'})])
def test_each_has_a_card(monkeypatch, device, visible, here, local, environment):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    config = tiny_config('platform.deterministic=false', f'platform.device={device}')
    assert cards.card_of(3, 4, local, here, config.platform) == environment


def test_the_number_of_workers_is_part_of_the_request_where_results_depend_on_it():
    def platform(*overrides):
        settings = flat(STAGE1.settings(tiny_config(*overrides)))
        return {name: settings[name] for name in settings if name.startswith('platform.worker')}

    assert platform(*TWO) == platform() == {}
    assert platform('platform.worker_batch_norm=own', *TWO) == {
        'platform.worker_batch_norm': 'own', 'platform.workers': 2}


def test_a_worker_that_is_started_here_gets_the_options_of_the_job(monkeypatch):
    parser = argparse.ArgumentParser()
    SAMPLE.add_options(parser)
    given = parser.parse_args(['--caption', 'a b', '--interpolate-noise', '3', '8'])
    given.force = True                                   # of every job
    found = workers.own_options(SAMPLE, given)
    assert found == {'caption': ['a b'], 'interpolate_noise': [3, 8]}
    started = []
    monkeypatch.setattr(workers.subprocess, 'Popen',
                        lambda command, env, **streams: started.append(env))
    place = workers.place_of(SAMPLE, tiny_config(*TWO), {})
    workers._start(place, tiny_config(*TWO), [], found)
    monkeypatch.setenv(workers.OPTIONS, started[0][workers.OPTIONS])
    assert workers.own_options(SAMPLE, parser.parse_args([])) == found


def test_option(capsys):
    words = ['train-stage1', '--workers', '2', '--dry-run', '--data', '/nowhere']
    assert command_line.main(words) == 0
    assert 'workers: 2' in capsys.readouterr().out
