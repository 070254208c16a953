"""CANN's cache and logs: where they are while a job runs, and what a failed job shows of them."""

import os

import pytest
from logged import logged
from toy import tiny_config

from jobs.engine import ascend_files as module
from jobs.engine.ascend_files import ascend_files, last_error
from stackgan.errors import Interrupted, StackganError
from stackgan.platforms.ascend_options import PROFILE

NPU = ('platform.device=npu', 'platform.deterministic=false')
VARIABLES = ('ASCEND_CACHE_PATH', 'ASCEND_MAX_OP_CACHE_SIZE', 'ASCEND_WORK_PATH',
             'ASCEND_PROCESS_LOG_PATH', PROFILE)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def files_of_a_job(tmp_path, error=None, lines=(), name='train-stage1', settings=NPU):
    """Runs a job that writes lines to CANN's log; the environment that it saw."""
    with ascend_files(name, tiny_config(*settings), str(tmp_path / 'data'), str(tmp_path / 'job')):
        seen = {each: os.environ.get(each) for each in VARIABLES}
        if lines:
            folder = os.path.join(seen['ASCEND_PROCESS_LOG_PATH'], 'debug', 'plog')
            os.makedirs(folder)
            with open(os.path.join(folder, 'plog-7_20260101.log'), 'w') as stream:
                stream.write('\n'.join(lines) + '\n')
        if error:
            raise error
    return seen


def test_a_training_keeps_kernels_on_the_volume_and_no_logs(tmp_path):
    seen = files_of_a_job(tmp_path, lines=['[INFO] all is well'])
    assert seen == {
        'ASCEND_CACHE_PATH': str(tmp_path / 'data' / 'cache' / 'ascend'),
        'ASCEND_MAX_OP_CACHE_SIZE': '2000',
        'ASCEND_WORK_PATH': str(tmp_path / 'job' / 'ascend-work'),
        'ASCEND_PROCESS_LOG_PATH': str(tmp_path / 'job' / 'ascend-work' / 'log'),
        PROFILE: None}
    assert os.path.isdir(seen['ASCEND_CACHE_PATH'])
    assert not os.path.exists(seen['ASCEND_WORK_PATH'])
    assert not set(VARIABLES) & set(os.environ)


def test_what_the_user_set_stays(tmp_path, monkeypatch):
    monkeypatch.setenv('ASCEND_CACHE_PATH', '/fast/cache')
    assert files_of_a_job(tmp_path)['ASCEND_CACHE_PATH'] == '/fast/cache'
    assert os.environ['ASCEND_CACHE_PATH'] == '/fast/cache'


def test_a_failed_job_keeps_the_log_and_tells_its_last_error(tmp_path):
    lines = ['[ERROR] GE(7): E10001: first', '[INFO] GE(7): on', '[ERROR] FE: EZ9999: last', 'end']
    with logged() as said, pytest.raises(StackganError):
        files_of_a_job(tmp_path, StackganError('failed'), lines)
    assert said[0].startswith("the last error in CANN's log: [ERROR] FE: EZ9999: last; the log is ")
    assert list((tmp_path / 'job').rglob('plog-7_*.log'))
    files_of_a_job(tmp_path)                                    # the next attempt starts afresh
    assert not (tmp_path / 'job' / 'ascend-work').exists()


@pytest.mark.parametrize('error', [Interrupted('SIGTERM'), StackganError('before the card')])
def test_no_logs_nothing_kept(tmp_path, error):
    with logged() as said, pytest.raises(type(error)):
        files_of_a_job(tmp_path, error)
    assert not said and not (tmp_path / 'job' / 'ascend-work').exists()


def test_jobs_without_cann_are_left_alone(tmp_path):
    assert set(files_of_a_job(tmp_path, settings=()).values()) == {None}
    assert not list(tmp_path.iterdir())
    assert files_of_a_job(tmp_path, name='convert-om', settings=())['ASCEND_CACHE_PATH']


def test_profiles_stay_in_the_folder_of_the_job(tmp_path):
    profiled = NPU + ('platform.npu_options.profiling_mode=true',)
    with logged() as said:
        seen = files_of_a_job(tmp_path, settings=profiled)
    assert seen[PROFILE] == str(tmp_path / 'job' / 'ascend-profile')
    assert os.path.isdir(seen[PROFILE]) and seen[PROFILE] in said[0] and 'msprof' in said[0]
    own = '{"output": "/data/profile"}'
    seen = files_of_a_job(tmp_path, settings=profiled + (
        f'platform.npu_options.profiling_options={own!r}',))
    assert seen[PROFILE] is None                               # the user says where


@pytest.mark.parametrize('limit, stays', [(10, True), (9, False)])
def test_a_cache_that_nothing_bounds_is_emptied(tmp_path, monkeypatch, limit, stays):
    kernel = tmp_path / 'data' / 'cache' / 'ascend' / 'kernel_cache' / 'conv.o'
    kernel.parent.mkdir(parents=True)
    kernel.write_bytes(b'0123456789')
    monkeypatch.setattr(module, 'CACHE_LIMIT', limit)
    with logged() as said:
        files_of_a_job(tmp_path)
    assert kernel.exists() == stays and (tmp_path / 'data' / 'cache' / 'ascend').is_dir()
    assert bool(said) != stays


def test_lines_without_a_code(tmp_path):
    assert last_error(str(tmp_path)) is None
    (tmp_path / 'a.log').write_text('[ERROR] RUNTIME(1):out of memory\n[INFO] bye\n')
    assert last_error(str(tmp_path)) == '[ERROR] RUNTIME(1):out of memory'
