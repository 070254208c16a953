"""Sums over the cards of several Ascend NPUs, by HCCL."""

import importlib
from typing import Any, Sequence

import tensorflow.compat.v1 as tf

from stackgan.errors import MissingRequirement
from stackgan.platforms.workers import OWN_STEP, Engine

MODULE = 'npu_bridge.hccl.hccl_ops'
UNFUSED, BY_ID = 0, 2            # values of `fusion`


class Hccl(Engine):
    """One process a card; HCCL knows the others by the rank table or CM_CHIEF_IP.

    The graph engine fuses all-reduces of one fusion_id. By `fusion=1`, which the adapter's own
    distributed optimiser sets, the generator's gradients, which need the updated discriminator,
    would be fused with the discriminator's.
    """

    def __init__(
            self,
            size: int,           # number of cards
    ) -> None:
        self.size = size
        try:
            self.ops = importlib.import_module(MODULE)
        except (ImportError, NameError, AttributeError) as error:
            raise MissingRequirement(f'platform.device: npu on several workers, but {MODULE} '
                                     f'cannot be imported ({error}); put the hccl package of CANN '
                                     'on PYTHONPATH')

    def all_reduce(self, x: tf.Tensor, network: int) -> tf.Tensor:
        if network == OWN_STEP:          # within a pass through a network: it cannot wait
            return self.ops.allreduce(x, 'sum', fusion=UNFUSED)
        return self.ops.allreduce(x, 'sum', fusion=BY_ID, fusion_id=network)

    def broadcast(self, variables: Sequence[Any]) -> tf.Operation:
        return tf.group(*[each.assign(self.ops.broadcast([each.read_value()], 0)[0]).op
                          for each in variables])
