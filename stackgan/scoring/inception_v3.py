"""Inception-v3 as in StackGAN-inception-model (Szegedy et al., 2016; slim of early 2016).

Variables have the names of its checkpoints, which hold the EMA of each of the 388
under `<name>/ExponentialMovingAverage`: convolutions without bias, batch norm without scale,
epsilon 0.001. Logit 0 is a background class that no image has; it is dropped before any
softmax. Scopes and their numbers are those of the checkpoints: mixed_17x17x1280a gives 8x8.

Batch norm is folded into the weights of each convolution at every run. That costs less than 2 %
of a batch and lets TensorFlow fuse the convolution with what follows.
"""

import glob
import os
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import tensorflow.compat.v1 as tf

from stackgan.checkpoint_files import open_checkpoint
from stackgan.errors import InputError
from stackgan.networks.layers import check_shape
from stackgan.scoring.scorer_network import ClassifierOutputs
from stackgan.tensorflow_paths import plain_path

SIZE = 299                 # side of the images
EPSILON = 0.001
AVERAGE = '/ExponentialMovingAverage'
LOGITS = 'logits/logits/weights' + AVERAGE
Kernel = Union[int, Tuple[int, int]]       # side, or (height, width)


class Checkpoint(NamedTuple):
    """A TensorFlow checkpoint, of either format."""

    prefix: str
    files: Tuple[str, ...]


def inception_v3(
        images: tf.Tensor,  # [N, 299, 299, 3] float32 in [-1, 1]
        classes: int,       # without the background
) -> ClassifierOutputs:
    """`ClassifierOutputs`: logits [N, classes] without the background, features [N, 2048]."""
    check_shape(images, [None, SIZE, SIZE, 3], 'images')
    x = _conv(images, 32, 'conv0', 3, 2, 'VALID')                        # [N, 149, 149, 32]
    x = _conv(x, 32, 'conv1', 3, padding='VALID')                        # [N, 147, 147, 32]
    x = _conv(x, 64, 'conv2', 3)                                         # [N, 147, 147, 64]
    x = _max_pool(x)                                                     # [N, 73, 73, 64]
    x = _conv(x, 80, 'conv3', 1)
    x = _conv(x, 192, 'conv4', 3, padding='VALID')                       # [N, 71, 71, 192]
    x = _max_pool(x)                                                     # [N, 35, 35, 192]
    for scope, pooled in (('256a', 32), ('288a', 64), ('288b', 64)):
        x = _block_35(x, 'mixed_35x35x' + scope, pooled)                 # [N, 35, 35, 288]
    x = _reduction_35(x, 'mixed_17x17x768a')                             # [N, 17, 17, 768]
    for scope, width in (('b', 128), ('c', 160), ('d', 160), ('e', 192)):
        x = _block_17(x, 'mixed_17x17x768' + scope, width)
    _auxiliary_variables(classes + 1)
    x = _reduction_17(x, 'mixed_17x17x1280a')                            # [N, 8, 8, 1280]
    x = _block_8(x, 'mixed_8x8x2048a')                                   # [N, 8, 8, 2048]
    x = _block_8(x, 'mixed_8x8x2048b')
    features = tf.reduce_mean(x, [1, 2])                                 # [N, 2048]
    logits = _dense(features, classes + 1, 'logits/logits')
    return ClassifierOutputs(logits[:, 1:], features)


def _conv(x: tf.Tensor, filters: int, scope: str, kernel: Kernel, stride: int = 1,
          padding: str = 'SAME') -> tf.Tensor:
    """Convolution, batch norm, ReLU."""
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    weights, beta, mean, variance = _conv_variables(
        scope, [height, width, x.shape.as_list()[3], filters])
    scale = tf.rsqrt(variance + EPSILON)
    x = tf.nn.conv2d(x, weights * scale, strides=[1, stride, stride, 1], padding=padding)
    return tf.nn.relu(tf.nn.bias_add(x, beta - mean * scale))


def _conv_variables(scope: str, shape: List[int]) -> List[tf.Variable]:
    return [_variable(f'{scope}/{name}', size) for name, size in (
        ('weights', shape), ('BatchNorm/beta', shape[3:]), ('BatchNorm/moving_mean', shape[3:]),
        ('BatchNorm/moving_variance', shape[3:]))]


def _variable(name: str, shape: List[int]) -> tf.Variable:
    return tf.get_variable(name, shape, tf.float32, tf.zeros_initializer(), use_resource=True)


def _dense(x: tf.Tensor, units: int, scope: str) -> tf.Tensor:
    weights = _variable(scope + '/weights', [x.shape.as_list()[1], units])
    return tf.nn.bias_add(tf.matmul(x, weights), _variable(scope + '/biases', [units]))


def _max_pool(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool(x, [1, 3, 3, 1], [1, 2, 2, 1], 'VALID')


def _chain(x: tf.Tensor, scope: str, steps: Sequence[Tuple[int, Kernel]],
           last: Optional[Tuple[int, str]] = None) -> tf.Tensor:
    """Convolutions Conv, Conv_1, ... one after the other; `last`: (stride, padding) of the last.

    `steps` are (filters, kernel).
    """
    for number, (filters, kernel) in enumerate(steps):
        name = f'{scope}/Conv' + (f'_{number}' if number else '')
        stride, padding = last if last and number == len(steps) - 1 else (1, 'SAME')
        x = _conv(x, filters, name, kernel, stride, padding)
    return x


def _pooled(x: tf.Tensor, scope: str, filters: int) -> tf.Tensor:
    """Mean of 3x3 neighbours (those there are, at the border), then a convolution."""
    x = tf.nn.avg_pool(x, [1, 3, 3, 1], [1, 1, 1, 1], 'SAME')
    return _chain(x, scope + '/branch_pool', [(filters, 1)])


def _block_35(x: tf.Tensor, scope: str, pooled: int) -> tf.Tensor:
    return tf.concat([
        _chain(x, scope + '/branch1x1', [(64, 1)]),
        _chain(x, scope + '/branch5x5', [(48, 1), (64, 5)]),
        _chain(x, scope + '/branch3x3dbl', [(64, 1), (96, 3), (96, 3)]),
        _pooled(x, scope, pooled)], 3)


def _reduction_35(x: tf.Tensor, scope: str) -> tf.Tensor:
    return tf.concat([
        _chain(x, scope + '/branch3x3', [(384, 3)], (2, 'VALID')),
        _chain(x, scope + '/branch3x3dbl', [(64, 1), (96, 3), (96, 3)], (2, 'VALID')),
        _max_pool(x)], 3)


def _block_17(x: tf.Tensor, scope: str, width: int) -> tf.Tensor:
    across, down = (1, 7), (7, 1)
    return tf.concat([
        _chain(x, scope + '/branch1x1', [(192, 1)]),
        _chain(x, scope + '/branch7x7', [(width, 1), (width, across), (192, down)]),
        _chain(x, scope + '/branch7x7dbl', [(width, 1), (width, down), (width, across),
                                            (width, down), (192, across)]),
        _pooled(x, scope, 192)], 3)


def _reduction_17(x: tf.Tensor, scope: str) -> tf.Tensor:
    return tf.concat([
        _chain(x, scope + '/branch3x3', [(192, 1), (320, 3)], (2, 'VALID')),
        _chain(x, scope + '/branch7x7x3', [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)],
               (2, 'VALID')),
        _max_pool(x)], 3)


def _block_8(x: tf.Tensor, scope: str) -> tf.Tensor:
    across, down = (1, 3), (3, 1)
    three = _chain(x, scope + '/branch3x3', [(384, 1)])
    double = _chain(x, scope + '/branch3x3dbl', [(448, 1), (384, 3)])
    return tf.concat([
        _chain(x, scope + '/branch1x1', [(320, 1)]),
        _conv(three, 384, scope + '/branch3x3/Conv_1', across),
        _conv(three, 384, scope + '/branch3x3/Conv_2', down),
        _conv(double, 384, scope + '/branch3x3dbl/Conv_2', across),
        _conv(double, 384, scope + '/branch3x3dbl/Conv_3', down),
        _pooled(x, scope, 192)], 3)


def _auxiliary_variables(outputs: int) -> None:
    """Those of the auxiliary classifier: it does not score, but checkpoints hold it."""
    _conv_variables('aux_logits/proj', [1, 1, 768, 128])
    _conv_variables('aux_logits/Conv', [5, 5, 128, 768])
    _variable('aux_logits/FC/weights', [768, outputs])
    _variable('aux_logits/FC/biases', [outputs])


def find_checkpoint(
        path: str,  # a folder that holds one checkpoint, or the checkpoint's path
) -> Checkpoint:
    """`Checkpoint`. Raises InputError where there is none, or several."""
    if os.path.isdir(path):
        names = sorted(os.listdir(path))
        prefixes = ([name[:-len('.index')] for name in names if name.endswith('.index')]
                    or [name for name in names if name.startswith('model.ckpt')
                        and not name.endswith('.meta')])         # the older format: one file
        if len(prefixes) != 1:
            raise _no_checkpoint(path, f'several checkpoints: {", ".join(prefixes)}'
                                 if prefixes else 'no checkpoint there')
        return find_checkpoint(os.path.join(path, prefixes[0]))
    prefix = path[:-len('.index')] if path.endswith('.index') else path
    files = tuple(name for name in [prefix, prefix + '.index']
                  + sorted(glob.glob(glob.escape(prefix) + '.data-*')) if os.path.isfile(name))
    if not files:
        raise _no_checkpoint(path, 'no checkpoint there')
    return Checkpoint(prefix, files)


def _no_checkpoint(path: str, reason: str) -> InputError:
    return InputError(f'{path}: {reason}; score.stackgan_weights names the unpacked checkpoint of '
                      'StackGAN-inception-model (model.ckpt, or model.ckpt.index with its data)')


def restorer(
        checkpoint: Checkpoint,
        classes: int,             # without the background
) -> Callable[[tf.Session], None]:
    """(session) -> None: fills the variables of the current graph from their EMA weights.

    Raises InputError, here or there, for a checkpoint that does not fit or is damaged.
    """
    names = {v.op.name + AVERAGE: v for v in tf.global_variables()}
    try:
        with plain_path(checkpoint.prefix) as plain:
            stored = open_checkpoint(plain).get_variable_to_shape_map()
    except (ValueError, tf.errors.OpError) as error:
        raise _unreadable(checkpoint, error)
    _check_fits(checkpoint.prefix, names, stored, classes)
    saver = tf.train.Saver(names)

    def fill(session: tf.Session) -> None:
        try:
            with session.graph.as_default():
                with plain_path(checkpoint.prefix) as plain:
                    saver.restore(session, plain)
        except (ValueError, tf.errors.OpError) as error:
            raise _unreadable(checkpoint, error)

    return fill


def _check_fits(prefix: str, names: Dict[str, tf.Variable], stored: Dict[str, Sequence[int]],
                classes: int) -> None:
    if LOGITS in stored and stored[LOGITS][-1] != classes + 1:
        raise InputError(f'{prefix}: has {stored[LOGITS][-1] - 1} classes, but '
                         f'score.stackgan_classes is {classes} (50 for the birds of '
                         'StackGAN-inception-model, 20 for its flowers)')
    missing = sorted(set(names) - set(stored))
    if missing:
        raise InputError(f'{prefix}: not the Inception-v3 of StackGAN-inception-model: '
                         f'{len(missing)} of its {len(names)} EMA weights are missing, the first '
                         f'is {missing[0]}')
    for name, variable in sorted(names.items()):
        if list(stored[name]) != variable.shape.as_list():
            raise InputError(f'{prefix}: {name} has shape {list(stored[name])}, expected '
                             f'{variable.shape.as_list()}')


def _unreadable(checkpoint: Checkpoint, error: Exception) -> InputError:
    reason = ' '.join(str(error).split())[:200]
    return InputError(f'{checkpoint.prefix}: not a readable checkpoint ({reason}); unpack it again')
