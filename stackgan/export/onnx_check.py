"""Decides whether an untrusted .onnx may be run: only if it does what files of export do.

Nothing is run or handed to a library before everything has been checked: the operations, that it is
a single file, the shape of every tensor, and the amount of work. Needs neither the onnx package nor
TensorFlow.
"""

from typing import Any, Dict, List, Tuple

import numpy as np

from stackgan.errors import InputError
from stackgan.export.onnx_fields import MAX_FIELDS, MODEL, OPSET
from stackgan.export.onnx_shapes import HIGHEST_RANK, RULES, Fault, Operation, Shape, size_of
from stackgan.model_bounds import LARGEST_TENSOR, WORK_PER_IMAGE, read_model_file
from stackgan.wire import Budget, WireFault, read_message

# ONNX's numbers; float16 is of weights alone
TYPES = {1: np.float32, 2: np.uint8, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16}
KINDS = {1: 'f', 2: 'i', 3: 's', 7: 'ints'}            # type of an attribute -> its field
OTHER_FORMAT = b'ORTM'        # after 4 bytes; ONNX Runtime reads such files as a format of its own


def read_onnx(
        path: str,
) -> bytes:
    """The bytes of a checked file, which are safe to give to ONNX Runtime. Raises InputError."""
    data = read_model_file(path, 'name an .onnx that export wrote')
    try:
        if data[4:8] == OTHER_FORMAT:
            raise WireFault('it is of another format')
        _check_model(read_message(data, MODEL, Budget(MAX_FIELDS)))
    except WireFault as fault:
        raise InputError(f'{path}: not a readable ONNX model that export wrote: {fault}; run '
                         'export again')
    except Fault as fault:
        raise InputError(f'{path}: not a model that export wrote: {fault}; run export again, or '
                         'generate with the checkpoint')
    return data


def _check_model(model: Dict[str, Any]) -> None:
    versions = [(each.get('domain', ''), each.get('version')) for each in
                model.get('opset_import', [])]
    if versions != [('', OPSET)]:
        found = ', '.join(f'{_shown(domain or "ONNX")} {version}'
                          for domain, version in versions[:3]) or 'none'
        raise Fault(f'its operator sets are {found}, expected ONNX {OPSET} alone')
    graph = model.get('graph', {})
    _Shapes(graph).check(graph)


class _Shapes:
    """The shape of every tensor of a graph, worked out from its inputs and constants."""

    def __init__(self, graph: Dict[str, Any]) -> None:
        self.shapes: Dict[str, Shape] = {}
        self.constants: Dict[str, Dict[str, Any]] = {}
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

    def check(self, graph: Dict[str, Any]) -> None:
        """Raises Fault."""
        for node in graph.get('node', []):
            try:
                self._add_node(node)
            except Fault as fault:
                raise Fault(f'operation {_shown(node.get("op_type", ""))}: {fault}')
        for value in graph.get('output', []):
            name = value.get('name', '')
            if self.shapes.get(name) != _shape_of_value(value):
                raise Fault(f'its output {_shown(name)} does not have the declared shape')

    def _add(self, name: str, shape: Shape) -> None:
        if not name or name in self.shapes:
            raise Fault(f'missing or duplicate name: {_shown(name)}')
        if len(shape) > HIGHEST_RANK or size_of(shape) > LARGEST_TENSOR:
            sides = ' x '.join(str(side) for side in shape[:HIGHEST_RANK])
            raise Fault(f'a tensor of {sides} numbers, more than {LARGEST_TENSOR}')
        self.shapes[name] = shape

    def _add_node(self, node: Dict[str, Any]) -> None:
        rule = RULES.get(node.get('op_type', ''))
        if rule is None or node.get('domain'):
            raise Fault('is not among those that export writes')
        names, outputs = node.get('input', []), node.get('output', [])
        if not rule.inputs[0] <= len(names) <= rule.inputs[1] or \
                not 1 <= len(outputs) <= rule.outputs:
            raise Fault(f'has {len(names)} inputs and {len(outputs)} outputs')
        attributes: Dict[str, Any] = {}
        for name, value in map(_attribute, node.get('attribute', [])):
            if name not in rule.attributes or name in attributes:
                raise Fault('has an attribute twice or one that export does not write: '
                            f'{_shown(name)}')
            attributes[name] = value
        operation = Operation([self._input(name, node) for name in names], attributes,
                              lambda place: self._constant(names[place]), len(outputs))
        shapes = rule.shapes(operation)
        for name, shape in zip(outputs, shapes):
            self._add(name, shape)
        self.work += sum(rule.work(operation, shape) for shape in shapes)
        if self.work > self.most_work:
            raise Fault(f'takes more than {WORK_PER_IMAGE:.0e} multiplications per image')

    def _input(self, name: str, node: Dict[str, Any]) -> Shape:
        if not name and node['op_type'] == 'Resize':             # its region of interest: none
            return ()
        if name not in self.shapes:
            raise Fault(f'reads {_shown(name)}, which does not exist')
        return self.shapes[name]

    def _constant(self, name: str) -> List:
        """The numbers of a constant that gives a shape."""
        tensor = self.constants.get(name)
        if tensor is None or len(self.shapes[name]) != 1 or size_of(self.shapes[name]) > 64:
            raise Fault(f'takes its shape from {_shown(name)}, which is not a short constant')
        return np.frombuffer(tensor['raw_data'], TYPES[tensor['data_type']]).tolist()


def _shown(name: str) -> str:
    return repr(name[:40])


def _attribute(attribute: Dict[str, Any]) -> Tuple[str, Any]:
    """(name, value) of an attribute."""
    field = KINDS.get(attribute.get('type', 0))
    if field is None or not set(attribute) <= {'name', 'type', field}:
        raise Fault('has an attribute of another type')
    value = attribute.get(field, [] if field == 'ints' else None)
    if value is None:
        raise Fault('has an attribute without a value')
    return attribute.get('name', ''), value


def _shape_of_constant(tensor: Dict[str, Any]) -> Shape:
    shape, number = tuple(tensor.get('dims', [])), tensor.get('data_type')
    if number not in TYPES or min(shape + (1,)) < 1:
        raise Fault('an empty constant or one of an unexpected type: '
                    f'{_shown(tensor.get("name", ""))}')
    found = len(tensor.get('raw_data', b''))
    if len(shape) > HIGHEST_RANK or size_of(shape) * np.dtype(TYPES[number]).itemsize != found:
        raise Fault(f'a constant of {found} bytes, which does not match its shape: '
                    f'{_shown(tensor.get("name", ""))}')
    return shape


def _shape_of_value(value: Dict[str, Any]) -> Shape:
    """The shape of an input or output."""
    tensor = value.get('type', {}).get('tensor_type', {})
    sides = [each.get('size', 0) for each in tensor.get('shape', {}).get('dim', [])]
    if tensor.get('elem_type') not in TYPES or not sides or min(sides) < 1:
        raise Fault(f'the shape of {_shown(value.get("name", ""))} is not fixed')
    return tuple(sides)
