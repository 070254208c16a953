"""The fields that an ONNX file of others (onnx.proto) may have: nothing outside of the file.

More than those of the files that export writes: names of what is in between, texts for people, and
tensors as attributes, which `Constant` has.
"""

from typing import Dict

from stackgan.wire import BYTES, FIXED, FLOAT, INT, INTS, REFUSED, TEXT, Field

MAX_FIELDS = 1000000
NAME_BYTES = 4096
TEXT_BYTES = 1 << 20

def _name(name: str, repeated: bool = False) -> Field:
    return Field(name, TEXT, repeated, NAME_BYTES)


_ABOUT = Field('about', TEXT, True, TEXT_BYTES)
_OUTSIDE = Field('external data, which is read from other files; save it with its weights inside '
                 '(torch.onnx.export: external_data=False)', REFUSED)
_SUBGRAPH = Field('a graph within an operation, as Loop, If and Scan have', REFUSED)
_FUNCTION = Field('functions', REFUSED)
_NUMBERS = Field('numbers', BYTES, True)
_FIXED = Field('numbers', FIXED, True)
_PAIR = {1: _name('key'), 2: Field('value', TEXT, most=TEXT_BYTES)}
_METADATA = Field('metadata', _PAIR, True)       # torch.onnx: where in the program it comes from
_INTS = Field('ints', INTS)
TENSOR: Dict[int, Field] = {
    1: Field('dims', INTS), 2: Field('data_type', INT), 4: _NUMBERS, 5: _NUMBERS, 7: _NUMBERS,
    8: _name('name'), 9: Field('raw_data', BYTES), 10: _NUMBERS, 12: _ABOUT, 13: _OUTSIDE,
    14: Field('data_location', INT), 16: _METADATA}
ATTRIBUTE: Dict[int, Field] = {
    1: _name('name'), 2: Field('f', FLOAT), 3: Field('i', INT),
    4: Field('s', BYTES, most=NAME_BYTES), 5: Field('t', TENSOR), 6: _SUBGRAPH, 7: _FIXED,
    8: _INTS, 11: _SUBGRAPH, 13: _ABOUT, 20: Field('type', INT)}
NODE: Dict[int, Field] = {
    1: _name('input', True), 2: _name('output', True), 3: _name('name'), 4: _name('op_type'),
    5: Field('attribute', ATTRIBUTE, True), 6: _ABOUT, 7: _name('domain'),
    9: _METADATA}
DIMENSION = {1: Field('size', INT), 2: _name('parameter'), 3: _name('denotation')}
SHAPE = {1: Field('dim', DIMENSION, True)}
TENSOR_TYPE = {1: Field('elem_type', INT), 2: Field('shape', SHAPE)}
VALUE = {1: _name('name'), 2: Field('type', {1: Field('tensor_type', TENSOR_TYPE),
                                             6: _name('denotation')}), 3: _ABOUT,
         4: _METADATA}
GRAPH = {1: Field('node', NODE, True), 2: _name('name'), 5: Field('initializer', TENSOR, True),
         10: _ABOUT, 11: Field('input', VALUE, True), 12: Field('output', VALUE, True),
         13: Field('value_info', VALUE, True), 16: _METADATA}
OPSET_IMPORT = {1: _name('domain'), 2: Field('version', INT)}
MODEL = {1: Field('ir_version', INT), 2: _name('producer_name'), 3: _name('producer_version'),
         4: _name('domain'), 5: Field('model_version', INT), 6: _ABOUT, 7: Field('graph', GRAPH),
         8: Field('opset_import', OPSET_IMPORT, True), 14: _METADATA,
         20: _FUNCTION, 25: _FUNCTION}
