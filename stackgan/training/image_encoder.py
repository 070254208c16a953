"""Training of an image encoder to say of an image what its captions say.

The one that learns along with a text encoder tells images apart, and needs little for that: on
painted birds it knows the body's colour and never looks at the beak. By regression on whitened
embeddings, where each attribute counts alike, it learns all that captions name.

It learns from noisy images. What pleases an encoder of clean images need not please an eye: specks
of colour do. The gradients of one that has seen noise look like the thing it asks for (Kaur et
al., 2019), and those are what a generator follows.
"""

import os
from typing import Any, Dict

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.data.noise import normal, random_state
from stackgan.networks.layers import ForwardMode
from stackgan.text.encoder import ImageEncoder
from stackgan.text.image_encoder import SIZE, as_floats, image_encoder
from stackgan.text.pairs import Pairs
from stackgan.training.single_loss import SingleLoss, network_of, plan_of, train

FOLDER = 'image-encoder'
LABEL = 'train-text-encoder: image encoder'
BATCH_SIZE = 64
NOISE = 0.5          # largest deviation, for images in [-1, 1]
SAMPLES = 1 << 22    # of a unit normal; each batch takes 786,432 that follow each other


def train_image_encoder(
        pairs: Pairs,              # of the training split
        wanted: np.ndarray,        # [images, embedding_dim] float32
        folder: str,               # of the text encoder; gets image-encoder/ with the checkpoints
        settings: Any,             # the `text` section
        options: Dict[str, Any],   # of the text encoder
        platform: Any,             # the `platform` section
        stop: Any,                 # `deferred()` and `requested`, as jobs.engine.signals.Stop
) -> Dict[str, np.ndarray]:
    """{name: value} of its variables. Raises as `loop.run`.

    The loss is the mean squared error as a share of the variance of `wanted`.
    """
    size, seed = min(BATCH_SIZE, len(wanted)), options['seed']
    variance = max(float(np.square(wanted).mean()), 1e-12)
    with tf.Graph().as_default():
        # As in training.stages: the order in which the graph is built decides the initial values.
        tf.set_random_seed(seed)
        images = tf.placeholder(tf.uint8, [size, SIZE, SIZE, 3], 'images')
        targets = tf.placeholder(tf.float32, [size, wanted.shape[1]], 'targets')
        statistics: list = []
        features = image_encoder(as_floats(images), options,
                                 ForwardMode(training=True, statistics=statistics))
        network = network_of(tf.reduce_mean(tf.square(features - targets)) / variance, statistics)

    # Drawn once: drawing a batch's own takes a third of a step.
    samples = normal(random_state(seed, 'image encoder: noise'), SAMPLES)

    def feed(step: int) -> Dict[Any, Any]:
        random = random_state(seed, 'image encoder: batch', step)
        chosen = random.randint(0, len(wanted), size)
        return {images: _noisy(pairs.random_crops(chosen, random), samples, random),
                targets: wanted[chosen]}

    plan = plan_of(LABEL, 'images', 'text', settings, size, len(wanted))._replace(
        steps=settings.image_steps, length=f'text.image_steps={settings.image_steps}')
    own = os.path.join(folder, FOLDER)
    os.makedirs(own, exist_ok=True)
    last = train(SingleLoss(plan, network, settings.learning_rate, feed), own, platform, stop)
    with ImageEncoder(folder, platform, last) as encoder:
        return encoder.variables()


def _noisy(images: np.ndarray, samples: np.ndarray,
           random: np.random.RandomState) -> np.ndarray:
    """uint8 images, each with normal noise of a deviation of its own, from none to NOISE."""
    deviations = random.uniform(0.0, NOISE * 127.5, (len(images), 1, 1, 1)).astype(np.float32)
    start = random.randint(len(samples) - images.size + 1)
    noise = samples[start:start + images.size].reshape(images.shape)
    return np.clip(np.rint(images + deviations * noise), 0, 255).astype(np.uint8)
