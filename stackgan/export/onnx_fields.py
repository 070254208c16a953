"""The fields of the ONNX files that export writes (onnx.proto); files with others are not opened.

That rules out external data, graphs inside operations (as Loop, If and Scan have), functions,
tensors as attributes and sparse tensors.
"""

from stackgan.wire import BYTES, FLOAT, INT, INTS, REFUSED, TEXT, Field

OPSET = 13              # read by ONNX Runtime 1.4 and later
IR_VERSION = 7          # the format that goes with it
MAX_FIELDS = 200000     # in a file; ours have a few thousand
NAME_BYTES = 4096       # longest name


def _name(name: str, repeated: bool = False) -> Field:
    return Field(name, TEXT, repeated, NAME_BYTES)


_OUTSIDE = Field('external data, which is read from other files', REFUSED)
_SUBGRAPH = Field('a graph within an operation, as Loop, If and Scan have', REFUSED)
_WITHIN = Field('a tensor as an attribute', REFUSED)
_SPARSE = Field('a sparse tensor', REFUSED)
_FUNCTION = Field('functions', REFUSED)
TENSOR = {1: Field('dims', INTS), 2: Field('data_type', INT), 8: _name('name'),
          9: Field('raw_data', BYTES), 13: _OUTSIDE, 14: _OUTSIDE}
ATTRIBUTE = {1: _name('name'), 2: Field('f', FLOAT), 3: Field('i', INT),
             4: Field('s', BYTES, most=NAME_BYTES), 5: _WITHIN, 6: _SUBGRAPH,
             8: Field('ints', INTS), 10: _WITHIN, 11: _SUBGRAPH, 20: Field('type', INT),
             22: _SPARSE, 23: _SPARSE}
NODE = {1: _name('input', True), 2: _name('output', True), 3: _name('name'), 4: _name('op_type'),
        5: Field('attribute', ATTRIBUTE, True), 7: _name('domain')}
DIMENSION = {1: Field('size', INT), 2: _name('parameter')}
SHAPE = {1: Field('dim', DIMENSION, True)}
TENSOR_TYPE = {1: Field('elem_type', INT), 2: Field('shape', SHAPE)}
VALUE = {1: _name('name'), 2: Field('type', {1: Field('tensor_type', TENSOR_TYPE)})}
GRAPH = {1: Field('node', NODE, True), 2: _name('name'), 5: Field('initializer', TENSOR, True),
         11: Field('input', VALUE, True), 12: Field('output', VALUE, True), 15: _SPARSE}
OPSET_IMPORT = {1: _name('domain'), 2: Field('version', INT)}
MODEL = {1: Field('ir_version', INT), 2: _name('producer_name'), 3: _name('producer_version'),
         7: Field('graph', GRAPH), 8: Field('opset_import', OPSET_IMPORT, True), 20: _FUNCTION,
         25: _FUNCTION}
