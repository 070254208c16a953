"""Arrays of .npz archives, with sizes checked before anything is allocated and without pickles."""

import functools
import operator
import zipfile

import numpy as np

from stackgan.errors import InputError
from stackgan.files import open_regular

MAX_BYTES = 1 << 30            # of one array, as it is stored and as float32


class Archive:
    """An open .npz file. Closes at the end of a `with` block."""

    def __init__(self, path):
        self.path = path
        try:
            self.stream = open_regular(path)
            self.zip = zipfile.ZipFile(self.stream)
            self.sizes = {info.filename[:-len('.npy')]: info.file_size
                          for info in self.zip.infolist() if info.filename.endswith('.npy')}
        except Exception as error:       # a damaged file can raise nearly anything
            raise InputError(f'{path}: not a readable .npz archive ({error})')

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.zip.close()
        self.stream.close()

    def read(self, name):
        """An array of numbers as float32. Raises InputError for anything else."""
        if name not in self.sizes:
            raise InputError('{}: the array {} is missing; it holds {}'.format(self.path, name, ', '.join(sorted(self.sizes)[:12])))
        try:
            with self.zip.open(name + '.npy') as stream:
                shape, is_fortran, dtype = read_header(stream)
                if dtype.kind not in 'fiu':
                    raise ValueError(f'it is of type {dtype}, only numbers are read')
                count = functools.reduce(operator.mul, shape, 1)      # never overflows
                if (not 0 <= count * dtype.itemsize <= self.sizes[name]
                        or count * max(dtype.itemsize, 4) > MAX_BYTES):
                    raise ValueError('shape %s does not fit its %d bytes'
                                     % (shape, self.sizes[name]))
                data = stream.read(count * dtype.itemsize)
                array = np.frombuffer(data, dtype).reshape(shape, order='FC'[not is_fortran])
        except Exception as error:       # a damaged file can raise nearly anything
            raise InputError('{}: the array {} cannot be read ({})'.format(self.path, name, ' '.join(str(error).split())[:200]))
        array = array.astype(np.float32, order='C')
        if not np.isfinite(array).all():
            raise InputError(f'{self.path}: the array {name} holds non-finite values (NaN or '
                             f'infinite)')
        return array


def read_header(stream):
    """(shape, whether columns come first, dtype) of a .npy stream.

    Of form 1.0, whose header has at most 64 KiB; the others are for records of many fields.
    """
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError('form %d.%d of .npy, only 1.0 is read' % version)
    return np.lib.format.read_array_header_1_0(stream)
