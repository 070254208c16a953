"""A frozen generator as ONNX, node by node.

TensorFlow keeps pictures as [N, H, W, C], ONNX as [N, C, H, W]: every tensor of four dimensions
is turned once, where it begins or leaves, and stays turned between.
"""

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.errors import MissingRequirement, StackganError

OPSET = 13              # read by ONNX Runtime 1.4 and later
IR_VERSION = 7          # the format that goes with it
PRODUCER = 'stackgan'
TURNED = (0, 3, 1, 2)   # axes of [N, H, W, C] as [N, C, H, W]
TURNED_BACK = (0, 2, 3, 1)
AXIS = {0: 0, 1: 2, 2: 3, 3: 1}
SAME_IN_BOTH = {'Relu': 'Relu', 'Tanh': 'Tanh', 'Exp': 'Exp', 'AddV2': 'Add', 'Mul': 'Mul'}


def to_onnx(
        frozen,           # freezing.Frozen
):
    """An onnx.ModelProto with the same inputs and outputs, names, shapes and axes."""
    onnx = import_onnx()
    writer = _Writer(frozen.graph_def, onnx.helper)
    for node in frozen.graph_def.node:
        writer.write(node)
    for name in frozen.outputs.values():
        writer.emit('Transpose', [writer.value(name)], name, perm=TURNED_BACK)
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        writer.nodes, PRODUCER,
        [onnx.helper.make_tensor_value_info(name, float32, shape)
         for name, shape in frozen.inputs.items()],
        [onnx.helper.make_tensor_value_info(name, float32, writer.shape(name))
         for name in frozen.outputs.values()],
        [onnx.numpy_helper.from_array(array, name)
         for name, array in sorted(writer.initializers.items())])
    model = onnx.helper.make_model(graph, producer_name=PRODUCER,
                                   opset_imports=[onnx.helper.make_opsetid('', OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def import_onnx():
    """The onnx package. Raises MissingRequirement where it is not installed."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingRequirement('ONNX files need the onnx package (%s); install the extra '
                                 '`export` of pyproject.toml, or set export.onnx=false' % error)
    return onnx


class _Writer:
    """Collects the ONNX nodes and constants of a graph."""

    def __init__(self, graph_def, helper):
        self.helper = helper
        self.nodes, self.initializers = [], {}
        self.constants = {node.name: tf.make_ndarray(node.attr['value'].tensor)
                          for node in graph_def.node if node.op == 'Const'}
        with tf.Graph().as_default() as self.graph:
            tf.import_graph_def(graph_def, name='')

    def write(self, node):
        if node.op in ('Const', 'Placeholder'):
            return
        if node.op in SAME_IN_BOTH:
            self.emit(SAME_IN_BOTH[node.op], [self.value(name) for name in node.input],
                      self.value(node.name))
        elif node.op in WRITERS:
            WRITERS[node.op](self, node)
        else:
            raise StackganError('%s: the operation %s is not among those that are written as ONNX'
                                % (node.name, node.op))

    def emit(self, kind, inputs, outputs, **attributes):
        outputs = outputs if isinstance(outputs, list) else [outputs]
        self.nodes.append(self.helper.make_node(kind, inputs, outputs, outputs[0] + '/' + kind,
                                                **attributes))

    def shape(self, name):
        """Static shape of a TensorFlow tensor."""
        full = name if ':' in name else name + ':0'
        return self.graph.get_tensor_by_name(full).shape.as_list()

    def value(self, name):
        """The ONNX name of a TensorFlow tensor: of pictures that of the turned one."""
        if name in self.constants:
            raise StackganError('%s: a constant where ONNX is written for tensors only' % name)
        return name + '/turned' if len(self.shape(name)) == 4 else name

    def constant(self, name, array):
        self.initializers[name] = np.ascontiguousarray(array)
        return name


def _matmul(writer, node):
    x, kernel = node.input
    if node.attr['transpose_a'].b or node.attr['transpose_b'].b:
        raise StackganError('%s: a transposed MatMul is not written as ONNX' % node.name)
    writer.emit('MatMul', [writer.value(x), writer.constant(kernel, writer.constants[kernel])],
                node.name)


def _bias_add(writer, node):
    x, biases = node.input
    values = writer.constants[biases]
    if len(writer.shape(x)) == 4:
        values = values.reshape(1, -1, 1, 1)
    writer.emit('Add', [writer.value(x), writer.constant(biases, values)],
                writer.value(node.name))


def _leaky_relu(writer, node):
    writer.emit('LeakyRelu', [writer.value(node.input[0])], writer.value(node.name),
                alpha=node.attr['alpha'].f)


def _split(writer, node):
    axis, x = node.input
    axis = int(writer.constants[axis]) % len(writer.shape(x))
    if len(writer.shape(x)) == 4:
        axis = AXIS[axis]
    names = [node.name if i == 0 else '%s:%d' % (node.name, i)
             for i in range(node.attr['num_split'].i)]
    writer.emit('Split', [writer.value(x)], [writer.value(name) for name in names], axis=axis)


def _concat(writer, node):
    parts, axis = list(node.input[:-1]), int(writer.constants[node.input[-1]])
    rank = len(writer.shape(node.name))
    writer.emit('Concat', [writer.value(name) for name in parts], writer.value(node.name),
                axis=AXIS[axis % rank] if rank == 4 else axis % rank)


def _reshape(writer, node):
    x, shape = node.input[0], writer.shape(node.name)
    source = writer.value(x)
    if len(writer.shape(x)) == 4:
        writer.emit('Transpose', [source], node.name + '/source', perm=TURNED_BACK)
        source = node.name + '/source'
    wanted = writer.constant(node.name + '/shape', np.array(shape, np.int64))
    if len(shape) != 4:
        return writer.emit('Reshape', [source, wanted], node.name)
    writer.emit('Reshape', [source, wanted], node.name + '/reshaped')
    writer.emit('Transpose', [node.name + '/reshaped'], writer.value(node.name), perm=TURNED)


def _tile(writer, node):
    multiples = writer.constants[node.input[1]].astype(np.int64)
    if len(multiples) == 4:
        multiples = multiples[list(TURNED)]
    writer.emit('Tile', [writer.value(node.input[0]),
                         writer.constant(node.name + '/multiples', multiples)],
                writer.value(node.name))


def _conv(writer, node):
    x, kernel = node.input
    weights = writer.constants[kernel]                                  # [kh, kw, in, out]
    strides = list(node.attr['strides'].list.i)[1:3]
    if node.attr['padding'].s != b'SAME' or node.attr['data_format'].s not in (b'', b'NHWC'):
        raise StackganError('%s: only SAME convolutions of NHWC are written as ONNX' % node.name)
    begins, ends = zip(*[_same_padding(size, kernel_size, stride) for size, kernel_size, stride
                         in zip(writer.shape(x)[1:3], weights.shape[:2], strides)])
    writer.emit('Conv', [writer.value(x), writer.constant(kernel, weights.transpose(3, 2, 0, 1))],
                writer.value(node.name), kernel_shape=list(weights.shape[:2]), strides=strides,
                pads=list(begins + ends))


def _same_padding(size, kernel, stride):
    """(before, after) of TensorFlow's padding SAME along one axis."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _resize_nearest(writer, node):
    if node.attr['align_corners'].b or node.attr['half_pixel_centers'].b:
        raise StackganError('%s: only the plain nearest resizing is written as ONNX' % node.name)
    before, after = writer.shape(node.input[0]), writer.shape(node.name)
    scales = np.array([1.0, 1.0] + [after[i] / float(before[i]) for i in (1, 2)], np.float32)
    writer.emit('Resize', [writer.value(node.input[0]), '',
                           writer.constant(node.name + '/scales', scales)],
                writer.value(node.name), mode='nearest', nearest_mode='floor',
                coordinate_transformation_mode='asymmetric')


WRITERS = {'MatMul': _matmul, 'BiasAdd': _bias_add, 'LeakyRelu': _leaky_relu, 'Split': _split,
           'ConcatV2': _concat, 'Reshape': _reshape, 'Tile': _tile, 'Conv2D': _conv,
           'ResizeNearestNeighbor': _resize_nearest}
