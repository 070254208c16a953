"""What goes into an exported generator and comes out of it, by name. Imports no TensorFlow."""

from typing import Any, Dict, NamedTuple

from stackgan.errors import InputError

EMBEDDING, Z, NOISE1, NOISE2 = INPUTS = ('embedding', 'z', 'noise1', 'noise2')
OUTPUTS = {64: 'stage1/generator/images', 256: 'stage2/generator/images'}   # by side


class ModelFile(NamedTuple):
    """An exported model, ready to run."""

    path: str
    inputs: Dict[str, list]        # name -> shape, the names as in INPUTS
    outputs: Dict[int, str]        # side of the images -> name
    run: Any                       # ({name: array}) -> {side: [batch, side, side, 3] float32}
    close: Any


def ports(
        path,             # what the message calls the file
        shapes,           # {name: shape} of the inputs that a file has
        given,            # {name: shape} of everything that it may give
):
    """(inputs, outputs) of a file, checked. Raises InputError where they are not ours."""
    outputs = {side: name for side, name in OUTPUTS.items() if name in given}
    wanted = INPUTS[:2 + len(outputs)]                   # Stage-I alone has no second noise
    fixed = all(isinstance(size, int) and size >= 1 for shape in shapes.values()
                for size in shape or [None])
    if set(shapes) != set(wanted) or not outputs or not fixed or \
            {len(shape) for shape in shapes.values()} != {2} or \
            len({shape[0] for shape in shapes.values()}) != 1:
        raise InputError('{}: not a model that export wrote: its inputs are {}, expected {} of one '
                         'fixed batch'.format(path, ', '.join('{} {}'.format(*item) for item in
                                                          sorted(shapes.items())) or 'none',
                                          ', '.join(wanted)))
    for side, name in outputs.items():
        expected = [shapes[EMBEDDING][0], side, side, 3]
        if given[name] != expected:
            raise InputError(f'{path}: not a model that export wrote: its output {name} is '
                             f'{given[name]}, expected {expected}')
    return {name: shapes[name] for name in wanted}, outputs
