"""A fake of npu_bridge for tests, with the shape of two releases: records and checks what is asked.

FAKE_NPU_RELEASE is '20.2' (adapter r1.2.0) or anything else (hicann/tensorflow 82957b9, CANN 9).
Both import the handle of the library first, so a library that cannot be loaded is an ImportError
of the package (npu_bridge/__init__.py); the newer also imports hccl, through npu_plugin.py.
"""

import os

from npu_bridge.helper.helper import npu_bridge_handle  # noqa: F401

if os.environ.get('FAKE_NPU') == 'no hccl' and os.environ.get('FAKE_NPU_RELEASE') != '20.2':
    raise ImportError('No module named \'hccl\'')
