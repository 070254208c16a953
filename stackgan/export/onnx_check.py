"""Whether an .onnx of someone else may be run: it does what a file that export writes does.

Nothing of it is run or handed to a library before all of it is known: its operations, that it is
one file, the shape of everything it computes, and how much work that is. Needs neither the onnx
package nor TensorFlow.
"""

from typing import Dict, List

import numpy as np

from stackgan.errors import InputError
from stackgan.export.onnx_fields import MAX_FIELDS, MODEL, OPSET
from stackgan.export.onnx_shapes import HIGHEST_RANK, RULES, Fault, Operation, Shape, size_of
from stackgan.model_bounds import LARGEST_TENSOR, WORK_PER_IMAGE, read_model_file
from stackgan.wire import Budget, WireFault, read_message

TYPES = {1: np.float32, 2: np.uint8, 6: np.int32, 7: np.int64, 9: np.bool_}    # ONNX's numbers
KINDS = {1: 'f', 2: 'i', 3: 's', 7: 'ints'}            # type of an attribute -> its field
MAX_CONSTANTS = 1000          # numbers of a constant that tells a shape
OTHER_FORMAT = b'ORTM'         # after 4 bytes; ONNX Runtime takes these for a format of its own


def read_onnx(
        path: str,
) -> bytes:
    """The bytes of a checked file, all that may be given to ONNX Runtime. Raises InputError."""
    data = read_model_file(path, 'name an .onnx that export wrote')
    try:
        if data[4:8] == OTHER_FORMAT:
            raise WireFault('it is of another format')
        _check_model(read_message(data, MODEL, Budget(MAX_FIELDS)))
    except WireFault as fault:
        raise InputError(f'{path}: not a readable ONNX model that export wrote: {fault}; run '
                         f'export again')
    except Fault as fault:
        raise InputError(f'{path}: not a model that export wrote: {fault}; run export again, or '
                         f'generate '
                         'with the checkpoint')
    return data


def _check_model(model):
    versions = [(each.get('domain', ''), each.get('version')) for each in
                model.get('opset_import', [])]
    if versions != [('', OPSET)]:
        raise Fault('its operations are of %s, expected version %d of ONNX alone'
                    % (', '.join('{} {}'.format(_shown(domain or 'ONNX'), version)
                                 for domain, version in versions[:3]) or 'no set', OPSET))
    graph = model.get('graph', {})
    _Shapes(graph).check(graph)


class _Shapes:
    """The shape of everything in a graph, from its inputs and constants on."""

    def __init__(self, graph):
        self.shapes: Dict[str, Shape] = {}
        self.constants = {}
        self.work = 0
        for tensor in graph.get('initializer', []):
            self._add(tensor.get('name', ''), _shape_of_constant(tensor))
            self.constants[tensor['name']] = tensor
        batches = [1]
        for value in graph.get('input', []):
            shape = _shape_of_value(value)
            self._add(value.get('name', ''), shape)
            batches += shape[:1]
        self.most_work = WORK_PER_IMAGE * min(max(batches), LARGEST_TENSOR)

    def check(self, graph):
        """Raises Fault."""
        for node in graph.get('node', []):
            try:
                self._add_node(node)
            except Fault as fault:
                raise Fault('operation {}: {}'.format(_shown(node.get('op_type', '')), fault))
        for value in graph.get('output', []):
            name = value.get('name', '')
            if self.shapes.get(name) != _shape_of_value(value):
                raise Fault(f'its output {_shown(name)} is not of the shape it tells')

    def _add(self, name, shape):
        if not name or name in self.shapes:
            raise Fault(f'missing or duplicate name: {_shown(name)}')
        if len(shape) > HIGHEST_RANK or size_of(shape) > LARGEST_TENSOR:
            raise Fault('a tensor of %s numbers, more than %d'
                        % (' x '.join('%d' % side for side in shape[:HIGHEST_RANK]),
                           LARGEST_TENSOR))
        self.shapes[name] = shape

    def _add_node(self, node):
        rule = RULES.get(node.get('op_type'))
        if rule is None or node.get('domain'):
            raise Fault('is not among those that export writes')
        names, outputs = node.get('input', []), node.get('output', [])
        if not rule.inputs[0] <= len(names) <= rule.inputs[1] or \
                not 1 <= len(outputs) <= rule.outputs:
            raise Fault('has %d inputs and %d outputs' % (len(names), len(outputs)))
        attributes = {}
        for name, value in map(_attribute, node.get('attribute', [])):
            if name not in rule.attributes or name in attributes:
                raise Fault(f'has an attribute that export does not write, or twice: {_shown(name)}')
            attributes[name] = value
        operation = Operation([self._input(name, node) for name in names], attributes,
                              lambda place: self._constant(names[place]), len(outputs))
        shapes = rule.shapes(operation)
        for name, shape in zip(outputs, shapes):
            self._add(name, shape)
        self.work += sum(rule.work(operation, shape) for shape in shapes)
        if self.work > self.most_work:
            raise Fault(f'takes more work than {WORK_PER_IMAGE:.0e} multiplications an image')

    def _input(self, name, node):
        if not name and node['op_type'] == 'Resize':             # its region of interest: none
            return ()
        if name not in self.shapes:
            raise Fault(f'reads {_shown(name)}, which is not there')
        return self.shapes[name]

    def _constant(self, name) -> List:
        """Numbers of a constant that tells a shape."""
        tensor = self.constants.get(name)
        if tensor is None or len(self.shapes[name]) != 1 or size_of(self.shapes[name]) > 64:
            raise Fault(f'tells its shape by {_shown(name)}, which is no short constant')
        return np.frombuffer(tensor['raw_data'], TYPES[tensor['data_type']]).tolist()


def _shown(name):
    return repr(name[:40])


def _attribute(attribute):
    """(name, value) of one."""
    field = KINDS.get(attribute.get('type'))
    if field is None or not set(attribute) <= {'name', 'type', field}:
        raise Fault('has an attribute of another type')
    value = attribute.get(field, [] if field == 'ints' else None)
    if value is None:
        raise Fault('has an attribute without a value')
    return attribute.get('name', ''), value


def _shape_of_constant(tensor):
    shape, number = tuple(tensor.get('dims', [])), tensor.get('data_type')
    if number not in TYPES or min(shape + (1,)) < 1:
        raise Fault('a constant of another type or without numbers: {}'.format(_shown(tensor.get('name', ''))))
    there = len(tensor.get('raw_data', b''))
    if len(shape) > HIGHEST_RANK or size_of(shape) * np.dtype(TYPES[number]).itemsize != there:
        raise Fault('a constant of %d bytes where its shape tells others: %s'
                    % (there, _shown(tensor.get('name', ''))))
    return shape


def _shape_of_value(value):
    """Of an input or an output."""
    tensor = value.get('type', {}).get('tensor_type', {})
    sides = [each.get('size', 0) for each in tensor.get('shape', {}).get('dim', [])]
    if tensor.get('elem_type') not in TYPES or not sides or min(sides) < 1:
        raise Fault('the shape of {} is not fixed'.format(_shown(value.get('name', ''))))
    return tuple(sides)
