"""As in the adapter: a library that cannot be loaded leaves `npu_bridge_handle` unset."""

import os

version = 'v1.15.0'
if os.environ.get('FAKE_NPU') != 'no library':
    npu_bridge_handle = object()
