"""Reads protocol buffers by a table of fields, without generated code and within limits.

Only fields that the table has are accepted, and only up to a number of fields in all: a field of
two bytes can cost a protobuf library a hundred bytes of memory.
"""

import struct
from typing import Any, Dict, List, NamedTuple, Tuple, Union

INT, FLOAT, BYTES, TEXT, INTS, FIXED = 'int', 'float', 'bytes', 'text', 'ints', 'fixed'
REFUSED = 'refused'        # the name of such a field is the reason, after "it holds"
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5            # wire types
OF = {INT: VARINT, FLOAT: FIXED32, BYTES: DELIMITED, TEXT: DELIMITED}
DEEPEST = 12               # messages within messages


class WireFault(Exception):
    """What is wrong with a message, worded as the end of a sentence."""


class Field(NamedTuple):
    """A field that a message may have under a number."""

    name: str
    kind: Union[str, Dict[int, Any]]    # INT ..., or the table of another message
    repeated: bool = False
    most: int = 1 << 31                 # bytes, if it is length-delimited


class Budget:
    """The number of fields that may still be read."""

    def __init__(
            self,
            fields: int,    # of the whole message, including nested ones
    ) -> None:
        self.most = self.left = fields

    def spend(self, fields: int = 1) -> None:
        self.left -= fields
        if self.left < 0:
            raise WireFault(f'it has more than {self.most} fields')


def read_message(
        data: bytes,
        table: Dict[int, Field],
        budget: Budget,
) -> Dict[str, Any]:
    """{name: value; a list for a repeated field}. Raises WireFault.

    The value of BYTES is a memoryview, so that nothing is copied; INT and INTS are signed.
    """
    return _read(memoryview(data), table, budget, 'the file', DEEPEST)


def _read(data: memoryview, table: Dict[int, Field], budget: Budget, place: str,
          deeper: int) -> Dict[str, Any]:
    if not deeper:
        raise WireFault(f'{place} is nested too deeply')
    found: Dict[str, Any] = {}
    position, end = 0, len(data)
    while position < end:
        budget.spend()
        key, position = _varint(data, position, place)
        field = table.get(key >> 3)
        if field is None:
            raise WireFault(f'{place} has an unknown field {key >> 3}')
        if field.kind == REFUSED:
            raise WireFault('it holds ' + field.name)
        value, position = _value(data, position, key & 7, field, budget, place, deeper)
        if field.kind == INTS:
            found.setdefault(field.name, []).extend(value)
        elif field.repeated:
            found.setdefault(field.name, []).append(value)
        elif field.name in found:
            raise WireFault(f'{place} has two of {field.name}')
        else:
            found[field.name] = value
    return found


def _value(data: memoryview, position: int, wire: int, field: Field, budget: Budget, place: str,
           deeper: int) -> Tuple[Any, int]:
    """(value, where the next field begins)."""
    kind = field.kind
    if kind == FIXED and wire in (FIXED32, FIXED64):            # numbers that are not used
        return None, _step(data, position, 4 if wire == FIXED32 else 8, place)
    if kind == INTS and wire == VARINT:
        number, position = _varint(data, position, place)
        return [_signed(number)], position
    if wire != OF.get(kind, DELIMITED) if isinstance(kind, str) else wire != DELIMITED:
        raise WireFault(f'{field.name} in {place} is of another wire type')
    if kind == INT:
        number, position = _varint(data, position, place)
        return _signed(number), position
    if kind == FLOAT:
        end = _step(data, position, 4, place)
        return struct.unpack('<f', data[position:end])[0], end
    size, position = _varint(data, position, place)
    if size > field.most:
        raise WireFault(f'{field.name} in {place} has {size} bytes, more than {field.most}')
    end = _step(data, position, size, place)
    return _delimited(data[position:end], field, budget, place, deeper), end


def _delimited(part: memoryview, field: Field, budget: Budget, place: str, deeper: int) -> Any:
    if field.kind == TEXT:
        try:
            return str(part, 'utf-8')
        except UnicodeDecodeError:
            raise WireFault(f'{field.name} in {place} is not UTF-8')
    if field.kind == INTS:
        return _packed(part, budget, place)
    if isinstance(field.kind, str):                             # BYTES, or packed FIXED
        return part
    return _read(part, field.kind, budget, field.name, deeper - 1)


def _packed(part: memoryview, budget: Budget, place: str) -> List[int]:
    numbers, position = [], 0
    while position < len(part):
        budget.spend()
        number, position = _varint(part, position, place)
        numbers.append(_signed(number))
    return numbers


def _varint(data: memoryview, position: int, place: str) -> Tuple[int, int]:
    """(number of up to 64 bits, where the next one begins)."""
    number = shift = 0
    while shift < 70:
        if position >= len(data):
            raise WireFault(f'{place} is cut off')
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise WireFault(f'{place} holds a number of more than 64 bits')


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _step(data: memoryview, position: int, size: int, place: str) -> int:
    if position + size > len(data):
        raise WireFault(f'{place} is cut off')
    return position + size
