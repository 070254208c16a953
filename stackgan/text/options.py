"""What kind of text encoder a folder holds. Needs no TensorFlow."""

import os
from typing import Any, Dict

from stackgan.errors import InputError
from stackgan.files import read_json
from stackgan.integrity import check_file
from stackgan.plain_names import file_within
from stackgan.text.alphabet import MAX_LENGTH

OPTIONS = 'options.json'
MAX_SIZE = 1 << 16         # of any of its sizes
CHAR_CNN_RNN, SKIP_THOUGHT, SENTENCES = KINDS = ('char-CNN-RNN', 'skip-thought', 'onnx')
POOLINGS = ('mean', 'cls', 'pooler')
IMAGE_POOLINGS = ('max', 'root-mean-square')
FIRST = {'kind': CHAR_CNN_RNN, 'image_pooling': 'max'}      # of encoders that do not say


def read_options(folder: str) -> Dict[str, Any]:
    """What options.json of a text encoder says. Raises InputError where there is none."""
    path = os.path.join(folder, OPTIONS)
    try:
        check_file(path)
        options = dict(FIRST, **read_json(path))
        if options['kind'] not in KINDS:
            raise ValueError(f"kind {options['kind']}, expected {' or '.join(KINDS)}")
        if options['kind'] == CHAR_CNN_RNN and options['max_length'] != MAX_LENGTH:
            raise ValueError(f"max_length {options['max_length']}, expected {MAX_LENGTH}")
        _check_values(options, folder)
        return options
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: not the options of a text encoder ({error}); run '
                         'train-text-encoder')


def _check_values(options: Dict[str, Any], folder: str) -> None:
    """Raises ValueError, KeyError or TypeError for a value of a kind that no encoder has."""
    sizes = [options.get(name, 1) for name in ('embedding_dim', 'image_filters', 'max_tokens')]
    for value in sizes + options.get('filters', []):
        if type(value) is not int or not 1 <= value <= MAX_SIZE:
            raise ValueError(f'a size of {str(value)[:40]}, expected 1 to {MAX_SIZE}')
    if options['image_pooling'] not in IMAGE_POOLINGS:
        raise ValueError(f'its image_pooling is not {" or ".join(IMAGE_POOLINGS)}')
    for name in ('cell', 'files'):
        if not isinstance(options.get(name, ''), str):
            raise ValueError(f'{name} is not text')
    if options['kind'] == SENTENCES and (options['pooling'] not in POOLINGS or not isinstance(
            options['normalised'], bool) or not isinstance(options['digests'], dict)):
        raise ValueError('its pooling or digests are not those of a sentence encoder')
    if 'weights' in options:
        file_within(folder, options['weights']['file'])
        if not isinstance(options['weights']['sha256'], str):
            raise ValueError('the digest of the weights is not text')
