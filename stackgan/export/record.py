"""What an export folder says of itself. Imports no TensorFlow."""

import os
from typing import Any

from stackgan.errors import InputError
from stackgan.export.ports import INPUTS, OUTPUTS
from stackgan.files import read_json
from stackgan.plain_names import file_within, require_plain

FACTS = 'export.json'
CHECK = 'check.json'
TEXT_ENCODER = 'text-encoder.onnx'
FORM = 1                  # of export.json


def read_export(folder):
    """export.json of a folder: what is read of it is as export writes it, its files lie beside it.

    Raises InputError where it cannot be used.
    """
    path = os.path.join(folder, FACTS)
    try:
        facts = read_json(path)
        if facts['form'] != FORM:
            raise ValueError('form %s, expected %d' % (facts['form'], FORM))
        _check(facts, folder)
        return facts
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: not what export writes ({error}); run export')


def _check(facts, folder):
    """Raises ValueError, KeyError or TypeError. Names end in a shell, numbers in an allocation."""
    if facts['stage'] not in (1, 2) or not isinstance(facts['models'], list) or \
            not facts['models']:
        raise ValueError('its stage or models are invalid')
    for entry in facts['models']:
        _require_counts([entry['batch_size']], 1)
        for kind, ending in (('frozen', '.pb'), ('onnx', '.onnx')):
            if kind == 'frozen' or kind in entry:
                file_within(folder, require_plain(entry[kind]['file'], ending))
                if not isinstance(entry[kind]['sha256'], str):
                    raise ValueError('the digest of {} is odd'.format(entry[kind]['file']))
        for each in entry['inputs']:
            _require_counts(each['shape'], 2)
        for each in entry['outputs']:
            _require_counts(each['shape'], 4)
        names = [each['name'] for each in entry['inputs'] + entry['outputs']]
        if not set(names) <= set(INPUTS) | set(OUTPUTS.values()) or len(set(names)) < len(names):
            raise ValueError('names inputs or outputs that no generator has')
    if facts.get('text_encoder'):
        file_within(folder, require_plain(facts['text_encoder']['file'], '.onnx'))


def _require_counts(values: Any, count: int) -> None:
    if not isinstance(values, list) or len(values) != count or \
            any(type(value) is not int or value < 1 for value in values):
        raise ValueError('tells %r, expected %d whole numbers' % (str(values)[:40], count))
