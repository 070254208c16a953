"""The fields of TensorFlow's GraphDef, to check a file's fields before TensorFlow parses it."""

from stackgan.wire import BYTES, FIXED, FLOAT, INT, INTS, REFUSED, TEXT, Field

MAX_FIELDS = 500000        # of a file; exported graphs have a few thousand, an Inception 20,000
NAME_BYTES = 4096          # longest name
_FEW = 1 << 16             # most bytes of parts that are not parsed further


def _name(name: str, repeated: bool = False) -> Field:
    return Field(name, TEXT, repeated, NAME_BYTES)


def _numbers(name: str) -> Field:
    return Field(name, FIXED, True, 1 << 20)


_HANDLE = Field('a constant that is not numeric', REFUSED)
SHAPE = {2: Field('dim', {1: Field('size', INT), 2: _name('name')}, True),
         3: Field('unknown_rank', INT)}
TENSOR = {1: Field('dtype', INT), 2: Field('tensor_shape', SHAPE), 3: Field('version', INT),
          4: Field('tensor_content', BYTES), 5: _numbers('float_val'), 6: _numbers('double_val'),
          7: Field('int_val', INTS), 8: Field('string_val', BYTES, True),
          9: _numbers('scomplex_val'), 10: Field('int64_val', INTS), 11: Field('bool_val', INTS),
          12: _numbers('dcomplex_val'), 13: Field('half_val', INTS), 14: _HANDLE, 15: _HANDLE,
          16: Field('uint32_val', INTS), 17: Field('uint64_val', INTS)}
CALL = {1: _name('name')}
VALUES = {2: Field('s', BYTES, True, NAME_BYTES), 3: Field('i', INTS), 4: _numbers('f'),
          5: Field('b', INTS), 6: Field('type', INTS), 7: Field('shape', SHAPE, True),
          8: Field('tensor', TENSOR, True), 9: Field('func', CALL, True)}
VALUE = {1: Field('list', VALUES), 2: Field('s', BYTES), 3: Field('i', INT),
         4: Field('f', FLOAT), 5: Field('b', INT), 6: Field('type', INT), 7: Field('shape', SHAPE),
         8: Field('tensor', TENSOR), 9: _name('placeholder'), 10: Field('func', CALL)}
ATTRIBUTE = {1: _name('key'), 2: Field('value', VALUE)}
CALL[2] = Field('attr', ATTRIBUTE, True)
NODE = {1: _name('name'), 2: _name('op'), 3: _name('input', True), 4: _name('device'),
        5: Field('attr', ATTRIBUTE, True), 6: Field('debug', BYTES, most=_FEW),
        7: Field('full_type', BYTES, most=_FEW)}
FUNCTION = {1: Field('signature', BYTES, most=_FEW), 3: Field('node_def', NODE, True),
            4: Field('ret', BYTES, True, _FEW), 5: Field('attr', ATTRIBUTE, True),
            6: Field('control_ret', BYTES, True, _FEW), 7: Field('arg_attr', BYTES, True, _FEW),
            8: Field('unique_ids', BYTES, True, _FEW)}
LIBRARY = {1: Field('function', FUNCTION, True), 2: Field('gradient', BYTES, True, _FEW),
           3: Field('registered_gradients', BYTES, True, _FEW)}
GRAPH = {1: Field('node', NODE, True), 2: Field('library', LIBRARY), 3: Field('version', INT),
         4: Field('versions', BYTES, most=_FEW), 5: Field('debug_info', BYTES, most=_FEW)}
