"""Exports a trained text encoder to ONNX, one caption at a time, compared with the checkpoint.

Embedding captions then needs no TensorFlow (`onnx_file.OnnxTextEncoder`). A sentence encoder is
ONNX already; it is copied with its tokenizer and its licence.
"""

import logging
import os
from typing import Any, Dict, List, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.config.schema import Platform
from stackgan.data.noise import random_state
from stackgan.errors import InputError, StackganError
from stackgan.export.freezing import Frozen, as_in_1_15, constants
from stackgan.export.onnx_file import CODES, EMBEDDINGS, OnnxTextEncoder
from stackgan.export.onnx_graph import IR_VERSION, OPSET, to_onnx
from stackgan.export.ports import Arrays
from stackgan.export.record import TEXT_ENCODER
from stackgan.files import atomic_write, digest_of_file
from stackgan.integrity import copy_checked
from stackgan.text import char_cnn_rnn
from stackgan.text.alphabet import ALPHABET, MAX_LENGTH
from stackgan.text.encoder import TextEncoder
from stackgan.text.options import CHAR_CNN_RNN, SENTENCES, read_options
from stackgan.text.sentence_encoder import TOKENIZER, files_of

logger = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 1e-4      # of an embedding, relative to its largest number or 1
CAPTIONS = ['a small red bird with black wings and a short pointed beak', 'bird', '',
            'A 2nd one -- with "signs", and \u00e9: ' + 'long ' * 50]


def export_text_encoder(
        encoder_folder: str,    # a finished text encoder
        folder: str,            # gets text-encoder.onnx, and of a sentence encoder its other files
        platform: Platform,     # the `platform` section
) -> Optional[Dict[str, Any]]:
    """Writes and checks the file; returns its entry of export.json, None for other encoders.

    Raises StackganError if the file embeds captions differently from the checkpoint.
    """
    options = read_options(encoder_folder)
    if options['kind'] == SENTENCES:
        return _copy_sentences(encoder_folder, folder)
    if options['kind'] != CHAR_CNN_RNN:
        logger.info(f'the text encoder is a {options["kind"]}, which needs no ONNX file')
        return None
    captions = CAPTIONS + _random_texts()
    with TextEncoder(encoder_folder, platform) as live:
        weights, expected = live.variables(), live.embed(captions)
    path = os.path.join(folder, TEXT_ENCODER)
    with atomic_write(path) as stream:
        stream.write(to_onnx(freeze_text_encoder(options, weights)).SerializeToString())
    with OnnxTextEncoder(path, platform) as model:
        difference = _difference(model.embed(captions), expected)
    if not difference <= LARGEST_DIFFERENCE:                       # also for NaN
        raise StackganError(f"{path}: its embeddings differ from the checkpoint's by "
                            f'{difference:g}, more than {LARGEST_DIFFERENCE:g}; please report this')
    logger.info(f'wrote {TEXT_ENCODER}; largest difference from the checkpoint: {difference:.2g}')
    return {
        'file': TEXT_ENCODER, 'bytes': os.path.getsize(path), 'sha256': digest_of_file(path),
        'kind': CHAR_CNN_RNN, 'cell': options['cell'], 'opset': OPSET, 'ir_version': IR_VERSION,
        'largest_difference': difference,
        'inputs': [{'name': CODES, 'shape': [1, MAX_LENGTH], 'type': 'uint8',
                    'values': f'indices into the alphabet, 1 to {len(ALPHABET)}; 0: none'}],
        'outputs': [{'name': EMBEDDINGS, 'shape': [1, options['embedding_dim']],
                     'type': 'float32', 'values': 'embedding of the caption'}],
    }


def _copy_sentences(encoder_folder: str, folder: str) -> Dict[str, Any]:
    """Copies a sentence encoder with its tokenizer and licence; returns its entry of export.json.

    The files are those that were checked by their digests when the encoder was opened.
    """
    options, path, names = files_of(encoder_folder)
    files: Dict[str, Dict[str, Any]] = {}
    for name in names:
        target = TEXT_ENCODER if name == options['model'] else f'text-encoder-{name}'
        if not copy_checked(os.path.join(path, name), os.path.join(folder, target),
                            options['digests'].get(name)):
            raise InputError(f'{os.path.join(path, name)}: has changed since train-text-encoder '
                             'looked at it; run it again with --force')
        files[target] = {'bytes': os.path.getsize(os.path.join(folder, target)),
                         'sha256': digest_of_file(os.path.join(folder, target))}
    licences = [target for target in files if target not in (
        TEXT_ENCODER, 'text-encoder-' + TOKENIZER)]
    if not licences:
        logger.warning(f'{path}: holds no licence file (LICENSE, NOTICE) to copy along; see '
                       'whether you may pass the encoder on')
    logger.info(f'copied the sentence encoder: {", ".join(files)}')
    return {
        'file': TEXT_ENCODER, 'kind': SENTENCES, 'files': files, 'licences': licences,
        'tokenizer': 'text-encoder-' + TOKENIZER, 'pooling': options['pooling'],
        'normalised': options['normalised'], 'max_tokens': options['max_tokens'],
        'embedding_dim': options['embedding_dim'], **files[TEXT_ENCODER],
    }


def freeze_text_encoder(
        options: Dict[str, Any],    # of the encoder: cell, filters, embedding_dim
        weights: Arrays,            # {name of a variable: array}
) -> Frozen:
    """The encoder of one caption."""
    with tf.Graph().as_default() as graph:
        codes = tf.placeholder(tf.uint8, [1, MAX_LENGTH], CODES)
        with tf.variable_scope(tf.get_variable_scope(), custom_getter=constants(weights)):
            rows = char_cnn_rnn.text_encoder(codes, options['cell'], options['filters'],
                                             options['embedding_dim'])
        tf.identity(rows, EMBEDDINGS)
        graph_def = tf.graph_util.extract_sub_graph(graph.as_graph_def(), [EMBEDDINGS])
    return Frozen(as_in_1_15(graph_def), {CODES: [1, MAX_LENGTH]}, {EMBEDDINGS: EMBEDDINGS})


def _random_texts() -> List[str]:
    """Random characters of the alphabet, of several lengths."""
    random = random_state(0, 'export of the text encoder')
    return [''.join(random.choice(list(ALPHABET), length)) for length in (3, 40, 120, MAX_LENGTH)]


def _difference(embeddings: np.ndarray, expected: np.ndarray) -> float:
    scale = max(1.0, float(np.abs(expected).max()))
    return float(np.abs(embeddings - expected).max()) / scale
