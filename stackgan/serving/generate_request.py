"""A visitor's request, checked: a caption, a run, a seed, a number of images."""

import json
import unicodedata
from typing import Mapping, NamedTuple

from stackgan.serving.limits import Limits
from stackgan.serving.refusals import Refusal

LARGEST_SEED = 2 ** 31 - 1        # as for sample.seed
TYPES = {'run': str, 'caption': str, 'seed': int, 'count': int}


class GenerateRequest(NamedTuple):
    """A request to generate."""

    run: str
    caption: str        # words with single spaces
    seed: int           # 0 to LARGEST_SEED
    count: int          # type: ignore    # images that differ by their noise


def from_json(body: bytes, limits: Limits) -> GenerateRequest:
    """Parses a request. Raises Refusal for anything incomplete or invalid."""
    try:
        values = json.loads(body.decode('utf-8'))
    except (ValueError, RecursionError):
        raise Refusal(400, 'The body is not JSON; send {"run": ..., "caption": ..., "seed": ...}')
    if not isinstance(values, dict):
        raise Refusal(400, 'The body must be a JSON object with run, caption and seed')
    unknown = sorted(set(values) - set(TYPES))
    if unknown:
        raise Refusal(400, f"There is no {_shown(unknown[0])}; a request has {', '.join(TYPES)}")
    values = dict({'seed': 0, 'count': 1}, **values)
    for name, kind in TYPES.items():
        if name not in values:
            raise Refusal(400, f'The {name} is missing')
        if type(values[name]) is not kind:                   # isinstance would accept bool as int
            raise Refusal(400, f"The {name} must be a {'text' if kind is str else 'whole number'}")
    return checked(values['run'], values['caption'], values['seed'], values['count'], limits)


def from_form(
        form: Mapping[str, str],  # of an HTML form
        limits: Limits,
) -> GenerateRequest:
    """Parses the form, which generates one image."""
    try:
        seed = int(form.get('seed', '').strip() or '0')
    except ValueError:
        raise Refusal(400, f'The seed must be a whole number from 0 to {LARGEST_SEED}')
    return checked(form.get('run', ''), form.get('caption', ''), seed, 1, limits)


def checked(run: str, caption: str, seed: int, count: int, limits: Limits) -> GenerateRequest:
    """Checks the values of a request. Raises Refusal with what is wrong."""
    if len(caption) > limits.caption_characters:
        raise Refusal(400, f'The caption has {len(caption)} characters; at most '
                           f'{limits.caption_characters} are allowed')
    words = ' '.join(caption.split())                        # as sample does
    if not words:
        raise Refusal(400, 'The caption is empty; write at least one word')
    if any(unicodedata.category(character) in ('Cc', 'Cs') for character in words):
        raise Refusal(400, 'The caption contains control characters or invalid text')
    if not 0 <= seed <= LARGEST_SEED:
        raise Refusal(400, f'The seed must be a whole number from 0 to {LARGEST_SEED}')
    if not 1 <= count <= limits.count:
        raise Refusal(400, f'The count must be from 1 to {limits.count}')
    return GenerateRequest(run, words, seed, count)


def _shown(text: str) -> str:
    """A visitor's text, shortened and without control characters."""
    shown = ''.join(c for c in text[:40] if unicodedata.category(c) not in ('Cc', 'Cs', 'Cf'))
    return repr(shown)
