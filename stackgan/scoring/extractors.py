"""Networks that look at images: what each wants to see, and what it gives.

    scorer       the dataset's own classifier, of train-scorer
    match        the image encoder that was trained with the text encoder: for R-precision
    stackgan     the Inception-v3 of StackGAN-inception-model, weights by the user
    imagenet     the public Inception graph of 2015, by the user
"""

import dataclasses
import os

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import Checkpoints, restore
from stackgan.errors import InputError, StackganError
from stackgan.files import digest_of, digest_of_file, files_below, read_json
from stackgan.networks.layers import TESTING
from stackgan.platforms.session import on_host, open_session, resolve
from stackgan.scoring import imagenet, inception_v3
from stackgan.scoring.features import BATCH
from stackgan.scoring.scorer_network import ClassifierOutputs, scorer
from stackgan.scoring.views import resized, resized_as_tf1
from stackgan.text.encoder import ENCODER
from stackgan.text.image_encoder import SIZE, as_floats, image_encoder
from stackgan.text.options import read_options

SCORER = 'scorer.json'


class Extractor:
    """A network on a session of its own. Use as a context manager."""

    def __init__(
            self,
            name,              # 'scorer', 'match', 'stackgan' or 'imagenet'
            prepare,           # [H, W, 3] uint8 -> what `images` takes, one image
            images,            # placeholder [BATCH, ...]
            seen,              # Seen; logits is None where the network is no classifier
            fill,              # (session): fills the variables
            platform,          # the `platform` section
            facts,             # dict: all else that changes what it gives
    ):
        self.name, self.prepare, self.images, self.seen = name, prepare, images, seen
        self.classes = seen.logits.shape.as_list()[1] if seen.logits is not None else 0
        self.dim = seen.features.shape.as_list()[1]
        platform = on_host(platform)       # in the precision that the record names
        precision = 'bfloat16' if resolve(platform).bfloat16 else 'float32'
        self.facts = dict(facts, extractor=name, precision=precision)
        self.session = open_session(platform, images.graph)
        try:
            fill(self.session)
        except BaseException:
            self.session.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.session.close()

    def run(
            self,
            prepared,          # list of N images, each as `prepare` gives it
    ):
        """(logits [N, classes] float32, features [N, dim] float32)."""
        logits = np.empty((len(prepared), self.classes), np.float32)
        features = np.empty((len(prepared), self.dim), np.float32)
        for start in range(0, len(prepared), BATCH):
            part = prepared[start:start + BATCH]
            count = len(part)
            feed = {self.images: np.stack(part + [part[0]] * (BATCH - count))}
            wanted = [tensor for tensor in self.seen if tensor is not None]
            done = self.session.run(wanted, feed)
            features[start:start + count] = done[-1][:count]
            if self.classes:
                logits[start:start + count] = done[0][:count]
        return logits, features


def open_scorer(folder, platform):
    """The scorer in a folder of train-scorer."""
    facts = read_scorer(folder)
    side = facts['side']
    with tf.Graph().as_default():
        images = tf.placeholder(tf.uint8, [BATCH, side, side, 3])
        seen = scorer(tf.cast(images, tf.float32) / 127.5 - 1.0, facts['classes'],
                      facts['filters'], facts['blocks'], TESTING)
        fill, digest = _checkpoint(os.path.join(folder, 'network'), tf.global_variables())
    return Extractor('scorer', lambda pixels: resized(pixels, side), images, seen, fill,
                     platform, {'weights': digest, 'side': side})


def read_scorer(folder):
    """What scorer.json says. Raises InputError where there is none."""
    path = os.path.join(folder, SCORER)
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not the facts of a scorer ({error}); run train-scorer')


def check_learned(
        facts,             # of scorer.json
        least,             # the accuracy on held-out images from which on scores mean something
):
    """Raises StackganError for a scorer that has not learned or could not be trained."""
    if facts['accuracy'] is None:
        raise StackganError(facts['reason'])
    if facts['accuracy'] < least:
        raise StackganError(
            'the scorer has an accuracy of {:.1f} % on held-out real images (chance {:.1f} %); at '
            'least {:.0f} % is required (scorer.minimum_accuracy): train it longer (scorer.steps) '
            'or wider (scorer.filters)'.format(100 * facts['accuracy'], 100 * facts['chance'], 100 * least))


def open_match(folder, platform):
    """The image encoder in a folder of train-text-encoder, in float32 as the text encoder."""
    options = read_options(folder)
    with tf.Graph().as_default():
        images = tf.placeholder(tf.uint8, [BATCH, SIZE, SIZE, 3])
        features = image_encoder(as_floats(images), options['image_filters'],
                                 options['embedding_dim'], TESTING)
        fill, digest = _checkpoint(os.path.join(folder, ENCODER), tf.global_variables())
    return Extractor('match', lambda pixels: resized(pixels, SIZE), images,
                     ClassifierOutputs(None, features), fill,
                     dataclasses.replace(platform, mixed_precision='off'),
                     {'weights': digest, 'side': SIZE})


def open_stackgan(path, classes, platform):
    """The fine-tuned Inception-v3 of a checkpoint of StackGAN-inception-model."""
    checkpoint = inception_v3.find_checkpoint(path)
    with tf.Graph().as_default():
        images = tf.placeholder(tf.uint8, [BATCH, inception_v3.SIZE, inception_v3.SIZE, 3])
        seen = inception_v3.inception_v3(tf.cast(images, tf.float32) / 127.5 - 1.0, classes)
        fill = inception_v3.restorer(checkpoint, classes)
    return Extractor('stackgan', lambda pixels: resized(pixels, inception_v3.SIZE), images, seen,
                     fill, platform, {'weights': _digest_of_files(checkpoint.files),
                                      'side': inception_v3.SIZE})


def open_imagenet(path, platform):
    """The public frozen Inception graph in a file."""
    with tf.Graph().as_default():
        # The graph reshapes a batch of one behind what is read: no other size may be known to it.
        images = tf.placeholder(tf.float32, [None, imagenet.SIZE, imagenet.SIZE, 3])
        seen = imagenet.load(path, images)
    return Extractor('imagenet', lambda pixels: resized_as_tf1(pixels, imagenet.SIZE), images,
                     seen, lambda session: None, platform,
                     {'weights': digest_of_file(path), 'side': imagenet.SIZE})


def _checkpoint(folder, variables):
    """((session): fills the variables, digest of the newest checkpoint in a folder)."""
    path = Checkpoints(folder, keep=None).last()
    if path is None:
        raise InputError(f'{folder}: no checkpoint there; run the job that makes it again')
    saver = tf.train.Saver(variables)
    files = [os.path.join(path, name) for name in files_below(path) if name.startswith('model.')]
    return (lambda session: restore(session, saver, variables, path, is_part=True),
            _digest_of_files(files))


def _digest_of_files(paths):
    return digest_of([[os.path.basename(path), digest_of_file(path)] for path in sorted(paths)])
