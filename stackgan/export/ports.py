"""Inputs and outputs of an exported generator, by name. Imports no TensorFlow."""

from typing import Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from stackgan.errors import InputError

Arrays = Dict[str, np.ndarray]        # name of an input or a variable -> its values
Images = Dict[int, np.ndarray]        # side -> [N, side, side, 3]
EMBEDDING, Z, NOISE1, NOISE2 = INPUTS = ('embedding', 'z', 'noise1', 'noise2')
OUTPUTS = {64: 'stage1/generator/images', 256: 'stage2/generator/images'}   # by side


class ModelFile(NamedTuple):
    """An exported model, ready to run."""

    path: str
    inputs: Dict[str, List[int]]         # name -> shape, the names as in INPUTS
    outputs: Dict[int, str]              # side of the images -> name
    run: Callable[[Arrays], Images]      # gives float32 in [-1, 1]
    close: Callable[[], None]


def ports(
        path: str,                      # what the message calls the file
        shapes: Dict[str, List[int]],   # {name: shape} of the inputs that a file has
        given: Dict[str, List[int]],    # {name: shape} of everything that can be fetched from it
) -> Tuple[Dict[str, List[int]], Dict[int, str]]:
    """(inputs, outputs) of a file. Raises InputError if they are not those of a generator."""
    outputs = {side: name for side, name in OUTPUTS.items() if name in given}
    wanted = INPUTS[:2 + len(outputs)]                   # Stage-I alone has no second noise
    fixed = all(shape and all(isinstance(size, int) and size >= 1 for size in shape)
                for shape in shapes.values())
    if set(shapes) != set(wanted) or not outputs or not fixed or \
            {len(shape) for shape in shapes.values()} != {2} or \
            len({shape[0] for shape in shapes.values()}) != 1:
        found = ', '.join(f'{name} {shape}' for name, shape in sorted(shapes.items())) or 'none'
        raise InputError(f'{path}: not a model that export wrote: its inputs are {found}, expected '
                         f'{", ".join(wanted)} of one fixed batch')
    for side, name in outputs.items():
        expected = [shapes[EMBEDDING][0], side, side, 3]
        if given[name] != expected:
            raise InputError(f'{path}: not a model that export wrote: its output {name} is '
                             f'{given[name]}, expected {expected}')
    return {name: shapes[name] for name in wanted}, outputs
