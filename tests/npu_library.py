"""Stands in for the native libraries of the vendor's npu_bridge, so that its own Python code runs.

A fake: the overflow register shows what is not finite among the gradients that a reading of it
waits for, or what FAKE_NPU_OVERFLOW names, and every card but this one holds zeros.
"""

import importlib.machinery
import os
import sys
import types
from typing import Any, Callable, List

import tensorflow.compat.v1 as tf
from tensorflow.python.framework import ops

NATIVE = ('hccl', 'hccl.manage', 'hccl.manage.api', 'hccl.split', 'hccl.split.api')


class Operations:
    """What tf.load_op_library gives for _tf_adapter.so: the operations that a training calls.

    Signatures: tf_adapter/ops/npu_ops.cc and hccl_ops.cc. r1.2.0 writes the register into the
    output of npu_alloc_float_status; the newer npu_get_float_status_v2 returns it.
    """

    def __init__(self) -> None:
        self.calls: List[tuple] = []     # (operation, number of elements, fusion, fusion_id)

    def npu_alloc_float_status(self) -> Any:
        with tf.control_dependencies(None):
            return tf.Variable(tf.zeros([8]), trainable=False, use_resource=False,
                               collections=[tf.GraphKeys.LOCAL_VARIABLES],
                               name='float_status')._ref()

    def npu_get_float_status(self, status: Any) -> Any:
        return tf.identity(tf.assign(status, tf.fill([8], _overflow())))

    def npu_clear_float_status(self, status: Any) -> Any:
        return status - status               # which waits for it; tf.zeros_like would not

    def npu_get_float_status_v2(self) -> Any:
        return tf.cast(tf.fill([8], _overflow()), tf.int32)

    def npu_clear_float_status_v2(self) -> Any:
        return tf.no_op()

    def hcom_all_reduce(self, input: Any, reduction: str, fusion: int, fusion_id: int,
                        group: str) -> Any:
        assert reduction == 'sum' and group == 'hccl_world_group'
        assert fusion in (0, 1) or fusion_id >= 0, 'fusion=2 needs a fusion_id'
        tensor = tf.convert_to_tensor(input)
        self.calls.append(('allreduce', tensor.shape.num_elements(), fusion, fusion_id))
        return tf.identity(tensor)

    def hcom_broadcast(self, input: List[Any], root_rank: int, fusion: int, fusion_id: int,
                       group: str) -> List[Any]:
        self.calls.append(('broadcast', sum(each.shape.num_elements() for each in input), fusion,
                           fusion_id))
        return [tf.identity(each) for each in input]


def _overflow() -> Any:
    """[] float32: 1 after an overflow, by the tensors among the control dependencies of here."""
    gradients = [operation.outputs[0] for operation in
                 tf.get_default_graph()._current_control_dependencies() if operation.outputs]
    named = os.environ.get('FAKE_NPU_OVERFLOW')
    if named and (named == 'always' or any(named in each.op.name for each in gradients)):
        return tf.cast(tf.random_uniform([]) < 2.0, tf.float32)        # no constant to fold
    is_finite = tf.reduce_all([tf.reduce_all(tf.is_finite(each)) for each in gradients
                               if each.dtype.is_floating])
    return tf.cast(tf.logical_not(is_finite), tf.float32)


class _Module(types.ModuleType):
    """A native module: every name is a function that gives 0."""

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name.startswith('__'):
            raise AttributeError(name)
        return lambda *_, **__: 0


def install(
        package: str,            # the vendor's folder tf_adapter/python
        monkeypatch: Any,
) -> Operations:
    """Makes `import npu_bridge` import the vendor's.

    FAKE_NPU='no library': its library cannot be loaded. FAKE_NPU_INF_NAN=1: a card that makes
    infinities instead of setting its register.
    """
    operations = Operations()

    def load(path: str) -> Operations:
        if os.environ.get('FAKE_NPU') == 'no library':
            raise OSError(f'{path}: cannot open shared object file')
        return operations

    monkeypatch.setattr('tensorflow.load_op_library', load)
    # They take each name once a process.
    for registry in (ops._gradient_registry, ops._proto_function_registry):
        monkeypatch.setattr(registry, '_registry', dict(registry._registry))
    for name in NATIVE:
        monkeypatch.setitem(sys.modules, name, _Module(name))
    monkeypatch.setattr(sys, 'meta_path', [_Adapter()] + sys.meta_path)
    monkeypatch.syspath_prepend(package)
    return operations


class _Adapter:
    """Finds npu_bridge.tf_adapter, an extension module since r1.3.0."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name == 'npu_bridge.tf_adapter':
            return importlib.machinery.ModuleSpec(name, self)          # type: ignore[arg-type]
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        module: Any = _Module(spec.name)
        module.GetDeviceSatMode = lambda: int(os.environ.get('FAKE_NPU_INF_NAN', '0'))
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        pass
