"""Reads a published checkpoint: its layout, stage, dimensions and values."""

from contextlib import ExitStack
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Set, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoint_files import open_checkpoint
from stackgan.config.loading import in_one_line
from stackgan.config.schema import Model
from stackgan.errors import InputError
from stackgan.networks import stage1, stage2
from stackgan.networks.layers import TESTING
from stackgan.published.names import NAMES, NETWORKS, TITLES, kind_of, layout_of
from stackgan.tensorflow_paths import plain_path

Shapes = Dict[str, List[int]]      # name of a variable -> its shape

FEW = 3                    # names in an error
DAMAGE = (ValueError, IndexError, RuntimeError, tf.errors.OpError)   # what the reader raises


class Published(NamedTuple):
    """A checkpoint that fits, and what is read from it."""

    path: str                      # as a Saver takes it
    reader: Any                    # TensorFlow's, of that path
    layout: str                    # 'original' or 'port'
    dims: Model
    names: Dict[str, str]          # our name -> theirs, of every variable of the networks it holds
    shapes: Shapes                 # by our names
    absent: List[str]              # scopes of discriminators that it does not hold
    unread: Dict[str, List[str]]   # 'optimiser', 'debiasing', 'step', 'unmatched' -> stored names
    place: ExitStack               # keeps the path that the reader still reads from


def open_published(
        path: str,    # as a Saver takes it
        stage: int,   # 1 or 2
        layout: str,  # 'original', 'port', or 'auto'
) -> Published:
    """`Published`. Raises InputError, one line, for anything that does not fit."""
    reader, place = _reader(path)
    stored = reader.get_variable_to_shape_map()
    layout = _check_layout(path, stored, layout)
    _check_stage(path, stored, stage)
    dims = _dimensions(path, stored, layout)
    shapes, absent = _present(network_shapes(stage, dims), stored)
    names = {name: NAMES[layout](name) for name in shapes}
    _check_shapes(path, stored, names, shapes)
    return Published(path, reader, layout, dims, names, shapes, absent,
                     _unread(stored, set(names.values())), place)


def values_of(published: Published) -> Iterator[Tuple[str, np.ndarray]]:
    """Yields (our name, float32 array). Raises InputError for damaged or non-finite values."""
    types = published.reader.get_variable_to_dtype_map()
    for name, theirs in published.names.items():
        try:
            if not types[theirs].is_floating:
                raise ValueError(f'{theirs} holds {types[theirs].name}')
            value = np.asarray(published.reader.get_tensor(theirs), np.float32)
        except DAMAGE as error:
            raise _unreadable(published.path, error)
        if not np.isfinite(value).all():
            raise InputError(f'{published.path}: {theirs} holds non-finite values (NaN or '
                             f'infinite); import a checkpoint from before training diverged')
        yield name, value


def build_networks(stage: int, dims: Model) -> None:
    """Generators and discriminators of a stage, and of Stage-I below it, in the current graph."""
    embeddings = tf.zeros([1, dims.embedding_dim])
    noise, z = tf.zeros([1, dims.condition_dim]), tf.zeros([1, dims.noise_dim])
    low = stage1.generator(embeddings, noise, z, dims, TESTING)
    stage1.discriminator(low.images, embeddings, dims, TESTING)
    if stage == 2:
        images = stage2.generator(low, embeddings, noise, dims, TESTING).images
        stage2.discriminator(images, embeddings, dims, TESTING)


def network_shapes(stage: int, dims: Model) -> Shapes:
    """Shapes of our variables of a stage, including Stage-I's."""
    with tf.Graph().as_default():
        build_networks(stage, dims)
        return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


def _reader(path: str) -> Tuple[Any, ExitStack]:
    place = ExitStack()
    try:
        return open_checkpoint(place.enter_context(plain_path(path))), place
    except OSError as error:                         # its folder
        raise InputError(f'{path}: cannot be read: {error.strerror}')
    except DAMAGE as error:
        raise _unreadable(path, error)


def _unreadable(path: str, error: Exception) -> InputError:
    reason = ' '.join(str(error).split())[:200]
    return InputError(f'{path}: not a readable TensorFlow checkpoint ({reason}); name the path '
                      f'without .index, with .index and .data-... files beside each other')


def _check_layout(path: str, stored: Shapes, wanted: str) -> str:
    found = layout_of(stored)
    if found is None:
        layouts = ' nor '.join(sorted(TITLES.values()))
        raise InputError(f'{path}: has the names of neither {layouts}; it begins with '
                         f'{_few(sorted(stored))}')
    if wanted not in ('auto', found):
        raise InputError(f'{path}: --layout {wanted}, but its names are those of {TITLES[found]}; '
                         f'pass --layout {found} or auto')
    return found


def _check_stage(path: str, stored: Shapes, stage: int) -> None:
    found = 2 if any(name.startswith('hr_g_net/') for name in stored) else 1
    if found != stage:
        content = 'Stage-I alone' if found == 1 else 'Stage-II, with its Stage-I'
        raise InputError(f'{path}: --stage {stage}, but it is a checkpoint of {content}; pass '
                         f'--stage {found}')


def _dimensions(path: str, stored: Shapes, layout: str) -> Model:
    """`Model`, derived from five shapes."""
    def shape(name: str, rank: int) -> List[int]:
        theirs = NAMES[layout](name)
        if theirs not in stored:
            raise InputError(f'{path}: {theirs} is missing')
        if len(stored[theirs]) != rank:
            raise InputError(f'{path}: {theirs} has the shape {list(stored[theirs])}, expected '
                             f'{rank} dimensions')
        return stored[theirs]

    embedding, both = shape(stage1.GENERATOR + '/condition/weights', 2)
    inputs = shape(stage1.GENERATOR + '/project/weights', 2)[0]
    filters = shape(stage1.GENERATOR + '/image/weights', 4)[2]
    first = NAMES[layout](stage1.DISCRIMINATOR + '/down1/weights')
    hr_first = NAMES[layout]('stage2/discriminator/down1/weights')
    found = [stored[name][-1] for name in (first, hr_first) if len(stored.get(name, ())) == 4]
    dims = Model(embedding_dim=embedding, condition_dim=both // 2, noise_dim=inputs - both // 2,
                 generator_filters=filters, discriminator_filters=(found or [filters])[0])
    if min(dims.embedding_dim, dims.condition_dim, dims.noise_dim, dims.generator_filters,
           dims.discriminator_filters) < 1:
        raise InputError(f'{path}: dimensions that no StackGAN has: {describe(dims)}')
    return dims


def describe(dims: Model) -> str:
    """The `model` section as values for `--set`."""
    return ' '.join(f'model.{key}={in_one_line(value)}'
                    for key, value in sorted(vars(dims).items()))


def _present(shapes: Shapes, stored: Shapes) -> Tuple[Shapes, List[str]]:
    """(shapes of the networks that a checkpoint holds, scopes of absent discriminators)."""
    absent = [ours for theirs, ours in NETWORKS.items()
              if ours.endswith('/discriminator')
              and any(name.startswith(ours + '/') for name in shapes)
              and not any(name.startswith(theirs + '/') and not kind_of(name) for name in stored)]
    kept = {name: shape for name, shape in shapes.items()
            if not name.startswith(tuple(scope + '/' for scope in absent))}
    return kept, absent


def _check_shapes(path: str, stored: Shapes, names: Dict[str, str], shapes: Shapes) -> None:
    missing = sorted(theirs for theirs in names.values() if theirs not in stored)
    if missing:
        raise InputError(f'{path}: {len(missing)} of {len(names)} variables are missing: '
                         f'{_few(missing)}')
    wrong = [f'{theirs} has the shape {list(stored[theirs])}, expected {shapes[ours]}'
             for ours, theirs in sorted(names.items()) if list(stored[theirs]) != shapes[ours]]
    if wrong:
        raise InputError(f'{path}: {_few(wrong)}')


def _unread(stored: Shapes, read: Set[str]) -> Dict[str, List[str]]:
    kinds: Dict[str, List[str]] = {'optimiser': [], 'debiasing': [], 'step': [], 'unmatched': []}
    for name in sorted(set(stored) - read):
        kinds[kind_of(name) or 'unmatched'].append(name)
    return kinds


def _few(texts: Sequence[str]) -> str:
    more = f' and {len(texts) - FEW} more' if len(texts) > FEW else ''
    return ', '.join(texts[:FEW]) + more
