"""How a job gets several workers: the command line, shares of cores and cards, who is who."""

import pytest
from toy import tiny_config

from jobs.engine import command_line, workers
from jobs.engine.chain import BY_NAME
from jobs.engine.contract import flat
from stackgan.errors import ConfigError

STAGE1 = BY_NAME['train-stage1']
TWO = ('platform.workers=2', 'stage1.batch_size=4', 'stage2.batch_size=2')
STARTED = {'STACKGAN_WORKERS': '4', 'STACKGAN_WORKER_RANK': '2',
           'STACKGAN_WORKER_ADDRESS': '10.0.0.1:20000'}


def test_place():
    assert workers.place_of(STAGE1, tiny_config(), {}) is None
    place = workers.place_of(STAGE1, tiny_config(*TWO), {})
    assert (place.rank, place.size, place.host, place.here) == (0, 2, '127.0.0.1', 2)
    assert len(place.token) == 32
    assert workers.place_of(STAGE1, tiny_config(), STARTED).rank == 2
    assert workers.place_of(BY_NAME['embed'], tiny_config(*TWO), STARTED) is None


def test_workers_share_the_cores_of_a_machine(monkeypatch):
    monkeypatch.setattr(workers, 'available_cores', lambda: 12)
    config = tiny_config('platform.deterministic=false', *TWO)
    place = workers.place_of(STAGE1, config, {})
    assert workers.config_of(config, place).platform.threads == 6
    assert workers.config_of(config, None) is config
    config = tiny_config('platform.deterministic=false', 'stage2.batch_size=4')
    elsewhere = workers.config_of(config, workers.place_of(STAGE1, config, STARTED))
    assert (elsewhere.platform.workers, elsewhere.platform.threads) == (4, None)


def test_a_batch_is_shared_evenly():
    with pytest.raises(ConfigError, match='stage2.batch_size: is shared by 3 workers'):
        tiny_config('platform.workers=3', 'stage1.batch_size=3')
    with pytest.raises(ConfigError, match='4 workers: stage2.batch_size: is shared by 4 workers'):
        workers.config_of(tiny_config(), workers.place_of(STAGE1, tiny_config(), STARTED))


@pytest.mark.parametrize('device, visible, here, local, environment', [
    ('auto', '4,5', 2, 1, {'CUDA_VISIBLE_DEVICES': '5'}),
    ('auto', '4', 2, 1, {'CUDA_VISIBLE_DEVICES': '4'}),      # both on the only card
    ('auto', '4,5', 1, 0, {}),                               # the scheduler chose
    ('cpu', '4,5', 2, 1, {}),
    ('npu', '', 2, 1, {'RANK_ID': '3', 'RANK_SIZE': '4', 'ASCEND_DEVICE_ID': '1'}),
    ('npu', '', 1, 0, {'RANK_ID': '3', 'RANK_SIZE': '4'})])
def test_each_has_a_card(monkeypatch, device, visible, here, local, environment):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    config = tiny_config('platform.deterministic=false', 'platform.workers=4',
                         'stage2.batch_size=4', f'platform.device={device}')
    assert workers._card(3, local, here, config) == environment


def test_the_number_of_workers_is_part_of_the_request_where_results_depend_on_it():
    def platform(*overrides):
        settings = flat(STAGE1.settings(tiny_config(*overrides)))
        return {name: settings[name] for name in settings if name.startswith('platform.worker')}

    assert platform(*TWO) == platform() == {}
    assert platform('platform.worker_batch_norm=own', *TWO) == {
        'platform.worker_batch_norm': 'own', 'platform.workers': 2}


def test_option(capsys):
    words = ['train-stage1', '--workers', '2', '--dry-run', '--data', '/nowhere']
    assert command_line.main(words) == 0
    assert 'workers: 2' in capsys.readouterr().out
