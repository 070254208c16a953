"""Converts a frozen generator or text encoder to ONNX, node by node.

TensorFlow keeps images as [N, H, W, C], ONNX as [N, C, H, W]: tensors of four dimensions are
transposed where they enter and leave the convolutions, and stay transposed in between.
"""

from typing import Any, Iterable, List, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.errors import MissingRequirement, StackganError
from stackgan.export.freezing import Frozen
from stackgan.export.onnx_fields import IR_VERSION, OPSET
from stackgan.export.ports import Arrays

PRODUCER = 'stackgan'
TURNED = (0, 3, 1, 2)   # axes of [N, H, W, C] as [N, C, H, W]
TURNED_BACK = (0, 2, 3, 1)
AXIS = {0: 0, 1: 2, 2: 3, 3: 1}
SAME_IN_BOTH = {'Relu': 'Relu', 'Tanh': 'Tanh', 'Sigmoid': 'Sigmoid', 'Exp': 'Exp',
                'AddV2': 'Add', 'AddN': 'Sum', 'Sub': 'Sub', 'Mul': 'Mul', 'RealDiv': 'Div',
                'Greater': 'Greater', 'Minimum': 'Min', 'Select': 'Where', 'Identity': 'Identity'}


def to_onnx(
        frozen: Frozen,
) -> Any:
    """An onnx.ModelProto with the same inputs and outputs, names, shapes and axes."""
    onnx = import_onnx()
    writer = _Writer(frozen.graph_def, onnx.helper)
    for node in frozen.graph_def.node:
        writer.write(node)
    for name in frozen.outputs.values():
        if writer.value(name) != name:
            writer.emit('Transpose', [writer.value(name)], name, perm=TURNED_BACK)

    def described(names: Iterable[str]) -> List[Any]:
        return [onnx.helper.make_tensor_value_info(name, writer.type(name), writer.shape(name))
                for name in names]

    graph = onnx.helper.make_graph(
        writer.nodes, PRODUCER, described(frozen.inputs), described(frozen.outputs.values()),
        [onnx.numpy_helper.from_array(array, name)
         for name, array in sorted(writer.initializers.items())])
    model = onnx.helper.make_model(graph, producer_name=PRODUCER,
                                   opset_imports=[onnx.helper.make_opsetid('', OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def import_onnx() -> Any:
    """The onnx package. Raises MissingRequirement where it is not installed."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingRequirement(f'ONNX files need the onnx package ({error}); install the extra '
                                 '`export` of pyproject.toml, or set export.onnx=false')
    return onnx


class _Writer:
    """Collects the ONNX nodes and constants of a graph."""

    def __init__(self, graph_def: tf.GraphDef, helper: Any) -> None:
        self.helper = helper
        self.nodes: List[Any] = []
        self.initializers: Arrays = {}
        self.constants = {node.name: tf.make_ndarray(node.attr['value'].tensor)
                          for node in graph_def.node if node.op == 'Const'}
        with tf.Graph().as_default() as self.graph:
            tf.import_graph_def(graph_def, name='')
        for node in graph_def.node:
            if node.op == 'Fill':
                self.constants[node.name] = np.full(self.shape(node.name),
                                                    self.constants[node.input[1]])

    def write(self, node: tf.NodeDef) -> None:
        if node.op in ('Placeholder', 'Const', 'Fill'):
            return
        if node.op in SAME_IN_BOTH:
            rank = len(self.shape(node.name))
            self.emit(SAME_IN_BOTH[node.op], [self.operand(name, rank) for name in node.input],
                      self.value(node.name))
        elif node.op in WRITERS:
            WRITERS[node.op](self, node)
        else:
            raise StackganError(f'{node.name}: the operation {node.op} cannot be written as ONNX')

    def emit(self, kind: str, inputs: List[str], outputs: Union[str, List[str]],
             **attributes: Any) -> None:
        outputs = outputs if isinstance(outputs, list) else [outputs]
        self.nodes.append(self.helper.make_node(kind, inputs, outputs, outputs[0] + '/' + kind,
                                                **attributes))

    def shape(self, name: str) -> List[int]:
        """Static shape of a TensorFlow tensor."""
        full = name if ':' in name else name + ':0'
        return self.graph.get_tensor_by_name(full).shape.as_list()

    def type(self, name: str) -> int:
        """ONNX's number for the type of a TensorFlow tensor."""
        return self.number_of(self.graph.get_tensor_by_name(name + ':0').dtype)

    def number_of(self, dtype: tf.DType) -> int:
        """ONNX's number for a TensorFlow type."""
        return self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype.as_numpy_dtype))

    def value(self, name: str) -> str:
        """The ONNX name of a TensorFlow tensor; for images, of the transposed one."""
        turned = len(self.shape(name)) == 4
        if name in self.constants:
            array = self.constants[name]
            return self.constant(name, array.transpose(TURNED) if turned else array)
        return name + '/turned' if turned else name

    def operand(self, name: str, rank: int) -> str:
        """The same for an operand of an element-wise operation whose result has that rank."""
        own = len(self.shape(name))
        if rank == 4 and own not in (0, 4):
            raise StackganError(f'{name}: an operand of rank {own} beside images of rank 4 cannot '
                                'be written as ONNX')
        return self.value(name)

    def constant(self, name: str, array: np.ndarray) -> str:
        self.initializers[name] = np.asarray(array, order='C')
        return name


def _matmul(writer: _Writer, node: tf.NodeDef) -> None:
    x, kernel = node.input
    if node.attr['transpose_a'].b or node.attr['transpose_b'].b:
        raise StackganError(f'{node.name}: a transposed MatMul cannot be written as ONNX')
    writer.emit('MatMul', [writer.value(x), writer.constant(kernel, writer.constants[kernel])],
                node.name)


def _bias_add(writer: _Writer, node: tf.NodeDef) -> None:
    x, biases = node.input
    values = writer.constants[biases]
    if len(writer.shape(x)) == 4:
        values = values.reshape(1, -1, 1, 1)
    writer.emit('Add', [writer.value(x), writer.constant(biases, values)],
                writer.value(node.name))


def _leaky_relu(writer: _Writer, node: tf.NodeDef) -> None:
    writer.emit('LeakyRelu', [writer.value(node.input[0])], writer.value(node.name),
                alpha=node.attr['alpha'].f)


def _split(writer: _Writer, node: tf.NodeDef) -> None:
    axis, x = node.input
    axis = int(writer.constants[axis]) % len(writer.shape(x))
    if len(writer.shape(x)) == 4:
        axis = AXIS[axis]
    names = [_output_name(node, i) for i in range(node.attr['num_split'].i)]
    writer.emit('Split', [writer.value(x)], [writer.value(name) for name in names], axis=axis)


def _output_name(node: tf.NodeDef, number: int) -> str:
    return f'{node.name}:{number}' if number else node.name


def _concat(writer: _Writer, node: tf.NodeDef) -> None:
    parts, axis = list(node.input[:-1]), int(writer.constants[node.input[-1]])
    rank = len(writer.shape(node.name))
    writer.emit('Concat', [writer.value(name) for name in parts], writer.value(node.name),
                axis=AXIS[axis % rank] if rank == 4 else axis % rank)


def _reshape(writer: _Writer, node: tf.NodeDef) -> None:
    """For anything that keeps the numbers and their order, such as adding an axis of size 1."""
    x, shape = node.input[0], writer.shape(node.name)
    source = writer.value(x)
    if len(writer.shape(x)) == 4:
        writer.emit('Transpose', [source], node.name + '/source', perm=TURNED_BACK)
        source = node.name + '/source'
    wanted = writer.constant(node.name + '/shape', np.array(shape, np.int64))
    if len(shape) != 4:
        writer.emit('Reshape', [source, wanted], node.name)
        return
    writer.emit('Reshape', [source, wanted], node.name + '/reshaped')
    writer.emit('Transpose', [node.name + '/reshaped'], writer.value(node.name), perm=TURNED)


def _strided_slice(writer: _Writer, node: tf.NodeDef) -> None:
    x, begins, ends, strides = node.input
    before, after = writer.shape(x), writer.shape(node.name)
    if np.prod(before) == np.prod(after):
        _reshape(writer, node)
        return
    attr = node.attr
    if len(before) == 4 or len(before) != len(after) or attr['ellipsis_mask'].i or \
            any(writer.constants[strides] != 1):
        raise StackganError(f'{node.name}: only a plain slice of a matrix can be written as ONNX')
    ranges = []
    for axis, (begin, end) in enumerate(zip(writer.constants[begins], writer.constants[ends])):
        begin = None if attr['begin_mask'].i >> axis & 1 else begin
        end = None if attr['end_mask'].i >> axis & 1 else end
        ranges.append(slice(begin, end).indices(before[axis])[:2])
    starts, stops = np.array(ranges, np.int64).T
    writer.emit('Slice', [writer.value(x), writer.constant(node.name + '/starts', starts),
                          writer.constant(node.name + '/ends', stops)], node.name)


def _unpack(writer: _Writer, node: tf.NodeDef) -> None:
    x, axis = writer.value(node.input[0]), node.attr['axis'].i
    for i in range(node.attr['num'].i):
        index = writer.constant(f'{node.name}/index/{i}', np.array(i, np.int64))
        writer.emit('Gather', [x, index], writer.value(_output_name(node, i)), axis=axis)


def _cast(writer: _Writer, node: tf.NodeDef) -> None:
    writer.emit('Cast', [writer.value(node.input[0])], writer.value(node.name),
                to=writer.number_of(tf.as_dtype(node.attr['DstT'].type)))


def _one_hot(writer: _Writer, node: tf.NodeDef) -> None:
    """A look-up in a table. ONNX takes the index -1 for the last row, which stands for no class."""
    indices, depth, on, off = node.input
    depth = int(writer.constants[depth])
    if node.attr['axis'].i != -1:
        raise StackganError(f'{node.name}: only a OneHot along a new last axis can be written as '
                            'ONNX')
    table = np.full([depth + 1, depth], writer.constants[off])
    np.fill_diagonal(table, writer.constants[on])
    writer.emit('Gather', [writer.constant(node.name + '/table', table), writer.value(indices)],
                writer.value(node.name), axis=0)


def _max_pool(writer: _Writer, node: tf.NodeDef) -> None:
    if node.attr['padding'].s != b'VALID' or node.attr['data_format'].s not in (b'', b'NHWC'):
        raise StackganError(f'{node.name}: only VALID pooling of NHWC can be written as ONNX')
    writer.emit('MaxPool', [writer.value(node.input[0])], writer.value(node.name),
                kernel_shape=list(node.attr['ksize'].list.i)[1:3],
                strides=list(node.attr['strides'].list.i)[1:3])


def _tile(writer: _Writer, node: tf.NodeDef) -> None:
    multiples = writer.constants[node.input[1]].astype(np.int64)
    if len(multiples) == 4:
        multiples = multiples[list(TURNED)]
    writer.emit('Tile', [writer.value(node.input[0]),
                         writer.constant(node.name + '/multiples', multiples)],
                writer.value(node.name))


def _conv(writer: _Writer, node: tf.NodeDef) -> None:
    x, kernel = node.input
    weights = writer.constants[kernel]                                  # [kh, kw, in, out]
    strides = list(node.attr['strides'].list.i)[1:3]
    padding = {b'SAME': _same_padding, b'VALID': _no_padding}.get(node.attr['padding'].s)
    if padding is None or node.attr['data_format'].s not in (b'', b'NHWC'):
        raise StackganError(f'{node.name}: only SAME and VALID convolutions of NHWC can be written '
                            'as ONNX')
    begins, ends = zip(*[padding(size, kernel_size, stride) for size, kernel_size, stride
                         in zip(writer.shape(x)[1:3], weights.shape[:2], strides)])
    writer.emit('Conv', [writer.value(x), writer.constant(kernel, weights.transpose(3, 2, 0, 1))],
                writer.value(node.name), kernel_shape=list(weights.shape[:2]), strides=strides,
                pads=list(begins + ends))


def _same_padding(size: int, kernel: int, stride: int) -> Tuple[int, int]:
    """(before, after) of TensorFlow's padding SAME along one axis."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _no_padding(size: int, kernel: int, stride: int) -> Tuple[int, int]:
    return 0, 0


def _resize_nearest(writer: _Writer, node: tf.NodeDef) -> None:
    if node.attr['align_corners'].b or node.attr['half_pixel_centers'].b:
        raise StackganError(f'{node.name}: only nearest resizing without align_corners and '
                            'half_pixel_centers can be written as ONNX')
    before, after = writer.shape(node.input[0]), writer.shape(node.name)
    scales = np.array([1.0, 1.0] + [after[i] / float(before[i]) for i in (1, 2)], np.float32)
    writer.emit('Resize', [writer.value(node.input[0]), '',
                           writer.constant(node.name + '/scales', scales)],
                writer.value(node.name), mode='nearest', nearest_mode='floor',
                coordinate_transformation_mode='asymmetric')


WRITERS = {'MatMul': _matmul, 'BiasAdd': _bias_add, 'LeakyRelu': _leaky_relu, 'Split': _split,
           'ConcatV2': _concat, 'Reshape': _reshape, 'Tile': _tile, 'Conv2D': _conv,
           'ResizeNearestNeighbor': _resize_nearest, 'MaxPool': _max_pool,
           'StridedSlice': _strided_slice, 'Unpack': _unpack, 'Cast': _cast, 'OneHot': _one_hot}
