"""TFLite files of someone else: read within bounds, operations by allow-list.

TensorFlow Lite trusts a file: custom operations are code of whoever registered them (Flex ones run
any operation of TensorFlow, which may read and write files), and control flow may never end. So no
interpreter is made before `require_plain_network` has seen the file.

A TFLite file is a FlatBuffer (schema.fbs of TensorFlow): tables that begin with the distance to a
list of where their fields are.
"""

import struct
from typing import Any, List, Optional

import numpy as np

from stackgan.model_bounds import LARGEST_TENSOR

IDENTIFIER = b'TFL3'
MAX_TENSORS = 10000
MAX_RANK = 8
# Of a convolutional network: schema.fbs, BuiltinOperator.
ALLOWED = {
    0: 'ADD', 1: 'AVERAGE_POOL_2D', 2: 'CONCATENATION', 3: 'CONV_2D', 4: 'DEPTHWISE_CONV_2D',
    6: 'DEQUANTIZE', 9: 'FULLY_CONNECTED', 11: 'L2_NORMALIZATION', 14: 'LOGISTIC',
    17: 'MAX_POOL_2D', 18: 'MUL', 19: 'RELU', 21: 'RELU6', 22: 'RESHAPE', 25: 'SOFTMAX',
    28: 'TANH', 34: 'PAD', 39: 'TRANSPOSE', 40: 'MEAN', 41: 'SUB', 43: 'SQUEEZE', 54: 'PRELU',
    55: 'MAXIMUM', 57: 'MINIMUM', 98: 'LEAKY_RELU', 114: 'QUANTIZE', 117: 'HARD_SWISH'}


class Unfit(Exception):
    """Why a file is not used, in words for the end of a sentence."""


class _Table:
    """A table of a FlatBuffer. Reading outside of the file raises struct.error."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        self.fields = position - _number('<i', data, position)
        self.size = _number('<H', data, self.fields)

    def _place(self, field: int) -> Optional[int]:
        """Where a field is; None: it has its default."""
        entry = 4 + 2 * field
        offset = _number('<H', self.data, self.fields + entry) if entry < self.size else 0
        return self.position + offset if offset else None

    def number(self, field: int, kind: str, default: int = 0) -> int:
        place = self._place(field)
        return default if place is None else _number(kind, self.data, place)

    def has(self, field: int) -> bool:
        return self._place(field) is not None

    def vector(self, field: int, maximum: int) -> List[int]:
        """Where each of the 4-byte entries of a vector is."""
        place = self._place(field)
        if place is None:
            return []
        place += _number('<I', self.data, place)
        length = _number('<I', self.data, place)
        if length > maximum:
            raise Unfit(f'a list of {length} entries; at most {maximum} are read')
        return [place + 4 + 4 * index for index in range(length)]

    def tables(self, field: int, maximum: int) -> List['_Table']:
        return [_Table(self.data, place + _number('<I', self.data, place))
                for place in self.vector(field, maximum)]


def _number(kind: str, data: bytes, place: int) -> Any:
    if place < 0:
        raise struct.error('before the file')
    return struct.unpack_from(kind, data, place)[0]


def require_plain_network(data: bytes) -> None:
    """Raises Unfit unless a file is one graph of allowed operations on tensors of bounded size."""
    try:
        if data[4:8] != IDENTIFIER:
            raise Unfit('it is not a TFLite file')
        model = _Table(data, _number('<I', data, 0))
        _check_operations(model)
        graphs = model.tables(2, MAX_TENSORS)
        if len(graphs) != 1:
            raise Unfit(f'it has {len(graphs)} graphs; one is expected')
        for tensor in graphs[0].tables(0, MAX_TENSORS):
            shape = [_number('<i', data, place) for place in tensor.vector(0, MAX_RANK)]
            if any(side < 0 for side in shape) or np.prod(shape, dtype=float) > LARGEST_TENSOR:
                raise Unfit(f'a tensor of shape {shape}')
    except struct.error:
        raise Unfit('it is damaged')


def _check_operations(model: _Table) -> None:
    for operation in model.tables(1, MAX_TENSORS):
        code = max(operation.number(0, '<b'), operation.number(3, '<i'))
        if operation.has(1) or code not in ALLOWED:
            raise Unfit(f'operation {"custom" if operation.has(1) else code} is not among those of '
                        'a convolutional network')
