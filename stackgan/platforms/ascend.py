"""Whether this machine can compute on an Ascend NPU with `npu_bridge`, the TensorFlow adapter.

The adapter runs everything on the CPU, without a word, where it finds no list of operations, so
that and the rest of what it needs is checked here, for CANN 20.2 (adapter r1.2.0) to CANN 9.
"""

import json
import os
from typing import Mapping, Union

from stackgan.errors import InputError, MissingRequirement
from stackgan.platforms.ascend_loss_scale import load_adapter
from stackgan.platforms.ascend_options import NEW, OLD, check_options

ROOT = '/usr/local/Ascend'
LIST = 'npu_supported_ops.json'
# Below the OPP, by tf_adapter/util/npu_ops_identifier.cc: r1.2.0, and r1.10.0 to CANN 9.
OLD_PLACE = ('framework', 'built-in', 'tensorflow', LIST)
NEW_PLACE = ('built-in', 'framework', 'tensorflow', LIST)
OPPS = ('cann/opp', 'ascend-toolkit/latest/opp', 'nnae/latest/opp', 'opp')     # below ROOT
ONE_CARD = {'RANK_SIZE': '1', 'JOB_ID': '10087', 'ASCEND_DEVICE_ID': '0'}


def require(
        npu_options: Mapping[str, Union[bool, int, str]] = {},    # noqa: B006  # of `platform`
        workers: int = 1,         # cards that train together, one process each
) -> None:
    """Checks that this machine can train on an NPU and completes the environment for its card.

    Raises MissingRequirement for what is not there, InputError for what would abort the process.
    """
    driver = os.path.join(ROOT, 'driver')
    if not os.path.isdir(driver):
        raise MissingRequirement(f'platform.device: npu, but there is no Ascend driver at {driver};'
                                 ' in a container, mount it from the host')
    _require_operations()
    _require_adapter()
    check_options(npu_options, release())
    if workers > 1:
        _check_ranks(workers)
    else:
        _complete_environment()


def opp_folder() -> str:
    """The OPP package: $ASCEND_OPP_PATH, or the first place where a release puts it."""
    places = [os.path.join(ROOT, *name.split('/')) for name in OPPS]
    return os.environ.get('ASCEND_OPP_PATH') or next(filter(os.path.isdir, places), places[-1])


def release() -> str:
    """Which adapter's options this machine reads: `ascend_options.OLD` or `NEW`."""
    return NEW if os.path.isdir(os.path.join(opp_folder(), 'built-in')) else OLD


def operations_list() -> str:
    """Path of the adapter's list of operations."""
    return os.path.join(opp_folder(), *(NEW_PLACE if release() == NEW else OLD_PLACE))


def _require_operations() -> None:
    path = operations_list()
    try:
        with open(path, encoding='utf-8') as stream:
            known = json.load(stream)
        if not isinstance(known, dict) or not known:
            raise ValueError('it lists no operation')
    except (OSError, ValueError) as error:
        raise MissingRequirement(f'platform.device: npu, but {path} cannot be used ({error}); '
                                 'without it the adapter would run everything on the CPU. Set '
                                 'ASCEND_OPP_PATH to the OPP package')


def _require_adapter() -> None:
    try:
        import npu_bridge  # noqa: F401
    except (ImportError, NameError, AttributeError) as error:
        if 'npu_bridge_handle' in str(error):      # what a library that is not loaded leaves unset
            raise MissingRequirement(
                'platform.device: npu, but npu_bridge could not load its library _tf_adapter.so; '
                'put the driver and CANN on LD_LIBRARY_PATH by its set_env.sh (the image does so '
                'in a shell that is not cleared)')
        if 'hccl' in str(error):                   # imported by adapters after r1.2.0
            raise MissingRequirement(
                f'platform.device: npu, but npu_bridge cannot be imported ({error}); put the hccl '
                'package of CANN on PYTHONPATH by its set_env.sh')
        raise MissingRequirement(f'platform.device: npu, but npu_bridge cannot be imported '
                                 f'({error}); use an Ascend TensorFlow 1.15 image, or put the '
                                 "adapter's wheel (tfplugin) on PYTHONPATH")
    load_adapter()


def _complete_environment() -> None:
    """Sets what the adapter reads for one card. Raises InputError for what it would abort at."""
    device = os.environ.get('ASCEND_DEVICE_ID') or os.environ.get('DEVICE_ID') or '0'
    if not device.isdigit():
        raise InputError(f'ASCEND_DEVICE_ID is {device!r}; must be the number of a card, such as 0')
    if os.environ.get('RANK_SIZE', '1') != '1' or os.environ.get('RANK_TABLE_FILE'):
        raise InputError('RANK_SIZE or RANK_TABLE_FILE asks for several cards; a job takes '
                         'one, and trainings platform.workers: unset both')
    for name, value in ONE_CARD.items():
        if name != 'ASCEND_DEVICE_ID' or not os.environ.get('DEVICE_ID'):
            os.environ.setdefault(name, value)


def _check_ranks(workers: int) -> None:
    """Raises InputError unless the environment says how HCCL finds the other cards."""
    size, rank = os.environ.get('RANK_SIZE', ''), os.environ.get('RANK_ID', '')
    if size != str(workers):
        raise InputError(f'RANK_SIZE is {size!r}, but {workers} workers train; it must be their '
                         'number')
    if not rank.isdigit() or int(rank) >= workers:
        raise InputError(f'RANK_ID is {rank!r}; must be a number from 0 to {workers - 1}')
    table = os.environ.get('RANK_TABLE_FILE')
    if not table and not os.environ.get('CM_CHIEF_IP'):
        raise InputError(f'{workers} workers on NPUs, but neither RANK_TABLE_FILE nor CM_CHIEF_IP '
                         'says where the others are; set one')
    if table and not os.path.isfile(table):
        raise InputError(f'RANK_TABLE_FILE: there is no file {table}')
    os.environ.setdefault('JOB_ID', ONE_CARD['JOB_ID'])
