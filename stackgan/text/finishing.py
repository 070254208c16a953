"""From a trained pair of encoders to the pair that is used.

Training standardises features over the batch before it compares them. Here the mean and the
deviation over training captions, and over training images, are folded into the last linear
layers: (x W + b - mean) / deviation is again such a layer, so the encoder stays a char-CNN-RNN
whose outputs need nothing further. Whitening is folded in alike; an image encoder then learns
what the whitened embeddings say (`training.image_encoder`).
"""

import os
from typing import Any, Dict, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import Checkpoints, read_facts
from stackgan.errors import InputError
from stackgan.progress import Progress
from stackgan.text.encoder import BATCH, ENCODER, ImageEncoder, TextEncoder
from stackgan.text.pairs import Pairs
from stackgan.text.whitening import image_means, whitening

MAX_ROWS = 8192           # of captions, and of images; more are sampled evenly
IMAGES = 256              # whose captions are embedded at once


def standardised(
        pairs: Pairs,          # of the training split
        checkpoint: str,       # folder of the training's last checkpoint
        folder: str,           # of the text encoder
        platform: Any,         # the `platform` section
) -> Dict[str, np.ndarray]:
    """{name: value} of the variables of both encoders, with standardised outputs."""
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


def whitened(
        pairs: Pairs,          # of the training split
        checkpoint: str,       # folder of the training's last checkpoint
        folder: str,           # of the text encoder
        platform: Any,         # the `platform` section
) -> Tuple[Dict[str, np.ndarray], np.ndarray]:
    """Of the text encoder, with whitened outputs: {name: value}, mean embedding of each image.

    What an image encoder has to say of the images are these: [images, embedding_dim] float32.
    """
    chosen = np.zeros(len(pairs.split), bool)
    chosen[_whole_images(pairs)] = True
    means, features = [], []
    with TextEncoder(folder, platform, checkpoint) as text:
        with Progress('train-text-encoder: captions', len(pairs.captions), 'captions') as progress:
            for first in range(0, len(chosen), IMAGES):
                part = slice(*pairs.split.caption_starts[[first, min(first + IMAGES,
                                                                    len(chosen))]])
                found = text.embed(pairs.captions[part])
                image_of = pairs.image_of_caption[part]
                means.append(image_means(found, image_of)[0])
                features.append(found[chosen[image_of]])
                progress.advance(len(found))
        map_ = whitening(np.concatenate(features),
                         pairs.image_of_caption[chosen[pairs.image_of_caption]])
        variables = text.variables()
    weights, biases = TextEncoder.SCOPE + '/project/weights', TextEncoder.SCOPE + '/project/biases'
    variables[weights] = variables[weights].astype(np.float64).dot(map_.matrix).astype(np.float32)
    variables[biases] = map_.of(variables[biases].astype(np.float64)).astype(np.float32)
    return variables, map_.of(np.concatenate(means)).astype(np.float32)


def save(
        variables: Dict[str, np.ndarray],      # of both encoders
        checkpoint: str,       # folder of the training's last checkpoint
        folder: str,           # of the text encoder; gets encoder/
) -> None:
    """Writes encoder/, which is what is used."""
    checkpoints = Checkpoints(os.path.join(folder, ENCODER), keep=1)
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        made = [tf.get_variable(name, value.shape, use_resource=True)
                for name, value in variables.items()]
        for variable in made:
            variable.load(variables[variable.op.name], session)
        checkpoints.save(session, tf.train.Saver(made), read_facts(checkpoint)['step'], {})


def _whole_images(pairs: Pairs) -> np.ndarray:
    """Images, evenly spread, with at most MAX_ROWS captions together."""
    count = len(pairs.split)
    share = min(1.0, MAX_ROWS / len(pairs.codes))
    return np.unique(np.linspace(0, count - 1, max(int(count * share), 2)).astype(int))


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

