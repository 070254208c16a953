"""A published checkpoint: which layout and stage it is of, its dimensions, its values."""

from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoint_files import open_checkpoint
from stackgan.config.schema import Model
from stackgan.errors import InputError
from stackgan.networks import stage1, stage2
from stackgan.networks.layers import TESTING
from stackgan.published.names import NAMES, NETWORKS, TITLES, kind_of, layout_of
from stackgan.tensorflow_paths import plain_path

FEW = 3                    # names in an error
DAMAGE = (ValueError, IndexError, RuntimeError, tf.errors.OpError)   # what the reader raises


class Published(NamedTuple):
    """A checkpoint that fits, and what of it is read."""

    path: str              # as a Saver is given it
    reader: Any            # TensorFlow's reader of it
    layout: str            # 'original' or 'port'
    dims: Model
    names: dict            # our name -> theirs, of every variable of the networks it holds
    shapes: dict           # our name -> shape
    absent: list           # scopes of discriminators that it holds nothing of
    unread: dict           # 'optimiser', 'debiasing', 'step', 'unmatched' -> stored names
    place: Any             # keeps the path that the reader was given, from which it still reads


def open_published(
        path,             # as a Saver is given it
        stage,            # 1 or 2
        layout,           # 'original', 'port', or 'auto'
):
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


def values_of(
        published,        # Published
):
    """Yields (our name, float32 array). Raises InputError for one that is damaged or no number."""
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
                             f'infinite); import a '
                             'checkpoint from before training diverged')
        yield name, value


def build_networks(stage, dims):
    """Generators and discriminators of a stage, and of Stage-I before it, in the current graph."""
    embeddings = tf.zeros([1, dims.embedding_dim])
    noise, z = tf.zeros([1, dims.condition_dim]), tf.zeros([1, dims.noise_dim])
    images = stage1.generator(embeddings, noise, z, dims, TESTING).images
    stage1.discriminator(images, embeddings, dims, TESTING)
    if stage == 2:
        images = stage2.generator(images, embeddings, noise, dims, TESTING).images
        stage2.discriminator(images, embeddings, dims, TESTING)


def network_shapes(stage, dims):
    """{name: shape} of our variables of a stage, with Stage-I's before it."""
    with tf.Graph().as_default():
        build_networks(stage, dims)
        return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


def _reader(path):
    place = ExitStack()
    try:
        return open_checkpoint(place.enter_context(plain_path(path))), place
    except OSError as error:                         # its folder
        raise InputError(f'{path}: cannot be read: {error.strerror}')
    except DAMAGE as error:
        raise _unreadable(path, error)


def _unreadable(path, error):
    return InputError('{}: not a readable TensorFlow checkpoint ({}); name the path without '
                      '.index, with .index and .data-... files beside each other'.format(path, ' '.join(str(error).split())[:200]))


def _check_layout(path, stored, wanted):
    found = layout_of(stored)
    if found is None:
        raise InputError('{}: has the names of neither {}; it begins with {}'.format(path, ' nor '.join(sorted(TITLES.values())), _few(sorted(stored))))
    if wanted not in ('auto', found):
        raise InputError(f'{path}: --layout {wanted}, but its names are those of {TITLES[found]}; '
                         f'pass --layout {found} or auto')
    return found


def _check_stage(path, stored, stage):
    found = 2 if any(name.startswith('hr_g_net/') for name in stored) else 1
    if found != stage:
        raise InputError('%s: --stage %d, but it is a checkpoint of %s; pass --stage %d'
                         % (path, stage, 'Stage-I alone' if found == 1 else
                            'Stage-II, with its Stage-I', found))


def _dimensions(path, stored, layout):
    """`Model`, read off five shapes."""
    def shape(name, rank):
        theirs = NAMES[layout](name)
        if theirs not in stored:
            raise InputError(f'{path}: {theirs} is missing')
        if len(stored[theirs]) != rank:
            raise InputError('%s: %s has the shape %s, expected %d dimensions'
                             % (path, theirs, list(stored[theirs]), rank))
        return stored[theirs]

    embedding, both = shape(stage1.GENERATOR + '/condition/weights', 2)
    inputs = shape(stage1.GENERATOR + '/project/weights', 2)[0]
    filters = shape(stage1.GENERATOR + '/image/weights', 4)[2]
    first = NAMES[layout](stage1.DISCRIMINATOR + '/down1/weights')
    hr_first = NAMES[layout]('stage2/discriminator/down1/weights')
    found = [stored[name][-1] for name in (first, hr_first) if len(stored.get(name, ())) == 4]
    dims = Model(embedding, both // 2, inputs - both // 2, filters, (found or [filters])[0])
    if min(dims.embedding_dim, dims.condition_dim, dims.noise_dim, dims.generator_filters,
           dims.discriminator_filters) < 1:
        raise InputError(f'{path}: dimensions that no StackGAN has: {describe(dims)}')
    return dims


def describe(dims):
    """The `model` section in words for `--set`."""
    return ' '.join('model.%s=%d' % each for each in sorted(vars(dims).items()))


def _present(shapes, stored):
    """({name: shape} of the networks a checkpoint holds, scopes of absent discriminators)."""
    absent = [ours for theirs, ours in NETWORKS.items()
              if ours.endswith('/discriminator')
              and any(name.startswith(ours + '/') for name in shapes)
              and not any(name.startswith(theirs + '/') and not kind_of(name) for name in stored)]
    kept = {name: shape for name, shape in shapes.items()
            if not name.startswith(tuple(scope + '/' for scope in absent))}
    return kept, absent


def _check_shapes(path, stored, names, shapes):
    missing = sorted(theirs for theirs in names.values() if theirs not in stored)
    if missing:
        raise InputError('%s: %d of %d variables are missing: %s'
                         % (path, len(missing), len(names), _few(missing)))
    wrong = [f'{theirs} has the shape {list(stored[theirs])}, expected {shapes[ours]}'
             for ours, theirs in sorted(names.items()) if list(stored[theirs]) != shapes[ours]]
    if wrong:
        raise InputError(f'{path}: {_few(wrong)}')


def _unread(stored, read):
    kinds = {'optimiser': [], 'debiasing': [], 'step': [], 'unmatched': []}
    for name in sorted(set(stored) - read):
        kinds[kind_of(name) or 'unmatched'].append(name)
    return kinds


def _few(texts):
    more = ' and %d more' % (len(texts) - FEW) if len(texts) > FEW else ''
    return ', '.join(texts[:FEW]) + more
