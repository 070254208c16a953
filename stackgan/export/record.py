"""What an export folder says of itself. Imports no TensorFlow."""

import os
from typing import Any, Dict

from stackgan.errors import InputError
from stackgan.export.ports import INPUTS, OUTPUTS
from stackgan.files import read_json
from stackgan.plain_names import file_within, require_plain

FACTS = 'export.json'
CHECK = 'check.json'
TEXT_ENCODER = 'text-encoder.onnx'
FORM = 1                  # of export.json
Entry = Dict[str, Any]    # a model of export.json: batch_size, inputs, outputs, frozen, onnx, atc


def read_export(folder: str) -> Dict[str, Any]:
    """export.json of a folder, checked; the files it names are plain names beside it.

    Raises InputError if it cannot be used.
    """
    path = os.path.join(folder, FACTS)
    try:
        facts = read_json(path)
        if facts['form'] != FORM:
            raise ValueError(f'form {facts["form"]}, expected {FORM}')
        _check(facts, folder)
        return facts
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: not what export writes ({error}); run export')


def _check(facts: Dict[str, Any], folder: str) -> None:
    """Raises ValueError, KeyError or TypeError. Names go to a shell, numbers to an allocation."""
    if facts['stage'] not in (1, 2) or not isinstance(facts['models'], list) or \
            not facts['models']:
        raise ValueError('its stage or models are invalid')
    for entry in facts['models']:
        _require_counts([entry['batch_size']], 1)
        for kind, ending in (('frozen', '.pb'), ('onnx', '.onnx')):
            if kind == 'frozen' or kind in entry:
                file_within(folder, require_plain(entry[kind]['file'], ending))
                if not isinstance(entry[kind]['sha256'], str):
                    raise ValueError(f'the digest of {entry[kind]["file"]} is not a string')
        for each in entry['inputs']:
            _require_counts(each['shape'], 2)
        for each in entry['outputs']:
            _require_counts(each['shape'], 4)
        names = [each['name'] for each in entry['inputs'] + entry['outputs']]
        if not set(names) <= set(INPUTS) | set(OUTPUTS.values()) or len(set(names)) < len(names):
            raise ValueError('it names inputs or outputs that no generator has')
    if facts.get('text_encoder'):
        file_within(folder, require_plain(facts['text_encoder']['file'], '.onnx'))


def _require_counts(values: Any, count: int) -> None:
    if not isinstance(values, list) or len(values) != count or \
            any(type(value) is not int or value < 1 for value in values):
        raise ValueError(f'found {str(values)[:40]!r}, expected {count} positive integers')
