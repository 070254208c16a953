"""Reads pickles of unknown origin without running what is in them.

A pickle is a program: it may name any function of the machine and call it. The files that come
with StackGAN's datasets hold lists, texts, numbers and NumPy arrays, so this reader knows stand-ins
for the few names those need and refuses every other one. NumPy's own functions are never called
with what the file says: an array is made here, from a checked shape, type and number of bytes.
"""

import pickle
import re

import numpy as np

from stackgan.errors import InputError

PLAIN_TYPE = r'[<>=|]?([biuf][0-9]{1,2}|[SU][0-9]{1,6})\Z'
# Booleans, integers, floats, byte strings, text; never objects or structures.
MAX_DEPTH = 16               # containers within containers
PLAIN_VALUES = (str, bytes, int, float, np.generic)     # bool is an int
ONLY = 'only lists, tuples, dicts, text, numbers and NumPy arrays of those are read'


class _Refusal(Exception):
    """The pickle wants something that is not admitted."""


def load_pickle(
        path,
        strings='latin1',    # what strings of Python 2 become: 'latin1': str; 'bytes': bytes.
                             # Arrays then use the bytes they are made of, without a copy.
):
    """What a pickle of protocol 0 to 4 holds: lists, tuples, dicts, str, bytes, numbers, arrays.

    Raises InputError for a file that is missing, damaged, or holds anything else; nothing that the
    file names is imported or called.
    """
    try:
        with open(path, 'rb') as stream:
            return _plain(_Reader(stream, encoding=strings).load(), {}, 0)
    except _Refusal as refusal:
        raise InputError('%s: refused to open this pickle: it holds %s; %s'
                         % (path, refusal, ONLY))
    except OSError as error:
        raise InputError('%s: cannot be read (%s)' % (path, error.strerror or error))
    except Exception as error:       # a damaged pickle can raise nearly anything
        raise InputError('%s: not a whole pickle of protocol 0 to 4 (%s: %s); fetch it again'
                         % (path, type(error).__name__, ' '.join(str(error).split())[:200]))


class _Reader(pickle._Unpickler):
    """Gives stand-ins for the admitted names and refuses every other.

    The reader in Python: as fast here, where most bytes are those of arrays, and the one in C makes
    a table as large as the largest number in its notes, which 45 bytes can drive to gigabytes.
    """

    def find_class(self, module, name):
        if module.startswith('numpy._core'):              # as NumPy 2 calls it
            module = 'numpy.core' + module[len('numpy._core'):]
        if (module, name) not in ADMITTED:
            named = ('%s.%s' % (module, name)).encode('unicode_escape').decode('ascii')
            raise _Refusal(named[:100])
        return _Admitted(ADMITTED[module, name])

    def persistent_load(self, identity):
        raise _Refusal('a reference to an object outside the file')


class _Admitted:
    """A function that a pickle may call but not change: the BUILD opcode could, otherwise."""

    __slots__ = ('_function',)

    def __init__(self, function):
        object.__setattr__(self, '_function', function)

    def __call__(self, *arguments):
        return self._function(*arguments)

    def __setstate__(self, state):
        raise _Refusal('a change to a function')

    def __setattr__(self, name, value):
        raise _Refusal('a change to a function')


class _Type:
    """Stand-in of a NumPy dtype that matches PLAIN_TYPE."""

    __slots__ = ('value',)

    def __init__(self, text):
        text = _text(text)
        if not isinstance(text, str) or not re.match(PLAIN_TYPE, text):
            raise _Refusal('an array of type %r' % (text,))
        self.value = np.dtype(text)

    def __setstate__(self, state):
        order = _text(state[1])
        if order not in ('<', '>', '=', '|') or state[2:5] != (None, None, None):
            raise _Refusal('an array of structured type')
        self.value = self.value.newbyteorder(order)


class _Array:
    """Stand-in of a NumPy array, until `_plain` puts the array in its place."""

    __slots__ = ('value',)

    def __setstate__(self, state):
        shape, kind, is_fortran, data = state[-4:]
        if not isinstance(kind, _Type):
            raise _Refusal('an array without a type')
        if isinstance(data, str):
            data = data.encode('latin1')            # written by Python 2
        if not isinstance(data, bytes):
            raise _Refusal('an array of objects')
        order = 'F' if is_fortran else 'C'
        self.value = np.frombuffer(data, kind.value).reshape(shape, order=order)


def _text(value):
    return value.decode('latin1') if isinstance(value, bytes) else value


def _new_array(*arguments):
    return _Array()


def _new_type(text, *flags):
    return _Type(text)


def _number(kind, data):
    """A NumPy scalar."""
    if not isinstance(kind, _Type):
        raise _Refusal('a number without a type')
    return np.frombuffer(data.encode('latin1') if isinstance(data, str) else data, kind.value)[0]


def _encode(text, encoding='latin1'):
    if encoding not in ('latin1', 'latin-1'):
        raise _Refusal('text in the encoding %r' % (encoding,))
    return text.encode('latin1')


def _no_bytes():
    return b''


def _never(*arguments):
    raise _Refusal('a call of numpy.ndarray')


ADMITTED = {
    ('numpy.core.multiarray', '_reconstruct'): _new_array,
    ('numpy.core.multiarray', 'scalar'): _number,
    ('numpy', 'ndarray'): _never,          # named as an argument of _reconstruct only
    ('numpy', 'dtype'): _new_type,
    ('_codecs', 'encode'): _encode,        # how Python 3 writes bytes in protocols 0 to 2
    ('builtins', 'bytes'): _no_bytes,      # and how it writes b''
    ('__builtin__', 'bytes'): _no_bytes,
}


def _plain(value, seen, depth):
    """`value` with real arrays in the place of stand-ins. `seen`: results by identity."""
    if isinstance(value, _Array):
        return value.value
    if value is None or isinstance(value, PLAIN_VALUES):
        return value
    if not isinstance(value, (list, tuple, dict)):
        raise _Refusal('a value of type %s' % type(value).__name__.lstrip('_').lower())
    if depth > MAX_DEPTH:
        raise _Refusal('more than %d containers within each other' % MAX_DEPTH)
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = value
    if isinstance(value, list):
        value[:] = [_plain(each, seen, depth + 1) for each in value]
    elif isinstance(value, dict):
        for key in list(value):
            value[_plain(key, seen, depth + 1)] = _plain(value[key], seen, depth + 1)
    else:
        seen[id(value)] = tuple(_plain(each, seen, depth + 1) for each in value)
    return seen[id(value)]
