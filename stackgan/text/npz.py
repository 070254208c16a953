"""Arrays of .npz archives, with sizes checked before anything is allocated and without pickles."""

import functools
import operator
import zipfile
from typing import IO, Any, Tuple

import numpy as np

from stackgan.errors import InputError
from stackgan.files import open_regular

MAX_BYTES = 1 << 30            # of one array, as it is stored and as float32


class Archive:
    """An open .npz file. Closes at the end of a `with` block."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self.stream = open_regular(path)
            self.zip = zipfile.ZipFile(self.stream)
            self.sizes = {info.filename[:-len('.npy')]: info.file_size
                          for info in self.zip.infolist() if info.filename.endswith('.npy')}
        except Exception as error:       # a damaged file can raise nearly anything
            raise InputError(f'{path}: not a readable .npz archive ({error})')

    def __enter__(self) -> 'Archive':
        return self

    def __exit__(self, *error: Any) -> None:
        self.zip.close()
        self.stream.close()

    def read(self, name: str) -> np.ndarray:
        """An array of numbers as float32. Raises InputError for anything else."""
        if name not in self.sizes:
            raise InputError(f'{self.path}: the array {name} is missing; it holds '
                             + ', '.join(sorted(self.sizes)[:12]))
        try:
            with self.zip.open(name + '.npy') as stream:
                shape, is_fortran, dtype = read_header(stream)
                if dtype.kind not in 'fiu':
                    raise ValueError(f'it is of type {dtype}, only numbers are read')
                count = functools.reduce(operator.mul, shape, 1)      # never overflows
                if (not 0 <= count * dtype.itemsize <= self.sizes[name]
                        or count * max(dtype.itemsize, 4) > MAX_BYTES):
                    raise ValueError(f'shape {shape} does not fit its {self.sizes[name]} bytes')
                data = stream.read(count * dtype.itemsize)
                array = np.frombuffer(data, dtype).reshape(shape, order='F' if is_fortran else 'C')
        except Exception as error:       # a damaged file can raise nearly anything
            reason = ' '.join(str(error).split())[:200]
            raise InputError(f'{self.path}: the array {name} cannot be read ({reason})')
        array = array.astype(np.float32, order='C')
        if not np.isfinite(array).all():
            raise InputError(f'{self.path}: the array {name} holds non-finite values (NaN or '
                             'infinite)')
        return array


def read_header(stream: IO[bytes]) -> Tuple[Tuple[int, ...], bool, np.dtype]:
    """(shape, whether it is in column-major order, dtype) of a .npy stream of format 1.0.

    Its header has at most 64 KiB; the other formats are for records of many fields.
    """
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f'form {version[0]}.{version[1]} of .npy, only 1.0 is read')
    return np.lib.format.read_array_header_1_0(stream)
