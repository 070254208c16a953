"""What an export folder says of itself. Imports no TensorFlow."""

import os

from stackgan.errors import InputError
from stackgan.files import read_json

FACTS = 'export.json'
CHECK = 'check.json'
TEXT_ENCODER = 'text-encoder.onnx'
FORM = 1                  # of export.json


def read_export(folder):
    """export.json of a folder. Raises InputError where it cannot be used."""
    path = os.path.join(folder, FACTS)
    try:
        facts = read_json(path)
        if facts['form'] != FORM:
            raise ValueError('form %s, expected %d' % (facts['form'], FORM))
        [each['frozen']['sha256'] for each in facts['models']]
        return facts
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError('%s: not what export writes (%s); run export' % (path, error))
