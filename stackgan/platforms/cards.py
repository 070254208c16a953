"""Which cards of this machine workers may use, one each. Imports no TensorFlow."""

import glob
import os
from typing import Dict, List

from stackgan.config.schema import Platform

GPUS, NPUS = '/dev/nvidia[0-9]*', '/dev/davinci[0-9]*'
VISIBLE = 'CUDA_VISIBLE_DEVICES'


def cards_here(settings: Platform) -> List[str]:
    """Names of the cards that this process sees; none where the CPU computes."""
    if settings.device == 'cpu' or settings.deterministic:
        return []
    if settings.device == 'npu':
        return [str(i) for i in range(len(glob.glob(NPUS)))]
    visible = os.environ.get(VISIBLE)
    if visible is not None and visible.strip() in ('', '-1'):          # hidden
        return []
    return visible.split(',') if visible else [str(i) for i in range(len(glob.glob(GPUS)))]


def card_of(
        rank: int,               # of a worker among all
        size: int,               # workers
        local_rank: int,         # of the worker among those of this machine
        here: int,               # workers on this machine
        settings: Platform,
) -> Dict[str, str]:
    """The environment that gives a worker a card of its own, if there are cards to choose from."""
    if settings.device == 'npu':
        found = {'RANK_ID': str(rank), 'RANK_SIZE': str(size)}
        return dict(found, ASCEND_DEVICE_ID=str(local_rank)) if here > 1 else found
    cards = cards_here(settings)
    return {VISIBLE: cards[local_rank % len(cards)]} if here > 1 and cards else {}
