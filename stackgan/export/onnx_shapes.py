"""Output shapes of the operations of an exported ONNX file, from their input shapes.

The operations are those that `onnx_graph` writes: an operation without a rule here is refused, and
so is an attribute that its rule does not know.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

Shape = Tuple[int, ...]
HIGHEST_RANK = 6


class Fault(Exception):
    """What is wrong with a model, as the end of a sentence."""


class Operation(NamedTuple):
    """An operation whose inputs are known."""

    inputs: List[Shape]
    attributes: Dict[str, Any]           # int, float, bytes or list of int
    constant: Callable[[int], List]      # the numbers of an input that must be a constant
    outputs: int                         # number of outputs


class Rule(NamedTuple):
    """What is known about an operation."""

    shapes: Callable[[Operation], List[Shape]]
    inputs: Tuple[int, int] = (1, 1)     # minimum, maximum
    attributes: Tuple[str, ...] = ()
    outputs: int = 1                     # maximum
    work: Callable[[Operation, Shape], int] = lambda operation, shape: size_of(shape)


def size_of(shape: Sequence[int]) -> int:
    """How many numbers a tensor of that shape has."""
    size = 1
    for side in shape:
        size *= side
    return size


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise Fault(words)


def _ints(operation: Operation, name: str, count: int) -> List[int]:
    values = operation.attributes.get(name)
    if not isinstance(values, list) or len(values) != count:
        raise Fault(f'its {name} is not {count} numbers')
    return values


def _axis(operation: Operation, rank: int) -> int:
    axis = operation.attributes.get('axis', 0)
    _require(isinstance(axis, int) and -rank <= axis < rank, f'its axis is not one of {rank}')
    return axis % rank


def _same(operation: Operation) -> List[Shape]:
    return [operation.inputs[0]]


def _broadcast(operation: Operation) -> List[Shape]:
    rank = max(len(shape) for shape in operation.inputs)
    sides = zip(*[(1,) * (rank - len(shape)) + shape for shape in operation.inputs])
    found = []
    for each in sides:
        _require(set(each) <= {1, max(each)}, 'the shapes of its inputs do not match')
        found.append(max(each))
    return [tuple(found)]


def _matmul(operation: Operation) -> List[Shape]:
    a, b = operation.inputs
    _require(len(a) == len(b) == 2 and a[1] == b[0], 'the shapes of its matrices do not match')
    return [(a[0], b[1])]


def _concat(operation: Operation) -> List[Shape]:
    first = operation.inputs[0]
    axis = _axis(operation, len(first))
    rest = {shape[:axis] + shape[axis + 1:] for shape in operation.inputs
            if len(shape) == len(first)}
    _require(len(rest) == 1 and all(len(shape) == len(first) for shape in operation.inputs),
             'the shapes of its inputs do not match')
    side = sum(shape[axis] for shape in operation.inputs)
    return [first[:axis] + (side,) + first[axis + 1:]]


def _split(operation: Operation) -> List[Shape]:
    shape, parts = operation.inputs[0], operation.outputs
    axis = _axis(operation, len(shape))
    _require(shape[axis] % parts == 0, 'it cannot be split evenly')
    return [shape[:axis] + (shape[axis] // parts,) + shape[axis + 1:]] * parts


def _reshape(operation: Operation) -> List[Shape]:
    shape = tuple(operation.constant(1))
    _require(all(side >= 1 for side in shape) and size_of(shape) == size_of(operation.inputs[0]),
             'its new shape does not hold as many numbers')
    return [shape]


def _transpose(operation: Operation) -> List[Shape]:
    shape = operation.inputs[0]
    axes = _ints(operation, 'perm', len(shape))
    _require(sorted(axes) == list(range(len(shape))), 'its perm is not an order of the axes')
    return [tuple(shape[axis] for axis in axes)]


def _slice(operation: Operation) -> List[Shape]:
    shape = operation.inputs[0]
    begins, ends = operation.constant(1), operation.constant(2)
    _require(len(begins) == len(ends) == len(shape), 'it does not have a range for each axis')
    _require(all(0 <= begin < end <= side for begin, end, side in zip(begins, ends, shape)),
             'its ranges are outside the tensor')
    return [tuple(end - begin for begin, end in zip(begins, ends))]


def _gather(operation: Operation) -> List[Shape]:
    table, indices = operation.inputs
    axis = _axis(operation, len(table))
    return [table[:axis] + indices + table[axis + 1:]]


def _windows(operation: Operation, shape: Shape, kernel: Sequence[int],
             pads: Sequence[int]) -> Shape:
    """Output sides of a window that moves over the last two axes."""
    strides = _ints(operation, 'strides', 2)
    _require(min(strides) >= 1 and min(kernel) >= 1 and min(pads) >= 0 and max(pads) < 64,
             'its windows are out of range')
    found = tuple((side + before + after - length) // stride + 1 for side, before, after, length,
                  stride in zip(shape[2:], pads[:2], pads[2:], kernel, strides))
    _require(min(found) >= 1, 'its windows are larger than its input')
    return found


def _max_pool(operation: Operation) -> List[Shape]:
    shape = operation.inputs[0]
    _require(len(shape) == 4, 'its input does not have 4 axes')
    kernel = _ints(operation, 'kernel_shape', 2)
    return [shape[:2] + _windows(operation, shape, kernel, [0] * 4)]


def _conv(operation: Operation) -> List[Shape]:
    shape, weights = operation.inputs
    _require(len(shape) == len(weights) == 4 and shape[1] == weights[1],
             'the shapes of its input and weights do not match')
    kernel = _ints(operation, 'kernel_shape', 2)
    _require(tuple(kernel) == weights[2:], 'its weights do not have the shape of its kernel')
    return [(shape[0], weights[0]) + _windows(operation, shape, kernel,
                                              _ints(operation, 'pads', 4))]


def _tile(operation: Operation) -> List[Shape]:
    shape, times = operation.inputs[0], operation.constant(1)
    _require(len(times) == len(shape) and min(times) >= 1,
             'it does not have a number for each axis')
    return [tuple(side * count for side, count in zip(shape, times))]


def _resize(operation: Operation) -> List[Shape]:
    shape, scales = operation.inputs[0], operation.constant(2)
    _require(len(scales) == len(shape) == 4 and list(scales[:2]) == [1, 1]
             and all(1 <= scale <= 64 for scale in scales), 'its scales are out of range')
    return [tuple(int(side * scale) for side, scale in zip(shape, scales))]


def _by_inputs(axis_of_second: int) -> Callable[[Operation, Shape], int]:
    """Work of an operation whose every output number sums over all weights of its column."""
    return lambda operation, shape: size_of(shape) * (
        size_of(operation.inputs[1]) // operation.inputs[1][axis_of_second])


_ONE, _TWO = Rule(_same), Rule(_broadcast, (2, 2))
RULES = {
    'Relu': _ONE, 'Tanh': _ONE, 'Sigmoid': _ONE, 'Exp': _ONE, 'Identity': _ONE,
    'LeakyRelu': Rule(_same, attributes=('alpha',)), 'Cast': Rule(_same, attributes=('to',)),
    'Add': _TWO, 'Sub': _TWO, 'Mul': _TWO, 'Div': _TWO, 'Greater': _TWO, 'Min': _TWO,
    'Where': Rule(_broadcast, (3, 3)), 'Sum': Rule(_broadcast, (1, 1000)),
    'MatMul': Rule(_matmul, (2, 2), work=_by_inputs(1)),
    'Conv': Rule(_conv, (2, 2), ('kernel_shape', 'pads', 'strides'), work=_by_inputs(0)),
    'Concat': Rule(_concat, (1, 1000), ('axis',)),
    'Split': Rule(_split, attributes=('axis',), outputs=1000),
    'Reshape': Rule(_reshape, (2, 2)), 'Transpose': Rule(_transpose, attributes=('perm',)),
    'Slice': Rule(_slice, (3, 3)), 'Gather': Rule(_gather, (2, 2), ('axis',)),
    'MaxPool': Rule(_max_pool, attributes=('kernel_shape', 'strides'),
                    work=lambda operation, shape: size_of(shape)
                    * size_of(operation.attributes['kernel_shape'])),
    'Tile': Rule(_tile, (2, 2)),
    'Resize': Rule(_resize, (3, 3), ('mode', 'nearest_mode', 'coordinate_transformation_mode')),
}
