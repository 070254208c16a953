"""ONNX files with weights in float16, which are half as large and compute in float32 as before.

A weight is stored as float16 and cast to float32 when the file is opened. Rounding changes images;
where it changes one of the test images by more than a level of 8 bits, the smaller weights stay
float32, as many as necessary.
"""

from typing import Any, Callable, List, NamedTuple

import numpy as np

from stackgan.export.onnx_graph import import_onnx

LARGEST_DIFFERENCE = 1 / 255        # of images in [0, 1]
MIN_ELEMENTS = 256                  # smaller weights are not worth a node


class Halved(NamedTuple):
    """A file with float16 weights."""

    data: bytes
    weights: int            # how many weights are float16 ...
    of: int                 # ... of how many that could be
    difference: float       # of images in [0, 1] from those of the file before


def halved(
        data: bytes,                                # an .onnx that export wrote
        difference_of: Callable[[bytes], float],    # of its images in [0, 1] from the expected ones
) -> Halved:
    """The file with as many weights in float16 as the difference permits, the largest first."""
    names = _candidates(data)
    best = Halved(data, 0, len(names), difference_of(data))
    low, high = 0, len(names)       # weights that are known to fit, that may still fit
    count = high                    # first all of them: that is what nearly always fits
    while low < high:
        changed = with_half(data, names[:count])
        difference = difference_of(changed)
        if difference < LARGEST_DIFFERENCE:                          # not for NaN
            low, best = count, Halved(changed, count, len(names), difference)
        else:
            high = count - 1
        count = (low + high + 1) // 2
    return best


def _candidates(data: bytes) -> List[str]:
    """Names of the float32 weights worth it, the largest first."""
    onnx = import_onnx()
    sizes = {}
    for tensor in onnx.load_model_from_string(data).graph.initializer:
        size = 1
        for side in tensor.dims:
            size *= side
        if tensor.data_type == onnx.TensorProto.FLOAT and size >= MIN_ELEMENTS:
            sizes[tensor.name] = size
    return sorted(sizes, key=lambda name: (-sizes[name], name))


def with_half(data: bytes, names: List[str]) -> bytes:
    """The file with those weights stored as float16."""
    onnx = import_onnx()
    model: Any = onnx.load_model_from_string(data)
    graph, chosen = model.graph, set(names)
    casts = []
    for tensor in graph.initializer:
        if tensor.name in chosen:
            name, half = tensor.name, tensor.name + '/half'
            with np.errstate(over='ignore'):          # infinite weights make a difference
                array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, half))
            casts.append(onnx.helper.make_node('Cast', [half], [name], name + '/Cast',
                                               to=onnx.TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model.SerializeToString()
