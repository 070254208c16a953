"""From a trained pair of encoders to the pair that is used.

Training standardises features over the batch before it compares them. Here the mean and the
deviation over training captions, and over training images, are folded into the last linear
layers: (x W + b - mean) / deviation is again such a layer, so the encoder stays a char-CNN-RNN
whose outputs need nothing further.
"""

import os
from typing import Any, Dict, Union

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import Checkpoints, read_facts
from stackgan.errors import InputError
from stackgan.text.encoder import BATCH, ENCODER, ImageEncoder, TextEncoder
from stackgan.text.pairs import Pairs
from stackgan.text.whitening import Affine, image_means, regression, whitening

MAX_ROWS = 8192           # of captions, and of images; more are sampled evenly


def finish(
        pairs: Pairs,          # of the training split
        checkpoint: str,       # folder of the training's last checkpoint
        folder: str,           # of the text encoder; gets encoder/
        platform: Any,         # the `platform` section
        whitened: bool = False,
) -> None:
    """Writes encoder/: the variables of both encoders with standardised or whitened outputs."""
    if whitened:
        variables = _whitened(pairs, checkpoint, folder, platform)
    else:
        variables = _both_standardised(pairs, checkpoint, folder, platform)
    _save(variables, Checkpoints(os.path.join(folder, ENCODER), keep=1), read_facts(checkpoint))


def _both_standardised(pairs: Pairs, checkpoint: str, folder: str,
                       platform: Any) -> Dict[str, np.ndarray]:
    with TextEncoder(folder, platform, checkpoint) as text:
        rows = _spread(len(pairs.codes))
        features = text.embed([pairs.captions[row] for row in rows])
        variables = _standardised(text, features, 'captions')
    with ImageEncoder(folder, platform, checkpoint) as image:
        images = _spread(len(pairs.split))
        features = np.concatenate([image.embed(pairs.centres(images[start:start + BATCH]))
                                   for start in range(0, len(images), BATCH)])
        variables.update(_standardised(image, features, 'images'))
    return variables


def _whitened(pairs: Pairs, checkpoint: str, folder: str, platform: Any) -> Dict[str, np.ndarray]:
    """As `whitening` says, and the image encoder by regression on its captions."""
    images = _whole_images(pairs)
    with TextEncoder(folder, platform, checkpoint) as text:
        rows = np.flatnonzero(np.isin(pairs.image_of_caption, images))
        features = text.embed([pairs.captions[row] for row in rows])
        map_ = whitening(features, pairs.image_of_caption[rows])
        variables = _mapped(text, map_)
        wanted, _ = image_means(map_.of(features), pairs.image_of_caption[rows])
    with ImageEncoder(folder, platform, checkpoint) as image:
        seen = [image.embed(part) for start in range(0, len(images), BATCH)
                for crops in [pairs.centres(images[start:start + BATCH])]
                for part in (crops, crops[:, :, ::-1])]
        order = [wanted[start:start + BATCH] for start in range(0, len(images), BATCH)
                 for _ in range(2)]
        variables.update(_mapped(image, regression(np.concatenate(seen), np.concatenate(order))))
    return variables


def _whole_images(pairs: Pairs) -> np.ndarray:
    """Images, evenly spread, with at most MAX_ROWS captions together."""
    count = len(pairs.split)
    share = min(1.0, MAX_ROWS / len(pairs.codes))
    return np.unique(np.linspace(0, count - 1, max(int(count * share), 2)).astype(int))


def _mapped(encoder: Union[TextEncoder, ImageEncoder], map_: Affine) -> Dict[str, np.ndarray]:
    """{name: value} of an encoder's variables, so changed that its outputs are mapped."""
    values = encoder.variables()
    weights, biases = encoder.SCOPE + '/project/weights', encoder.SCOPE + '/project/biases'
    values[weights] = values[weights].astype(np.float64).dot(map_.matrix).astype(np.float32)
    values[biases] = map_.of(values[biases].astype(np.float64)).astype(np.float32)
    return values


def _spread(count: int) -> np.ndarray:
    return np.linspace(0, count - 1, min(count, MAX_ROWS)).astype(int)


def _standardised(encoder: Union[TextEncoder, ImageEncoder], features: np.ndarray,
                  rows: str) -> Dict[str, np.ndarray]:
    """{name: value} of an encoder's variables, so changed that `features` are standardised."""
    mean, deviation = features.mean(0, np.float64), features.std(0, np.float64)
    is_dead = deviation <= 1e-6 * np.abs(features).max()       # rounding of a constant
    if is_dead.all():
        raise InputError(f'the text encoder gives all training {rows} the same features; train it '
                         'longer (text.steps) or check the data')
    deviation[is_dead] = 1.0
    values = encoder.variables()
    weights, biases = encoder.SCOPE + '/project/weights', encoder.SCOPE + '/project/biases'
    values[weights] = (values[weights] / deviation).astype(np.float32)
    values[biases] = ((values[biases] - mean) / deviation).astype(np.float32)
    return values


def _save(values: Dict[str, np.ndarray], checkpoints: Checkpoints,
          facts: Dict[str, Any]) -> None:
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        variables = [tf.get_variable(name, value.shape, use_resource=True)
                     for name, value in values.items()]
        for variable in variables:
            variable.load(values[variable.op.name], session)
        checkpoints.save(session, tf.train.Saver(variables), facts['step'], {})
