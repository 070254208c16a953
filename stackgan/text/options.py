"""What kind of text encoder a folder holds. Needs no TensorFlow."""

import os

from stackgan.errors import InputError
from stackgan.files import read_json
from stackgan.integrity import check_file
from stackgan.text.alphabet import MAX_LENGTH

OPTIONS = 'options.json'
CHAR_CNN_RNN, SKIP_THOUGHT = KINDS = ('char-CNN-RNN', 'skip-thought')


def read_options(folder):
    """What options.json of a text encoder says. Raises InputError where there is none."""
    path = os.path.join(folder, OPTIONS)
    try:
        check_file(path)
        options = dict({'kind': CHAR_CNN_RNN}, **read_json(path))    # the first ones did not say
        if options['kind'] not in KINDS:
            raise ValueError('kind %s, expected %s' % (options['kind'], ' or '.join(KINDS)))
        if options['kind'] == CHAR_CNN_RNN and options['max_length'] != MAX_LENGTH:
            raise ValueError('max_length %s, expected %d' % (options['max_length'], MAX_LENGTH))
        return options
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError('%s: not the options of a text encoder (%s); run train-text-encoder'
                         % (path, error))
