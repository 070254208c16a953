"""Published char-CNN-RNN encoders (reedscot/icml2016, cvpr2016) to weights of ours.

A .t7 file holds an nngraph network: a Sequential of convolutions, a recurrent graph that repeats
its linear layers at each step, and a linear layer. Which form it is, and all widths, are seen from
the network; a file name tells nothing here.
"""

import logging
import os
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from stackgan.errors import InputError
from stackgan.files import atomic_write, digest_of_file, write_json
from stackgan.text.alphabet import ALPHABET, MAX_LENGTH
from stackgan.text.options import CHAR_CNN_RNN, OPTIONS
from stackgan.text.torch7 import MAX_NAME, field, items, load_torch7, type_of

logger = logging.getLogger(__name__)

WEIGHTS = 'weights.npz'
KERNEL = 4                       # positions that a convolution spans
POOL_STEPS = (3, 3, 2)


class Form(NamedTuple):
    """One of the two published forms."""

    steps: int                   # of the recurrent part
    pools: int                   # poolings among the convolutions
    order: Tuple[str, ...]       # linear layers of a step after the first, in nngraph's order


FORMS = {
    'published-rnn': Form(8, 3, ('i2h', 'h2h')),
    'published-gru': Form(18, 2, ('i2h_update', 'h2h_update', 'i2h', 'i2h_reset', 'h2h_reset',
                                  'h2h')),
}


def convert_published(
        path: str,             # the .t7 file
        folder: str,           # gets options.json and weights.npz
        embedding_dim: int,    # that the configuration asks for
) -> None:
    """Reads a published encoder into a folder of `TextEncoder`. Raises InputError."""
    cell, weights = read_published(path)
    filters = [len(weights[f'conv{number}/biases']) for number in (1, 2, 3)]
    check_embedding_dim(path, len(weights['project/biases']), embedding_dim)
    target = os.path.join(folder, WEIGHTS)
    with atomic_write(target) as stream:
        np.savez(stream, **weights)
    write_json(os.path.join(folder, OPTIONS), {
        'kind': CHAR_CNN_RNN, 'cell': cell, 'filters': filters, 'embedding_dim': embedding_dim,
        'max_length': MAX_LENGTH, 'weights': {'file': WEIGHTS, 'sha256': digest_of_file(target)},
        'source': {'file': os.path.basename(path), 'bytes': os.path.getsize(path),
                   'sha256': digest_of_file(path)},
    })
    logger.info(f'nothing is trained: converted the published encoder {os.path.basename(path)} '
                f'({cell}, {FORMS[cell].steps} steps, widths {", ".join(map(str, filters))}, '
                f'embeddings of {embedding_dim} numbers)')


def check_embedding_dim(path: str, found: int, wanted: int) -> None:
    """Raises InputError where an encoder's embeddings are not of the size configured."""
    if found != wanted:
        raise InputError(f'{path}: gives embeddings of {found} numbers, but model.embedding_dim is '
                         f'{wanted}; pass --set model.embedding_dim={found}')


def read_published(path: str) -> Tuple[str, Dict[str, np.ndarray]]:
    """(cell, {name below text_encoder/: float32 array in our layout}) of a .t7 file."""
    root = load_torch7(path)
    network = field(field(root, 'protos'), 'enc_doc') or root
    if not type_of(network):
        raise _unknown(path, f'it holds {_keys(root) or "no table"} and no network at '
                             'protos.enc_doc')
    stack, recurrent, last = _parts(path, network)
    convolutions = _of_type(stack, 'nn.TemporalConvolution')
    pools = _of_type(stack, 'nn.TemporalMaxPooling')
    linears = [each for module in _modules(recurrent) for each in _linears(module)]
    cell = _cell(path, convolutions, pools, linears)
    _check_constants(path, convolutions, pools, recurrent, FORMS[cell])
    weights: Dict[str, np.ndarray] = {}
    for number, module in enumerate(convolutions, 1):
        weights.update(_convolution(path, module, f'conv{number}'))
    weights.update(_recurrent(path, linears, FORMS[cell]))
    weights.update(_linear(path, last, 'project'))
    _check_widths(path, weights, FORMS[cell])
    return cell, weights


def _unknown(path: str, seen: str) -> InputError:
    return InputError(f'{path}: not a char-CNN-RNN of reedscot/icml2016 or cvpr2016: {seen}')


def _keys(table: Any) -> str:
    """Names of the fields of a table, as text for people."""
    names = sorted(key[:MAX_NAME].decode('utf-8', 'replace') for key in table
                   if isinstance(key, bytes)) if isinstance(table, dict) else []
    return ', '.join(names[:8])


def _modules(container: Any) -> List[Any]:
    """Modules of a container. A graph that an old nngraph saved has only its nodes."""
    found = items(field(container, 'modules'))
    nodes = items(field(container, 'forwardnodes'))
    return found or [module for module in (field(field(node, 'data'), 'module') for node in nodes)
                     if module is not None]


def _of_type(modules: List[Any], name: str) -> List[Any]:
    return [module for module in modules if type_of(module) == name]


def _linears(module: Any) -> List[Any]:
    """A linear layer, also one alone in a Sequential, as a list; [] for anything else."""
    inner = _modules(module) if type_of(module) == 'nn.Sequential' else [module]
    return inner if [type_of(each) for each in inner] == ['nn.Linear'] else []


def _parts(path: str, network: Any) -> Tuple[List[Any], Any, Any]:
    """(modules of the convolutions, recurrent graph, last linear layer)."""
    modules = _modules(network)
    stacks = [stack for stack in map(_modules, _of_type(modules, 'nn.Sequential'))
              if _of_type(stack, 'nn.TemporalConvolution')]
    graphs, lasts = _of_type(modules, 'nn.gModule'), _of_type(modules, 'nn.Linear')
    if (len(stacks), len(graphs), len(lasts)) != (1, 1, 1):
        inner = ', '.join(map(type_of, modules[:8])) or 'nothing'
        raise _unknown(path, f'it is a {type_of(network)} of {inner}')
    return stacks[0], graphs[0], lasts[0]


def _cell(path: str, convolutions: List[Any], pools: List[Any], linears: List[Any]) -> str:
    seen = len(convolutions), len(pools), len(linears)
    for cell, form in FORMS.items():
        if seen == (3, form.pools, 1 + (form.steps - 1) * len(form.order)):
            return cell
    raise _unknown(path, f'{seen[0]} convolutions, {seen[1]} poolings and {seen[2]} linear layers '
                         'over the steps; the known ones have 3, 2, 103 (GRU) or 3, 3, 15 (RNN)')


def _check_constants(path: str, convolutions: List[Any], pools: List[Any], recurrent: Any,
                     form: Form) -> None:
    """Checks what is not in the shapes of weights: strides, and that states are averaged."""
    for module in convolutions:
        if _span(module) != (KERNEL, 1):
            raise _apart(path, 'convolution', module)
    for module, step in zip(pools, POOL_STEPS):
        if _span(module) != (3, step):
            raise _apart(path, 'pooling', module)
    scales = [field(module, 'constant_scalar')
              for module in _of_type(_modules(recurrent), 'nn.MulConstant')]
    if not any(isinstance(scale, float) and abs(scale * form.steps - 1.0) < 1e-3
               for scale in scales):
        raise _unknown(path, 'it gives its last state and not the mean of its states')


def _apart(path: str, kind: str, module: Any) -> InputError:
    positions, distance = _span(module)
    return _unknown(path, f'a {kind} over {positions} positions, {distance} apart')


def _span(module: Any) -> Tuple[Any, ...]:
    """(positions, distance) of a convolution or pooling; the type of what is not a number."""
    found = [field(module, key) for key in ('kW', 'dW')]
    return tuple(value if isinstance(value, (int, float)) else type(value).__name__
                 for value in found)            # a table may have no end when it is shown


def _recurrent(path: str, linears: List[Any], form: Form) -> Dict[str, np.ndarray]:
    """Weights of the linear layers by name; every step must have the same ones."""
    names = ('i2h',) + form.order * (form.steps - 1)
    weights: Dict[str, np.ndarray] = {}
    first: Dict[str, int] = {}
    for step, (module, name) in enumerate(zip(linears, names)):
        found = _linear(path, module, name)
        if name not in first:
            first[name] = step
            weights.update(found)
        elif not all(np.array_equal(value, weights[key]) for key, value in found.items()):
            raise _unknown(path, f'linear layers {first[name] + 1} and {step + 1} of the recurrent '
                                 f'part should share the weights of {name} but differ')
    return weights


def _convolution(path: str, module: Any, name: str) -> Dict[str, np.ndarray]:
    """Torch keeps (out, position * in), we keep (1, position, in, out)."""
    weight, bias = _arrays(path, module, name)
    if weight.shape[1] % KERNEL:
        raise _unknown(path, f'{name} has weights of shape {weight.shape}')
    kernel = weight.reshape(len(weight), KERNEL, -1).transpose(1, 2, 0)[np.newaxis]
    return {name + '/weights': np.ascontiguousarray(kernel), name + '/biases': bias}


def _linear(path: str, module: Any, name: str) -> Dict[str, np.ndarray]:
    weight, bias = _arrays(path, module, name)
    return {name + '/weights': np.ascontiguousarray(weight.T), name + '/biases': bias}


def _arrays(path: str, module: Any, name: str) -> Tuple[np.ndarray, np.ndarray]:
    """(weight, bias): float32 copies of a module's arrays."""
    arrays = [field(module, key) for key in ('weight', 'bias')]
    shapes = [value.shape if isinstance(value, np.ndarray) else None for value in arrays]
    if shapes[0] is None or len(shapes[0]) != 2 or shapes[1] != shapes[0][:1]:
        raise _unknown(path, f'{name} has weights of shape {shapes[0]} and biases of shape '
                             f'{shapes[1]}')
    weight, bias = [np.array(value, np.float32) for value in arrays]
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise InputError(f'{path}: {name} holds non-finite values (NaN or infinite)')
    return weight, bias


def _check_widths(path: str, weights: Dict[str, np.ndarray], form: Form) -> None:
    """Checks that every layer takes what the one before gives."""
    def check(name: str, axis: int, expected: int) -> None:
        found = weights[name + '/weights'].shape[axis]
        if found != expected:
            raise _unknown(path, f'{name} has a width of {found}, expected {expected}')

    width = len(ALPHABET)
    for name in ('conv1', 'conv2', 'conv3'):
        check(name, 2, width)
        width = len(weights[name + '/biases'])
    for name in ('i2h',) + form.order:
        check(name, 0, width)
        check(name, 1, width)
    check('project', 0, width)
