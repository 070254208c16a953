"""For bench.py: the peak that speeds are compared with, and the operations of a graph."""

import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Tuple

SIDE = 4096              # of the matrices; a convolution has as many rows, of 64 x 64 positions
WAYS = ('matmul', 'convolution 1x1', 'convolution 3x3', 'NumPy')


class Peak:
    """The fastest matrix product of this run, with the settings of a session.

    One library may be slow on a processor where another is fast: TensorFlow 1.15 multiplies
    matrices with Eigen and convolves with oneDNN. So several ways are tried, and the fastest of all
    calls of `measure` counts.
    """

    def __init__(self, resolved: Any, side: int = SIDE, repeats: int = 6) -> None:
        self.resolved, self.side, self.repeats = resolved, side, repeats
        self.speeds: Dict[str, float] = dict.fromkeys(WAYS, 0.0)      # FLOP/s

    def measure(self) -> None:
        """Tries every way again."""
        with self._products() as products:
            for name, (product, flops) in products.items():
                seconds = min(timed(product) for _ in range(self.repeats))
                self.speeds[name] = max(self.speeds[name], flops / seconds)

    @property
    def best(self) -> Tuple[float, str]:
        """(FLOP/s, the way)."""
        return max((speed, name) for name, speed in self.speeds.items())

    @contextmanager
    def _products(self) -> Iterator[Dict[str, Tuple[Callable[[], Any], float]]]:
        """{way: (a function that multiplies once, its floating point operations)}."""
        import numpy as np
        import tensorflow.compat.v1 as tf

        from stackgan.platforms.precision import TYPES
        from stackgan.platforms.session import session_config
        side, places = self.side, int(self.side ** 0.5)
        shapes = {'matmul': ([side, side], [side, side]),
                  'convolution 1x1': ([1, places, places, side], [1, 1, side, side]),
                  'convolution 3x3': ([4, places, places, side // 8], [3, 3, side // 8, side // 8])}
        dtype = TYPES[self.resolved.compute_dtype]
        outputs, random = {}, np.random.RandomState(0)
        one, two = random.standard_normal((2, side, side)).astype(np.float32)
        products = {'NumPy': (lambda: np.dot(one, two), 2.0 * side ** 3)}
        with tf.Graph().as_default(), tf.Session(
                config=session_config(self.resolved)) as session:
            for name, pair in shapes.items():
                variable = name.replace(' ', '-')
                left, right = [tf.get_variable(
                    f'{variable}-{number}', use_resource=True,
                    initializer=tf.cast(tf.random_normal(shape), dtype))
                    for number, shape in enumerate(pair)]
                product = (tf.matmul(left, right) if name == 'matmul'
                           else tf.nn.conv2d(left, right, [1, 1, 1, 1], 'SAME'))
                # Fetched as one number: an unused product would be optimised away.
                outputs[name] = tf.reduce_max(product), op_flops(product.op)
            session.run(tf.global_variables_initializer())
            for name, (output, flops) in outputs.items():
                products[name] = (lambda output=output: session.run(output)), flops
            yield products


def timed(action: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def run_flops(*fetches: Any) -> int:
    """Multiplications and additions of the convolutions and matrix products that a run executes.

    The graph also has gradients of the images, which nothing needs and which are not computed.
    """
    needed, waiting = set(), [getattr(fetch, 'op', fetch) for fetch in fetches]
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return sum(map(op_flops, needed))


def op_flops(op: Any) -> int:
    """Multiplications and additions of a convolution or matrix product; 0 for other operations."""
    if op.type == 'MatMul':
        a, out = op.inputs[0].shape.as_list(), op.outputs[0].shape.as_list()
        return 2 * (a[0] if op.get_attr('transpose_a') else a[1]) * out[0] * out[1]
    if op.type.startswith('Conv2D'):
        maps, kernel = convolution_shapes(op)
        return 2 * maps[0] * maps[1] * maps[2] * kernel[0] * kernel[1] * kernel[2] * kernel[3]
    return 0


def convolution_shapes(op: Any) -> Tuple[List[int], List[int]]:
    """(shape of the output maps of the forward convolution, shape of its kernel)."""
    shapes = [tensor.shape.as_list() for tensor in op.inputs]
    if op.type == 'Conv2D':
        return op.outputs[0].shape.as_list(), shapes[1]
    if op.type == 'Conv2DBackpropInput':
        return shapes[2], shapes[1]
    return shapes[2], op.outputs[0].shape.as_list()            # Conv2DBackpropFilter
