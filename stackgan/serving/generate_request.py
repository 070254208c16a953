"""A visitor's request, checked: a caption, a run, seeds, what to interpolate to."""

import json
import unicodedata
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from stackgan.sampling.interpolation import positions
from stackgan.serving.limits import Limits
from stackgan.serving.refusals import Refusal

LARGEST_SEED = 2 ** 31 - 1        # as for sample.seed
LEAST_TRUNCATION, LARGEST_TRUNCATION = 0.1, 10.0   # sigmas; resampling takes 1 / limit rounds
TYPES = {'run': str, 'caption': str, 'seed': int, 'count': int, 'seeds': int, 'steps': int,
         'other_caption': str, 'other_seed': int, 'truncation': float}
DEFAULTS: Dict[str, Any] = {'seed': 0, 'count': 1, 'seeds': 1, 'steps': 1, 'other_caption': None,
                            'other_seed': None, 'truncation': None}


class GenerateRequest(NamedTuple):
    """A request to generate."""

    run: str
    caption: str        # words with single spaces
    seed: int           # 0 to LARGEST_SEED
    count: int          # type: ignore    # images that differ by their noise
    seeds: int = 1      # `seed` and those after it
    steps: int = 1      # images from the first to the other caption or seed; 1: no interpolation
    other_caption: Optional[str] = None
    other_seed: Optional[int] = None
    truncation: Optional[float] = None     # largest magnitude of z in sigmas; None: unbounded

    def variants(self) -> List['Variant']:
        """One for each image, in order."""
        return [Variant(self.seed + number, copy, position)
                for number in range(self.seeds) for copy in range(self.count)
                for position in (positions(self.steps) if self.steps > 1 else [0.0])]

    def more(self) -> Dict[str, Any]:
        """What an image depends on besides run, caption, seed, copy and position."""
        found = {'other_caption': self.other_caption, 'other_seed': self.other_seed,
                 'truncation': self.truncation}
        return {name: value for name, value in found.items() if value is not None}


class Variant(NamedTuple):
    """What one of the images of a request has of its own."""

    seed: int
    copy: int
    position: float     # of an interpolation, 0 to 1


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
    if type(values.get('truncation')) is int:
        values['truncation'] = float(min(abs(values['truncation']), 10 ** 6))
    for name, kind in TYPES.items():
        if name not in values and name not in DEFAULTS:
            raise Refusal(400, f'The {name} is missing')
        if name in values and type(values[name]) is not kind:    # isinstance accepts bool as int
            words = {str: 'text', int: 'whole number', float: 'number'}
            raise Refusal(400, f'The {name} must be a {words[kind]}')
    return checked(GenerateRequest(**dict(DEFAULTS, **values)), limits)


def from_form(
        form: Mapping[str, str],  # of an HTML form
        limits: Limits,
) -> GenerateRequest:
    """Parses the form. Empty fields have their defaults."""
    values: Dict[str, Any] = {'run': form.get('run', ''), 'caption': form.get('caption', '')}
    for name in ('seed', 'seeds', 'other_caption', 'other_seed', 'truncation'):
        text = form.get(name, '').strip()
        if text:
            values[name] = text if TYPES[name] is str else _number(name, text)
    if 'other_caption' in values or 'other_seed' in values:
        values.update(steps=limits.count, seeds=1)
    return checked(GenerateRequest(**dict(DEFAULTS, **values)), limits)


def _number(name: str, text: str) -> Any:
    try:
        return TYPES[name](text[:40])
    except ValueError:
        limit = f'a whole number from 0 to {LARGEST_SEED}' if 'seed' in name else 'a number'
        raise Refusal(400, f'The {name.replace("_", " ")} must be {limit}')


def checked(request: GenerateRequest, limits: Limits) -> GenerateRequest:
    """Checks the values of a request. Raises Refusal with what is wrong."""
    words = _words(request.caption, limits)
    other = None if request.other_caption is None else _words(request.other_caption, limits)
    last, at_most = request.seed + request.seeds - 1, f'from 1 to {limits.count}'
    for name, seed in (('seed', request.seed), ('seed', last), ('other seed', request.other_seed)):
        if seed is not None and not 0 <= seed <= LARGEST_SEED:
            raise Refusal(400, f'The {name} must be a whole number from 0 to {LARGEST_SEED}')
    for name, number in (('count', request.count), ('seeds', request.seeds),
                         ('steps', request.steps)):
        if not 1 <= number <= limits.count:
            raise Refusal(400, f'The {name} must be {at_most}')
    if request.count * request.seeds * request.steps > limits.count:
        raise Refusal(400, f'{request.count * request.seeds * request.steps} images are too many; '
                           f'count times seeds times steps must be {at_most}')
    if (request.steps > 1) != (other is not None or request.other_seed is not None):
        raise Refusal(400, 'Send steps from 2 on together with other_caption or other_seed')
    if request.truncation is not None and not (
            request.truncation == 0
            or LEAST_TRUNCATION <= request.truncation <= LARGEST_TRUNCATION):
        raise Refusal(400, f'The truncation must be 0, or from {LEAST_TRUNCATION:g} to '
                           f'{LARGEST_TRUNCATION:g}')
    return request._replace(caption=words, other_caption=other)


def _words(caption: str, limits: Limits) -> str:
    """A caption with single spaces, as sample reads it. Raises Refusal."""
    if len(caption) > limits.caption_characters:
        raise Refusal(400, f'The caption has {len(caption)} characters; at most '
                           f'{limits.caption_characters} are allowed')
    words = ' '.join(caption.split())
    if not words:
        raise Refusal(400, 'The caption is empty; write at least one word')
    if any(unicodedata.category(character) in ('Cc', 'Cs') for character in words):
        raise Refusal(400, 'The caption contains control characters or invalid text')
    return words


def _shown(text: str) -> str:
    """A visitor's text, shortened and without control characters."""
    shown = ''.join(c for c in text[:40] if unicodedata.category(c) not in ('Cc', 'Cs', 'Cf'))
    return repr(shown)
