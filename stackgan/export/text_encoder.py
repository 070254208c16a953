"""A trained text encoder as ONNX, compared with the checkpoint: a caption at a time.

Embedding captions then needs no TensorFlow (`onnx_file.OnnxTextEncoder`).
"""

import logging
import os

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.data.noise import random_state
from stackgan.errors import StackganError
from stackgan.export.freezing import Frozen, as_in_1_15, constants
from stackgan.export.onnx_file import CODES, EMBEDDINGS, OnnxTextEncoder
from stackgan.export.onnx_graph import IR_VERSION, OPSET, to_onnx
from stackgan.export.record import TEXT_ENCODER
from stackgan.files import atomic_write, digest_of_file
from stackgan.text import char_cnn_rnn
from stackgan.text.alphabet import ALPHABET, MAX_LENGTH
from stackgan.text.encoder import TextEncoder
from stackgan.text.options import CHAR_CNN_RNN, read_options

logger = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 1e-4      # of an embedding, in units of the largest number, or of 1
CAPTIONS = ['a small red bird with black wings and a short pointed beak', 'bird', '',
            'A 2nd one -- with "signs", and \u00e9: ' + 'long ' * 50]


def export_text_encoder(
        encoder_folder,   # a finished text encoder
        folder,           # gets text-encoder.onnx
        platform,         # the `platform` section
):
    """Writes and checks the file; its entry of export.json, None for an encoder of another kind."""
    options = read_options(encoder_folder)
    if options['kind'] != CHAR_CNN_RNN:
        logger.info('the text encoder is a {}, which needs no ONNX'.format(options['kind']))
        return None
    captions = CAPTIONS + _by_chance()
    with TextEncoder(encoder_folder, platform) as live:
        weights, expected = live.variables(), live.embed(captions)
    path = os.path.join(folder, TEXT_ENCODER)
    with atomic_write(path) as stream:
        stream.write(to_onnx(freeze_text_encoder(options, weights)).SerializeToString())
    with OnnxTextEncoder(path, platform) as model:
        difference = _difference(model.embed(captions), expected)
    if not difference <= LARGEST_DIFFERENCE:                       # also when it is no number
        raise StackganError(f'{path}: embeds captions {difference:g} away from the checkpoint, '
                            f'more than {LARGEST_DIFFERENCE:g}; '
                            'please report this')
    logger.info(f'the text encoder as {TEXT_ENCODER}; farthest from the checkpoint: '
                f'{difference:.2g}')
    return {
        'file': TEXT_ENCODER, 'bytes': os.path.getsize(path), 'sha256': digest_of_file(path),
        'kind': CHAR_CNN_RNN, 'cell': options['cell'], 'opset': OPSET, 'ir_version': IR_VERSION,
        'largest_difference': difference,
        'inputs': [{'name': CODES, 'shape': [1, MAX_LENGTH], 'type': 'uint8',
                    'values': 'places in the alphabet, 1 to %d; 0: none' % len(ALPHABET)}],
        'outputs': [{'name': EMBEDDINGS, 'shape': [1, options['embedding_dim']],
                     'type': 'float32', 'values': 'embedding of the caption'}],
    }


def freeze_text_encoder(
        options,          # of the encoder: cell, filters, embedding_dim
        weights,          # {name of a variable: array}
):
    """`freezing.Frozen` encoder of one caption."""
    with tf.Graph().as_default() as graph:
        codes = tf.placeholder(tf.uint8, [1, MAX_LENGTH], CODES)
        with tf.variable_scope(tf.get_variable_scope(), custom_getter=constants(weights)):
            rows = char_cnn_rnn.text_encoder(codes, options['cell'], options['filters'],
                                             options['embedding_dim'])
        tf.identity(rows, EMBEDDINGS)
        graph_def = tf.graph_util.extract_sub_graph(graph.as_graph_def(), [EMBEDDINGS])
    return Frozen(as_in_1_15(graph_def), {CODES: [1, MAX_LENGTH]}, {EMBEDDINGS: EMBEDDINGS})


def _by_chance():
    """Texts of characters generated from the alphabet."""
    random = random_state(0, 'export of the text encoder')
    return [''.join(random.choice(list(ALPHABET), length)) for length in (3, 40, 120, MAX_LENGTH)]


def _difference(embeddings, expected):
    scale = max(1.0, float(np.abs(expected).max()))
    return float(np.abs(embeddings - expected).max()) / scale
