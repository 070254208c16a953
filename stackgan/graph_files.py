"""Frozen TensorFlow graphs (.pb) from elsewhere: limited in size, operations by allow-list.

A graph can hold any operation, and some read and write files, run code or never end. A few do so
even while a graph is imported, for shape inference. So no graph is imported, here or elsewhere,
before `require_operations` has checked it.
"""

from typing import Any, Container, Dict, Iterable, List, Optional, Set

import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError

from stackgan.errors import InputError
from stackgan.graph_fields import GRAPH, MAX_FIELDS
from stackgan.model_bounds import LARGEST_TENSOR, WORK_PER_IMAGE, read_model_file
from stackgan.wire import Budget, WireFault, read_message

MAX_SIZES = 64                # elements of a constant that gives a shape
MAX_REPEATED = 1 << 20        # elements that constants declare beyond those they store
# What export writes, in all TensorFlow versions.
OF_GENERATORS = frozenset('''
    Add AddV2 BiasAdd ConcatV2 Const Conv2D Exp Fill Identity LeakyRelu MatMul Minimum Mul
    Placeholder Relu Reshape ResizeNearestNeighbor Split Tanh Tile
    '''.split())
# What a frozen Inception holds.
OF_CLASSIFIERS = frozenset('''
    Add AddV2 AvgPool BatchNormWithGlobalNormalization BiasAdd Cast CheckNumerics Concat ConcatV2
    Const Conv2D DecodeJpeg ExpandDims FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Identity
    MatMul MaxPool Maximum Mean Minimum Mul NoOp Pack Pad Placeholder RealDiv Relu Relu6 Reshape
    ResizeBilinear Rsqrt Shape Slice Softmax Split Sqrt Squeeze StridedSlice Sub Transpose
    '''.split())
# Inputs that give shapes: they must be constants.
SIZES = {'Reshape': (1,), 'Tile': (1,), 'Fill': (0,), 'ResizeNearestNeighbor': (1,),
         'ResizeBilinear': (1,), 'Split': (0,), 'ConcatV2': (-1,), 'Concat': (0,),
         'ExpandDims': (1,), 'Mean': (1,), 'Pad': (1,), 'Slice': (1, 2),
         'StridedSlice': (1, 2, 3), 'Transpose': (1,)}
TYPES = {1: 4, 2: 8, 3: 4, 4: 1, 5: 2, 6: 1, 7: 0, 9: 8, 10: 1, 19: 2}   # TensorFlow's -> bytes
TEXTS = {'data_format': (b'NHWC', b'NCHW', b''), 'padding': (b'SAME', b'VALID')}
HIGHEST_RANK = 8


class Unfit(Exception):
    """Why a graph is refused, worded as the end of a sentence."""


def read_graph(
        path: str,
        title: str,     # what it should be, with an article, for the error message
        remedy: str,    # end of the error message: what to do instead
) -> Any:
    """The tf.GraphDef of a file, for `require_operations`. Raises InputError if it is not one."""
    data = read_model_file(path, remedy)
    reason = ''
    try:
        read_message(data, GRAPH, Budget(MAX_FIELDS))
        graph_def = tf.GraphDef.FromString(data)
        if graph_def.node:
            return graph_def
    except WireFault as fault:
        reason = f' ({fault})'
    except (DecodeError, RuntimeError):          # RuntimeError: from the parser in pure Python
        pass
    raise InputError(f'{path}: not {title}{reason}; {remedy}')


def require_operations(
        graph_def: Any,             # tf.GraphDef; devices and placement attributes are removed
        allowed: Container[str],    # operations
        kind: str,                  # of graph that has these operations, with an article
) -> None:
    """Raises Unfit for a graph that could do more than compute.

    Shapes must be constants too, because TensorFlow would compute them while it imports the graph.
    """
    other = sorted({node.op for node in graph_def.node if node.op not in allowed})
    if other:
        shown = ', '.join(repr(name[:40])[1:-1] for name in other[:5])
        raise Unfit(f'it holds operations that {kind} has not: {shown}')
    if graph_def.library.ListFields():
        raise Unfit('it holds functions')
    nodes, repeated = {node.name: node for node in graph_def.node}, 0
    for node in graph_def.node:
        node.device = ''                       # of another machine
        for name in [name for name in node.attr if name.startswith('_')]:
            del node.attr[name]
        for name, known in TEXTS.items():      # TensorFlow 1.15 crashes at some others
            if name in node.attr and node.attr[name].s not in known:
                raise Unfit(f'{_shown(node)} has another {name} than {known[0].decode()}')
        for value in node.attr.values():
            if value.HasField('func') or value.list.func or value.HasField('placeholder'):
                raise Unfit(f'{_shown(node)} calls a function')
            for tensor in [value.tensor] if value.HasField('tensor') else value.list.tensor:
                repeated += _repeated(node, tensor)
        for name in _names_of_sizes(node):
            source = nodes.get(name.split(':')[0])
            if source is None or source.op != 'Const' or \
                    _declared(source, source.attr['value'].tensor) > MAX_SIZES:
                raise Unfit(f'{_shown(node)} computes the shape of its output')
    if repeated > MAX_REPEATED:
        raise Unfit(f'its constants declare {repeated} elements that they do not store')


def import_checked(
        graph_def: Any,                             # tf.GraphDef checked by `require_operations`
        outputs: Iterable[str],                     # names of nodes
        inputs: Optional[Dict[str, Any]] = None,    # name of a node -> tensor to replace it
        batch: Optional[int] = None,                # stands for an unknown first dimension
        scope: str = '',                            # for the names in the current graph
) -> None:
    """Imports the nodes that the outputs need, and no others, into the current graph.

    Raises Unfit for an invalid graph, for tensors of unknown shape and for too much work.
    """
    inputs, graph = inputs or {}, tf.get_default_graph()
    before = {operation.name for operation in graph.get_operations()}
    needed = _part_of(graph_def, set(outputs), set(inputs))
    try:
        tf.import_graph_def(needed, {name + ':0': tensor for name, tensor in inputs.items()},
                            name=scope)
    except (ValueError, KeyError, TypeError, AssertionError, tf.errors.OpError) as error:
        raise Unfit(' '.join(str(error).split())[:200])
    given = {f'{scope}/{name}' for name in inputs}
    operations = [each for each in graph.get_operations() if each.name not in before | given]
    work, images = 0, batch or 1
    for operation in operations:
        sizes = [_size(operation, tensor, batch) for tensor in operation.outputs]
        if operation.type == 'Placeholder':
            images = max([images] + operation.outputs[0].shape.as_list()[:1])
        if operation.type in ('Conv2D', 'MatMul'):
            weights = operation.inputs[1]
            sizes = [sizes[0] * _size(operation, weights, batch)
                     // max(1, weights.shape.as_list()[-1])]
        work += sum(sizes)
    if work > WORK_PER_IMAGE * images:
        raise Unfit(f'it takes more work than {WORK_PER_IMAGE:.0e} multiplications an image')


def _part_of(graph_def: Any, outputs: Set[str], inputs: Container[str]) -> Any:
    """The nodes that outputs need, inputs as placeholders."""
    nodes, needed, waiting = {node.name: node for node in graph_def.node}, set(), list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed and name in nodes:
            needed.add(name)
            if name not in inputs:
                waiting += [each.lstrip('^').split(':')[0] for each in nodes[name].input]
    part = tf.GraphDef(versions=graph_def.versions)
    for node in graph_def.node:
        if node.name in inputs and node.name in needed:
            part.node.add(name=node.name, op='Placeholder').attr['dtype'].type = \
                tf.float32.as_datatype_enum
        elif node.name in needed:
            part.node.add().CopyFrom(node)
    return part


def _size(operation: Any, tensor: Any, batch: Optional[int]) -> int:
    """The number of elements of a tensor."""
    sides = tensor.shape.as_list() if tensor.shape.ndims is not None else [None]
    if sides and sides[0] is None and tensor.shape.ndims:
        sides[0] = batch
    size = 1
    for side in sides:
        if side is None or side == 0 and operation.type != 'Const':
            raise Unfit(f'{_shown(operation)} has no fixed shape')
        size *= side
    if size > LARGEST_TENSOR:
        shape = ' x '.join(map(str, sides))
        raise Unfit(f'{_shown(operation)} has {shape} elements, more than {LARGEST_TENSOR}')
    return size


def _names_of_sizes(node: Any) -> List[str]:
    """Names of the inputs that give the shape of an operation's output."""
    inputs = [name for name in node.input if not name.startswith('^')]
    places = SIZES.get(node.op, ())
    return [inputs[place] for place in places if -len(inputs) <= place < len(inputs)]


def _declared(node: Any, tensor: Any) -> int:
    """The number of elements that a constant declares."""
    sides = [each.size for each in tensor.tensor_shape.dim]
    if tensor.dtype not in TYPES or tensor.tensor_shape.unknown_rank or len(sides) > HIGHEST_RANK \
            or min(sides + [0]) < 0:
        raise Unfit(f'{_shown(node)} is a constant of unknown type or shape')
    size = 1
    for side in sides:
        size *= side
    return size


def _repeated(node: Any, tensor: Any) -> int:
    """The number of elements that a constant declares beyond those it stores."""
    size = _declared(node, tensor)
    content = tensor.tensor_content
    if content and len(content) != size * TYPES[tensor.dtype]:
        raise Unfit(f'{_shown(node)} is a constant of {len(content)} bytes, which does not match '
                    'its shape')
    values = sum(len(value) for field, value in tensor.ListFields() if field.name.endswith('_val'))
    return 0 if content else max(0, size - values)


def _shown(node: Any) -> str:
    return repr(node.name[:60])[1:-1]
