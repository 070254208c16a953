"""Files that Torch7 wrote (.t7), read through `torchfile` within bounds.

`torchfile` builds objects by name only, and never imports or calls what a file names; but it takes
sizes, strides and offsets as they come, and strides outside of a storage read foreign memory. So
tensors and storages are read here, and checked, and the rest is counted. A whole file stays in
memory, at most MAX_BYTES of it.
"""

import os
import struct
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import Any, BinaryIO, Iterator, List, Tuple, Union

import numpy as np

from stackgan.errors import InputError, MissingRequirement
from stackgan.files import open_regular

MAX_BYTES = 1 << 30          # of a file; the published encoders have some 16 to 100 MB
MAX_OBJECTS = 1000000        # values in a file, tables and numbers alike
MAX_DEPTH = 3000             # values within each other; 344 nngraph nodes in a chain make 1400,
                             # and above 6000 Python 3.7 outgrows a stack of 8 MiB
MAX_DIMENSIONS = 8
MAX_NAME = 60                # bytes of the name of a class that a message shows
TORCH_OBJECT = 4             # type tag of what has a class
KINDS = {'Byte': 'u1', 'Char': 'i1', 'Short': '<i2', 'Int': '<i4', 'Long': '<i8', 'Float': '<f4',
         'Double': '<f8', 'Cuda': '<f4', 'CudaByte': 'u1', 'CudaChar': 'i1', 'CudaShort': '<i2',
         'CudaInt': '<i4', 'CudaLong': '<i8', 'CudaDouble': '<f8'}
TENSORS = {(f'torch.{name}Tensor').encode(): np.dtype(kind) for name, kind in KINDS.items()}
STORAGES = {(f'torch.{name}Storage').encode(): np.dtype(kind) for name, kind in KINDS.items()}


class _Refusal(Exception):
    """The file holds what is not admitted."""


def load_torch7(path: str) -> Any:
    """What a .t7 file holds. Strings and keys are bytes; tables are dicts, lists with keys from 1.

    Nothing that the file names is imported or called. Raises InputError, one line, for a file that
    is missing, damaged or out of bounds, and MissingRequirement where `torchfile` is not installed.
    """
    torchfile = _torchfile()
    try:
        with open_regular(path) as stream, _deep_recursion():
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_BYTES:
                raise _Refusal(f'it has {size} bytes, at most {MAX_BYTES} are read')
            return _reader_class(torchfile)(stream, size).read_obj()
    except _Refusal as refusal:
        raise InputError(f'{path}: refused to read this .t7 file: {refusal}')
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror or error})')
    except Exception as error:       # a damaged file can raise nearly anything
        reason = ' '.join(str(error).split())[:200]
        raise InputError(f'{path}: not a whole binary .t7 file of Torch7 '
                         f'({type(error).__name__}: {reason}); fetch it again')


def type_of(value: Any) -> str:
    """Class of a Torch object, as a short printable text: 'nn.Linear'; '' for anything else."""
    name = None if isinstance(value, dict) else getattr(value, '_typename', None)
    if not isinstance(name, bytes):
        return ''
    return name[:MAX_NAME].decode('latin1').encode('unicode_escape').decode('ascii')


def field(
        value: Any,            # a table or a Torch object, or anything else
        name: Union[str, int],     # a whole number from 1 in lists
) -> Any:
    """A field of a table or of an object; None where there is none."""
    if type_of(value):
        value = value._obj
    key = name.encode() if isinstance(name, str) else name
    return value.get(key) if isinstance(value, dict) else None


def items(table: Any) -> List[Any]:
    """Values of a list, in order. Anything that is not a list has none."""
    found: List[Any] = []
    while field(table, len(found) + 1) is not None:
        found.append(field(table, len(found) + 1))
    return found


def _torchfile() -> ModuleType:
    try:
        import torchfile
    except ImportError:
        raise MissingRequirement('reading .t7 files needs the package torchfile; install the extra '
                                 '`published` of pyproject.toml')
    return torchfile


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Room for MAX_DEPTH values within each other, each two or three calls deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 3 * MAX_DEPTH + 1000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _reader_class(torchfile: Any) -> Any:
    class Reader(torchfile.T7Reader):
        """Reads tensors and storages itself, and counts everything."""

        def __init__(self, stream: BinaryIO, size: int) -> None:
            # The heuristic that makes lists of tables compares their values, and a comparison
            # of arrays has no truth value.
            super().__init__(stream, use_list_heuristic=False)
            self.size, self.depth, self.count = size, 0, 0

        def read_obj(self) -> Any:
            self.depth += 1
            self.count += 1
            if self.depth > MAX_DEPTH:
                raise _Refusal(f'more than {MAX_DEPTH} values within each other')
            if self.count > MAX_OBJECTS:
                raise _Refusal(f'more than {MAX_OBJECTS} values')
            start = self.f.tell()
            if self.read_int() == TORCH_OBJECT:
                found, value = self._array()
            else:
                found = False
            if not found:
                self.f.seek(start)
                value = super().read_obj()
            self.depth -= 1
            return value

        def read_string(self, disable_utf8: bool = False) -> bytes:
            return self._bytes(self.read_int(), 'a text')

        def read_long(self) -> int:
            return struct.unpack('<q', self.f.read(8))[0]    # torchfile's is as long as C's

        def _array(self) -> Tuple[bool, Any]:
            """(whether a tensor or storage comes, its array)."""
            index = self.read_int()
            if index in self.objects:
                return True, self.objects[index]
            version = self.read_string()
            name = self.read_string() if version.startswith(b'V ') else version
            if name not in TENSORS and name not in STORAGES:
                return False, None
            self.objects[index] = None
            value = (self._storage(STORAGES[name]) if name in STORAGES
                     else self._tensor(TENSORS[name]))
            self.objects[index] = value
            return True, value

        def _storage(self, dtype: np.dtype) -> np.ndarray:
            count = self.read_long()
            return np.frombuffer(self._bytes(count * dtype.itemsize, 'a storage'), dtype)

        def _tensor(self, dtype: np.dtype) -> np.ndarray:
            dimensions = self.read_int()
            if not 0 <= dimensions <= MAX_DIMENSIONS:
                raise _Refusal(f'a tensor of {dimensions} dimensions')
            sizes = [self.read_long() for _ in range(dimensions)]
            strides = [self.read_long() for _ in range(dimensions)]
            offset = self.read_long() - 1
            storage = self.read_obj()
            if storage is None or dimensions == 0:
                return np.empty(0, dtype)
            if not isinstance(storage, np.ndarray) or storage.dtype != dtype or storage.ndim != 1:
                raise _Refusal('a tensor without a storage of its type')
            if min(sizes) < 1 or min(strides) < 0:
                raise _Refusal(f'a tensor of size {sizes} with strides {strides}')
            last = offset + sum((n - 1) * step for n, step in zip(sizes, strides))
            total = np.prod(sizes, dtype=float)        # with strides of 0 a value could fill memory
            if offset < 0 or last >= len(storage) or total > len(storage):
                raise _Refusal(f'a tensor of size {sizes}, strides {strides} and offset {offset} '
                               f'in a storage of {len(storage)} values')
            return np.lib.stride_tricks.as_strided(
                storage[offset:], sizes, [step * dtype.itemsize for step in strides],
                writeable=False)

        def _bytes(self, count: int, what: str) -> bytes:
            left = self.size - self.f.tell()
            if not 0 <= count <= left:
                raise _Refusal(f'{what} of {count} bytes where the file has {left} left')
            return self.f.read(count)

    return Reader
