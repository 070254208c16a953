"""Reads pickles of unknown origin without running what is in them.

A pickle is a program: it may name any function of the machine and call it. The files that come
with StackGAN's datasets hold lists, texts, numbers and NumPy arrays, so this reader knows stand-ins
for the few names those need and refuses every other one. NumPy's own functions are never called
with what the file says: an array is made here, from a checked shape, type and number of bytes.

What a file costs is in proportion to its size. A few hundred bytes can name one value so often that
hashing, showing or copying it takes hours: keys of dicts are text, bytes or small whole numbers,
messages name types and not values, and no more bytes are copied than the file has.
"""

import functools
import os
import pickle
import re
from typing import Any, Callable, Dict

import numpy as np

from stackgan.errors import InputError
from stackgan.files import open_regular

PLAIN_TYPE = r'[<>=|]?([biuf][0-9]{1,2}|[SU][0-9]{1,6})\Z'
# Booleans, integers, floats, byte strings, text; never objects or structures.
MAX_DEPTH = 16               # containers within containers
MAX_BYTES = 8 << 30          # of a file; the embeddings of CUB-200-2011 take up to 1.7 GB
MAX_STEPS = 10 * 1000 * 1000     # instructions; an array takes some 30, anything else 1 to 3
MAX_DIGITS = 60              # of a number in letters: reading one takes the square of its length
MAX_NUMBER_BYTES = 32        # of any other whole number
MAX_KEY = 2 ** 61 - 2        # of a dict: larger numbers can be chosen so that all hashes are alike
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
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_BYTES:
                raise _Refusal('%d bytes, more than %d' % (size, MAX_BYTES))
            return _plain(_Reader(stream, size, strings).load(), {}, 0)
    except _Refusal as refusal:
        raise InputError(f'{path}: refused to open this pickle: it holds {refusal}; {ONLY}')
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror or error})')
    except Exception as error:       # a damaged pickle can raise nearly anything
        raise InputError('{}: not a whole pickle of protocol 0 to 4 ({}: {}); fetch it again'.format(path, type(error).__name__, ' '.join(str(error).split())[:200]))


class _Reader(pickle._Unpickler):
    """Gives stand-ins for the admitted names and refuses every other.

    The reader in Python: as fast here, where most bytes are those of arrays, and the one in C makes
    a table as large as the largest number in its notes, which 45 bytes can drive to gigabytes.
    """

    def __init__(self, stream, size, strings):
        super().__init__(stream, encoding=strings)
        self.steps = MAX_STEPS
        self.unencoded = size            # bytes of text that may still become bytes

    def find_class(self, module, name):
        if module.startswith('numpy._core'):              # as NumPy 2 calls it
            module = 'numpy.core' + module[len('numpy._core'):]
        if (module, name) not in ADMITTED:
            named = (f'{module}.{name}').encode('unicode_escape').decode('ascii')
            raise _Refusal(named[:100])
        return _Admitted(functools.partial(ADMITTED[module, name], self))

    def persistent_load(self, identity):
        raise _Refusal('a reference to an object outside the file')

    def encoded(self, text):
        """Text as bytes: each of the file's once, however often it is named."""
        self.unencoded -= len(text)
        if self.unencoded < 0:
            raise _Refusal('texts that make more bytes than the file has')
        return text.encode('latin1')

    def load_build(self):
        if not isinstance(self.stack[-2], (_Admitted, _Type, _Array)):
            raise _Refusal('a change to a value')
        state = self.stack.pop()
        self.stack[-1].__setstate__(state)

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        self._set(self.stack[-1], [key, value])

    def load_setitems(self):
        items = self.pop_mark()
        self._set(self.stack[-1], items)

    def load_dict(self):
        items = self.pop_mark()
        self.append(self._set({}, items))

    def _set(self, target, items):
        if type(target) is not dict:
            raise _Refusal('keys of what is no dict')
        for key, value in zip(items[::2], items[1::2]):
            if not isinstance(key, (str, bytes)) and not (
                    isinstance(key, int) and abs(key) <= MAX_KEY):
                raise _Refusal(f'a key of type {_kind(key)}' if not isinstance(key, int) else
                               'a key that is a number of more than 60 bits')
            target[key] = value
        return target

    def load_long1(self):
        self._load_long(self.read(1)[0])

    def load_long4(self):
        self._load_long(int.from_bytes(self.read(4), 'little'))

    def _load_long(self, count):
        if count > MAX_NUMBER_BYTES:
            raise _Refusal('a whole number of %d bytes' % count)
        self.append(pickle.decode_long(self.read(count)))


def _in_few_letters(load: Callable) -> Callable:
    """`load` of a reader, of a line that may not be long."""
    def bounded(self):
        readline = self.readline

        def short_line():
            line = readline()
            if len(line) > MAX_DIGITS:
                raise _Refusal('a number of %d letters' % len(line))
            return line

        self.readline = short_line
        try:
            load(self)
        finally:
            self.readline = readline
    return bounded


def _counted(load: Callable) -> Callable:
    def step(self):
        self.steps -= 1
        if self.steps < 0:
            raise _Refusal('more than %d instructions' % MAX_STEPS)
        load(self)
    return step


class _Instructions(dict):
    def __missing__(self, code):
        raise _Refusal(f'the instruction {bytes([code])!r}')


def _instructions() -> Dict[int, Callable]:
    """The methods of _Reader for what is admitted: no sets, classes, buffers or extensions."""
    known, found = pickle._Unpickler.dispatch, _Instructions()
    for name in ADMITTED_INSTRUCTIONS.split():
        code = getattr(pickle, name)[0]
        load = getattr(_Reader, known[code].__name__)      # _Reader's own where it has one
        if name in ('INT', 'LONG', 'FLOAT', 'GET', 'PUT'):
            load = _in_few_letters(load)
        found[code] = _counted(load)
    return found


ADMITTED_INSTRUCTIONS = '''
    PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8
    UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE
    GLOBAL STACK_GLOBAL REDUCE BUILD PERSID BINPERSID'''
_Reader.dispatch = _instructions()


def _kind(value: Any) -> str:
    """The type of a value for a message: a value itself may have no end when it is shown."""
    return type(value).__name__.lstrip('_').lower()


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
            raise _Refusal('an array of type %s' % (
                repr(text[:60]) if isinstance(text, str) else _kind(text)))
        self.value = np.dtype(text)

    def __setstate__(self, state):
        order = _text(state[1])
        if order not in ('<', '>', '=', '|') or state[2:5] != (None, None, None):
            raise _Refusal('an array of structured type')
        self.value = self.value.newbyteorder(order)


class _Array:
    """Stand-in of a NumPy array, until `_plain` puts the array in its place."""

    __slots__ = ('value', 'reader')

    def __init__(self, reader):
        self.reader = reader

    def __setstate__(self, state):
        shape, kind, is_fortran, data = state[-4:]
        if not isinstance(kind, _Type):
            raise _Refusal('an array without a type')
        if isinstance(data, str):
            data = self.reader.encoded(data)        # written by Python 2
        if not isinstance(data, bytes):
            raise _Refusal('an array of objects')
        if not isinstance(shape, tuple) or not all(type(side) is int for side in shape):
            raise _Refusal('an array without a shape')
        order = 'F' if is_fortran else 'C'
        self.value = np.frombuffer(data, kind.value).reshape(shape, order=order)


def _text(value):
    return value.decode('latin1') if isinstance(value, bytes) else value


def _new_array(reader, *arguments):
    return _Array(reader)


def _new_type(reader, text, *flags):
    return _Type(text)


def _number(reader, kind, data):
    """A NumPy scalar."""
    if not isinstance(kind, _Type) or len(data) != kind.value.itemsize:
        raise _Refusal('a number without a type')
    return np.frombuffer(reader.encoded(data) if isinstance(data, str) else data, kind.value)[0]


def _encode(reader, text, encoding='latin1'):
    if encoding not in ('latin1', 'latin-1'):
        raise _Refusal('text in another encoding than Latin-1')
    return reader.encoded(text)


def _no_bytes(reader):
    return b''


def _never(reader, *arguments):
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
        raise _Refusal(f'a value of type {_kind(value)}')
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
