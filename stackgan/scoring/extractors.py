"""The networks that score images.

    scorer       the dataset's own classifier, of train-scorer
    match        the image encoder that was trained with the text encoder: for R-precision
    stackgan     the Inception-v3 of StackGAN-inception-model, weights by the user
    imagenet     the public Inception graph of 2015, by the user
"""

import os
from typing import Any, Dict, Iterable, List, Tuple

import tensorflow.compat.v1 as tf

from stackgan.checkpoints import Checkpoints, restore
from stackgan.config.schema import Platform
from stackgan.errors import InputError, StackganError
from stackgan.files import digest_of, digest_of_file, files_below, read_json
from stackgan.networks.layers import TESTING
from stackgan.platforms.session import without_16_bits
from stackgan.scoring import imagenet, inception_v3
from stackgan.scoring.extractor import BATCH, Extractor, Fill, GraphExtractor
from stackgan.scoring.scorer_network import ClassifierOutputs, scorer
from stackgan.scoring.views import resized, resized_as_tf1
from stackgan.text.encoder import ENCODER
from stackgan.text.image_encoder import SIZE, as_floats, image_encoder
from stackgan.text.options import read_options

SCORER = 'scorer.json'


def open_scorer(folder: str, platform: Platform) -> Extractor:
    """The scorer in a folder of train-scorer."""
    facts = read_scorer(folder)
    side = facts['side']
    with tf.Graph().as_default():
        images = tf.placeholder(tf.uint8, [BATCH, side, side, 3])
        seen = scorer(tf.cast(images, tf.float32) / 127.5 - 1.0, facts['classes'],
                      facts['filters'], facts['blocks'], TESTING)
        fill, digest = _checkpoint(os.path.join(folder, 'network'), tf.global_variables())
    return GraphExtractor('scorer', lambda pixels: resized(pixels, side), images, seen, fill,
                          platform, {'weights': digest, 'side': side})


def read_scorer(folder: str) -> Dict[str, Any]:
    """The content of scorer.json. Raises InputError if there is none."""
    path = os.path.join(folder, SCORER)
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not the description of a scorer ({error}); run train-scorer')


def check_learned(
        facts: Dict[str, Any],    # of scorer.json
        minimum: float,           # accuracy on held-out images, in [0, 1]
) -> None:
    """Raises StackganError for a scorer that has not learned or could not be trained."""
    if facts['accuracy'] is None:
        raise StackganError(facts['reason'])
    if facts['accuracy'] < minimum:
        raise StackganError(
            f'the scorer has an accuracy of {100 * facts["accuracy"]:.1f} % on held-out real '
            f'images (chance {100 * facts["chance"]:.1f} %); at least {100 * minimum:.0f} % is '
            'required (scorer.minimum_accuracy): train it longer (scorer.steps) or wider '
            '(scorer.filters)')


def open_match(folder: str, platform: Platform) -> Extractor:
    """The image encoder in a folder of train-text-encoder, in the text encoder's type."""
    options = read_options(folder)
    with tf.Graph().as_default():
        images = tf.placeholder(tf.uint8, [BATCH, SIZE, SIZE, 3])
        features = image_encoder(as_floats(images), options, TESTING)
        fill, digest = _checkpoint(os.path.join(folder, ENCODER), tf.global_variables())
    return GraphExtractor('match', lambda pixels: resized(pixels, SIZE), images,
                          ClassifierOutputs(None, features), fill,
                          without_16_bits(platform),
                          {'weights': digest, 'side': SIZE})


def open_stackgan(path: str, classes: int, platform: Platform) -> Extractor:
    """The fine-tuned Inception-v3 of a checkpoint of StackGAN-inception-model."""
    checkpoint = inception_v3.find_checkpoint(path)
    with tf.Graph().as_default():
        images = tf.placeholder(tf.uint8, [BATCH, inception_v3.SIZE, inception_v3.SIZE, 3])
        seen = inception_v3.inception_v3(tf.cast(images, tf.float32) / 127.5 - 1.0, classes)
        fill = inception_v3.restorer(checkpoint, classes)
    return GraphExtractor('stackgan', lambda pixels: resized(pixels, inception_v3.SIZE), images,
                          seen, fill, platform, {'weights': _digest_of_files(checkpoint.files),
                                           'side': inception_v3.SIZE})


def open_imagenet(path: str, platform: Platform) -> Extractor:
    """The public frozen Inception graph in a file."""
    with tf.Graph().as_default():
        # The graph reshapes a batch of one behind what is read: no other size may be known to it.
        images = tf.placeholder(tf.float32, [None, imagenet.SIZE, imagenet.SIZE, 3])
        seen = imagenet.load(path, images)
    return GraphExtractor('imagenet', lambda pixels: resized_as_tf1(pixels, imagenet.SIZE), images,
                          seen, lambda session: None, platform,
                          {'weights': digest_of_file(path), 'side': imagenet.SIZE})


def _checkpoint(folder: str, variables: List[tf.Variable]) -> Tuple[Fill, str]:
    """((session): fills the variables, digest of the newest checkpoint in a folder)."""
    path = Checkpoints(folder, keep=None).last()
    if path is None:
        raise InputError(f'{folder}: no checkpoint there; run the job that makes it again')
    saver = tf.train.Saver(variables)
    files = [os.path.join(path, name) for name in files_below(path) if name.startswith('model.')]
    return (lambda session: restore(session, saver, variables, path, is_part=True),
            _digest_of_files(files))


def _digest_of_files(paths: Iterable[str]) -> str:
    return digest_of([[os.path.basename(path), digest_of_file(path)] for path in sorted(paths)])
