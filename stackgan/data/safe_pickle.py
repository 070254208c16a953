"""Reads pickles of unknown origin without running code from them.

A pickle is a program: it can import any function and call it. The files that come with StackGAN's
datasets contain lists, text, numbers and NumPy arrays, so this reader has stand-ins for the few
names that these need and refuses all others. NumPy's own functions are never called with arguments
from the file: arrays are created here, from a checked shape, type and number of bytes.

The cost of reading is proportional to the size of the file. A few hundred bytes can refer to one
value so often that hashing, showing or copying it takes hours. Therefore keys of dicts are text,
bytes or small whole numbers, messages name types instead of values, and no more bytes are copied
than the file has.
"""

import functools
import os
import pickle
import re
from typing import Any, BinaryIO, Callable, Dict, List, NoReturn, Tuple

import numpy as np

from stackgan.errors import InputError
from stackgan.files import open_regular

PLAIN_TYPE = r'[<>=|]?([biuf][0-9]{1,2}|[SU][0-9]{1,6})\Z'
# Booleans, integers, floats, byte strings and text, but no objects or structures.
MAX_DEPTH = 16               # containers within containers
MAX_BYTES = 8 << 30          # of a file; the embeddings of CUB-200-2011 take up to 1.7 GB
MAX_STEPS = 10 * 1000 * 1000     # instructions; an array takes about 30, other values 1 to 3
MAX_DIGITS = 60              # of a number in decimal: parsing takes the square of its length
MAX_NUMBER_BYTES = 32        # of any other whole number
MAX_KEY = 2 ** 61 - 2        # of a dict: larger numbers can be chosen to have equal hashes
PLAIN_VALUES = (str, bytes, int, float, np.generic)     # bool is an int
ONLY = 'only lists, tuples, dicts, text, numbers and NumPy arrays of those are read'


class _Refusal(Exception):
    """The pickle needs something that is not allowed; the message says what."""


def load_pickle(
        path: str,
        strings: str = 'latin1',     # strings of Python 2 become str ('latin1') or bytes ('bytes');
                                     # with 'bytes', arrays use the bytes without a copy
) -> Any:
    """The content of a pickle (protocol 0 to 4): lists, tuples, dicts, str, bytes, numbers, arrays.

    Raises InputError if the file is missing, damaged or contains anything else. Nothing that the
    file names is imported or called.
    """
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_BYTES:
                raise _Refusal(f'{size} bytes, more than {MAX_BYTES}')
            return _plain(_Reader(stream, size, strings).load(), {}, 0)
    except _Refusal as refusal:
        raise InputError(f'{path}: refused to open this pickle: it holds {refusal}; {ONLY}')
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror or error})')
    except Exception as error:       # a damaged pickle can raise nearly anything
        text = ' '.join(str(error).split())[:200]
        raise InputError(f'{path}: not a whole pickle of protocol 0 to 4 ({type(error).__name__}: '
                         f'{text}); download it again')


class _Reader(pickle._Unpickler):
    """Returns stand-ins for the allowed names and refuses all others.

    Based on the unpickler in Python, which is as fast here because most bytes are those of arrays.
    The one in C allocates a memo as large as its largest index; 45 bytes can make that gigabytes.
    """

    stack: List[Any]                     # these are attributes of the base class
    append: Callable[[Any], None]
    pop_mark: Callable[[], List[Any]]
    read: Callable[[int], bytes]

    def __init__(self, stream: BinaryIO, size: int, strings: str):
        super().__init__(stream, encoding=strings)
        self.steps = MAX_STEPS
        self.unencoded = size            # characters of text that may still be converted to bytes

    def find_class(self, module: str, name: str) -> '_Admitted':
        if module.startswith('numpy._core'):              # as NumPy 2 calls it
            module = 'numpy.core' + module[len('numpy._core'):]
        if (module, name) not in ADMITTED:
            named = f'{module}.{name}'.encode('unicode_escape').decode('ascii')
            raise _Refusal(named[:100])
        return _Admitted(functools.partial(ADMITTED[module, name], self))

    def persistent_load(self, identity: Any) -> NoReturn:
        raise _Refusal('a reference to an object outside the file')

    def encoded(self, text: str) -> bytes:
        """Text as bytes; in total no more bytes than the file has."""
        self.unencoded -= len(text)
        if self.unencoded < 0:
            raise _Refusal('texts that make more bytes than the file has')
        return text.encode('latin1')

    def load_build(self) -> None:
        if not isinstance(self.stack[-2], (_Admitted, _Type, _Array)):
            raise _Refusal('a change to a value')
        state = self.stack.pop()
        self.stack[-1].__setstate__(state)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        self._set(self.stack[-1], items)

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append(self._set({}, items))

    def _set(self, target: Any, items: List[Any]) -> Dict[Any, Any]:
        if type(target) is not dict:
            raise _Refusal('keys of a value that is not a dict')
        for key, value in zip(items[::2], items[1::2]):
            if not isinstance(key, (str, bytes)) and not (
                    isinstance(key, int) and abs(key) <= MAX_KEY):
                raise _Refusal(f'a key of type {_kind(key)}' if not isinstance(key, int) else
                               'a key that is a number of more than 60 bits')
            target[key] = value
        return target

    def load_long1(self) -> None:
        self._load_long(self.read(1)[0])

    def load_long4(self) -> None:
        self._load_long(int.from_bytes(self.read(4), 'little'))

    def _load_long(self, count: int) -> None:
        if count > MAX_NUMBER_BYTES:
            raise _Refusal(f'a whole number of {count} bytes')
        self.append(pickle.decode_long(self.read(count)))


Load = Callable[[Any], None]         # a method of _Reader that performs an instruction


def _in_few_letters(load: Load) -> Load:
    """`load` for instructions with a number in decimal, whose length is limited."""
    def bounded(self: Any) -> None:
        readline = self.readline

        def short_line() -> bytes:
            line = readline()
            if len(line) > MAX_DIGITS:
                raise _Refusal(f'a number of {len(line)} letters')
            return line

        self.readline = short_line
        try:
            load(self)
        finally:
            self.readline = readline
    return bounded


def _counted(load: Load) -> Load:
    """`load` that also counts instructions."""
    def step(self: Any) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise _Refusal(f'more than {MAX_STEPS} instructions')
        load(self)
    return step


class _Instructions(Dict[int, Load]):
    def __missing__(self, code: int) -> NoReturn:
        raise _Refusal(f'the instruction {bytes([code])!r}')


def _instructions() -> Dict[int, Load]:
    """Methods of _Reader for the allowed instructions: no sets, classes, buffers or extensions."""
    known: Dict[int, Any] = pickle._Unpickler.dispatch
    found = _Instructions()
    for name in ADMITTED_INSTRUCTIONS.split():
        code = getattr(pickle, name)[0]
        load = getattr(_Reader, known[code].__name__)      # its own method, if it has one
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
    """The type of a value, for messages: the value itself may be endless when shown."""
    return type(value).__name__.lstrip('_').lower()


class _Admitted:
    """A function that a pickle can call but not change, which the BUILD instruction could do."""

    __slots__ = ('_function',)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]):
        object.__setattr__(self, '_function', function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise _Refusal('a change to a function')

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise _Refusal('a change to a function')


class _Type:
    """Stand-in for a NumPy dtype that matches PLAIN_TYPE."""

    __slots__ = ('value',)

    def __init__(self, text: Any):
        text = _text(text)
        if not isinstance(text, str) or not re.match(PLAIN_TYPE, text):
            shown = repr(text[:60]) if isinstance(text, str) else _kind(text)
            raise _Refusal(f'an array of type {shown}')
        self.value = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1])
        if order not in ('<', '>', '=', '|') or state[2:5] != (None, None, None):
            raise _Refusal('an array of structured type')
        self.value = self.value.newbyteorder(order)


class _Array:
    """Stand-in for a NumPy array, until `_plain` replaces it by the array."""

    __slots__ = ('value', 'reader')

    def __init__(self, reader: _Reader):
        self.reader = reader

    def __setstate__(self, state: Any) -> None:
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


def _text(value: Any) -> Any:
    return value.decode('latin1') if isinstance(value, bytes) else value


def _new_array(reader: _Reader, *arguments: Any) -> _Array:
    return _Array(reader)


def _new_type(reader: _Reader, text: Any, *flags: Any) -> _Type:
    return _Type(text)


def _number(reader: _Reader, kind: Any, data: Any) -> Any:
    """A NumPy scalar."""
    if not isinstance(kind, _Type) or len(data) != kind.value.itemsize:
        raise _Refusal('a number without a type')
    return np.frombuffer(reader.encoded(data) if isinstance(data, str) else data, kind.value)[0]


def _encode(reader: _Reader, text: Any, encoding: Any = 'latin1') -> bytes:
    if encoding not in ('latin1', 'latin-1'):
        raise _Refusal('text in another encoding than Latin-1')
    return reader.encoded(text)


def _no_bytes(reader: _Reader) -> bytes:
    return b''


def _never(reader: _Reader, *arguments: Any) -> NoReturn:
    raise _Refusal('a call of numpy.ndarray')


ADMITTED: Dict[Tuple[str, str], Callable[..., Any]] = {
    ('numpy.core.multiarray', '_reconstruct'): _new_array,
    ('numpy.core.multiarray', 'scalar'): _number,
    ('numpy', 'ndarray'): _never,          # only named as an argument of _reconstruct
    ('numpy', 'dtype'): _new_type,
    ('_codecs', 'encode'): _encode,        # how Python 3 writes bytes in protocols 0 to 2
    ('builtins', 'bytes'): _no_bytes,      # and how it writes b''
    ('__builtin__', 'bytes'): _no_bytes,
}


def _plain(
        value: Any,
        seen: Dict[int, Any],    # id of a container -> its result
        depth: int,
) -> Any:
    """`value` with arrays in place of their stand-ins."""
    if isinstance(value, _Array):
        return value.value
    if value is None or isinstance(value, PLAIN_VALUES):
        return value
    if not isinstance(value, (list, tuple, dict)):
        raise _Refusal(f'a value of type {_kind(value)}')
    if depth > MAX_DEPTH:
        raise _Refusal(f'more than {MAX_DEPTH} containers within each other')
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
