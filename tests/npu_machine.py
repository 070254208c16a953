"""A machine with an NPU, as far as the Python side goes: driver, OPP package and an adapter.

The adapter is the fake npu_bridge of tests/fakes/npu in the shape of a release, or the vendor's own
Python code: STACKGAN_NPU_BRIDGE names checkouts of its repository, joined by ':' (Ascend/tensorflow
and hicann/tensorflow; TensorFlow 1.15 alone can import it). Its libraries are in `npu_library`.
"""

import os
import sys
from typing import Any, Iterator, List

import pytest
import tensorflow.compat.v1 as tf
from needs import ROOT
from npu_library import Operations, install

from stackgan.platforms import ascend, ascend_session

VARIABLES = ('ASCEND_DEVICE_ID', 'DEVICE_ID', 'RANK_SIZE', 'RANK_TABLE_FILE', 'JOB_ID', 'RANK_ID',
             'CM_CHIEF_IP', 'ASCEND_OPP_PATH', 'FAKE_NPU', 'FAKE_NPU_OVERFLOW',
             'ASCEND_CACHE_PATH', 'ASCEND_WORK_PATH', 'ENABLE_HF32_EXECUTION')
OLD, NEW = '20.2', '9'                       # releases of CANN
FAKES = [OLD, NEW]
VENDORS = [each for each in os.environ.get('STACKGAN_NPU_BRIDGE', '').split(os.pathsep) if each]
PLACES = {OLD: 'opp/framework/built-in', NEW: 'cann/opp/built-in/framework'}


def release_of(
        adapter: str,        # one of FAKES, or a checkout
) -> str:
    """OLD or NEW: where the adapter looks for its list of operations."""
    if adapter in FAKES:
        return adapter
    source = os.path.join(adapter, 'tf_adapter', 'util', 'npu_ops_identifier.cc')
    with open(source, encoding='utf-8') as stream:
        return NEW if '"/built-in/framework/tensorflow/npu_supported_ops.json"' in stream.read() \
            else OLD


def set_up(
        adapter: str,        # one of FAKES, or a checkout
        folder: Any,         # pathlib.Path; gets Ascend/
        monkeypatch: Any,
) -> Iterator[Any]:
    """For a fixture: yields the folder in the place of /usr/local/Ascend."""
    if adapter not in FAKES and not tf.version.VERSION.startswith('1.15'):
        pytest.skip("the vendor's npu_bridge needs TensorFlow 1.15")
    for name in VARIABLES:
        monkeypatch.setenv(name, '')                 # so that what the code sets is undone
        monkeypatch.delenv(name)
    release = release_of(adapter)
    monkeypatch.setenv('FAKE_NPU_RELEASE', release)
    root = folder / 'Ascend'
    (root / 'driver').mkdir(parents=True)
    operations = root / PLACES[release] / 'tensorflow'
    operations.mkdir(parents=True)
    (operations / 'npu_supported_ops.json').write_text('{"Conv2D": {"isGray": false}}')
    monkeypatch.setattr(ascend, 'ROOT', str(root))
    monkeypatch.setattr(ascend_session, '_first_options', {})
    monkeypatch.setattr(tf.Session, '__init__', tf.Session.__init__)       # undone as well
    _forget_adapter()
    if adapter in FAKES:
        monkeypatch.syspath_prepend(os.path.join(ROOT, 'tests', 'fakes', 'npu'))
    else:
        _installed.append(install(os.path.join(adapter, 'tf_adapter', 'python'), monkeypatch))
    yield root
    del _installed[:]
    _forget_adapter()


def hccl_calls() -> List[tuple]:
    """What was asked of HCCL: (operation, number of elements, fusion, fusion_id)."""
    if _installed:
        return _installed[0].calls
    from npu_bridge.hccl.hccl_ops import calls
    return calls


_installed: List[Operations] = []


def _forget_adapter() -> None:
    for name in [name for name in sys.modules if name.split('.')[0] == 'npu_bridge']:
        del sys.modules[name]
