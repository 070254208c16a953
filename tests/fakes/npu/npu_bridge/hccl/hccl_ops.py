"""HCCL's operations as npu_bridge/hccl/hccl_ops.py of Ascend/tensorflow r1.2.0 declares them.

A fake: every card but this one holds zeros. `calls` has what was asked.
"""

import tensorflow.compat.v1 as tf

DTYPES = (tf.int8, tf.int16, tf.int32, tf.float16, tf.float32)      # of HcomAllReduce
calls = []               # (operation, number of elements, fusion, fusion_id)


def allreduce(tensor, reduction, fusion=1, fusion_id=-1, group='hccl_world_group'):
    assert reduction in ('max', 'min', 'prod', 'sum') and group == 'hccl_world_group'
    assert tensor.dtype in DTYPES, f'HcomAllReduce has no {tensor.dtype}'
    assert fusion in (0, 1) or fusion_id >= 0, 'fusion=2 needs a fusion_id'
    calls.append(('allreduce', tensor.shape.num_elements(), fusion, fusion_id))
    return tf.identity(tensor)


def broadcast(tensor, root_rank, fusion=0, fusion_id=-1, group='hccl_world_group'):
    assert isinstance(tensor, list) and root_rank == 0
    calls.append(('broadcast', sum(each.shape.num_elements() for each in tensor), fusion,
                  fusion_id))
    return [tf.identity(each) for each in tensor]
