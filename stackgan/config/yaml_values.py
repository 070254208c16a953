"""The part of YAML that configurations use, read within bounds.

Mappings, lists, texts, numbers, true, false and null. Anchors, aliases, tags, merge keys and
multiple documents are refused, because a few bytes of them can expand until memory is full. So are
numbers that YAML 1.1 and 1.2 read differently, such as 010 and 1:30. Dates are read as text.
"""

import re
from typing import Any, Dict, Iterator, List, Optional

import yaml

MAX_BYTES = 128 << 10        # of a file; the longest in configs/ has 3 KB
MAX_DEPTH = 16               # mappings and lists within each other
MAX_DIGITS = 18              # of a whole number: all of them fit 64 bits
SHOWN = 60                   # characters of a file's text in a message

_WORDS: Dict[str, Optional[bool]] = {'': None, '~': None}
for _words, _value in (('null', None), ('true yes on', True), ('false no off', False)):
    for _word in _words.split():
        _WORDS.update({_word: _value, _word.title(): _value, _word.upper(): _value})
_WHOLE = re.compile(r'[-+]?(?:0|[1-9][0-9]*)\Z')
_HEXADECIMAL = re.compile(r'[-+]?0x[0-9a-fA-F]+\Z')
# As PyYAML has it, which writes files by the same rule: an exponent has a sign.
_FLOAT = re.compile(r'(?:[-+]?[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?\Z')
_SPECIAL = re.compile(r'(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z')
_OF_YAML_1_1 = re.compile(      # what else it takes for a number
    r'(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*|'
    r'[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|'
    r'\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)\Z')


class NotRead(ValueError):
    """Invalid or unsupported YAML. The message is one line and does not name the file."""

    def __init__(self, reason: str, mark: Optional[yaml.Mark] = None) -> None:
        super().__init__(reason if mark is None else f'line {mark.line + 1}: {reason}')
        self.reason = reason


def parse_yaml(text: str) -> Any:
    """The value of a YAML text: None, bool, int, float, str, list or dict with str keys.

    Raises NotRead.
    """
    if len(text) > MAX_BYTES:
        raise NotRead(f'has more than {MAX_BYTES} characters')
    try:
        return _document(yaml.parse(text, Loader=yaml.SafeLoader))
    except NotRead:
        raise
    except yaml.MarkedYAMLError as error:
        reason = ', '.join(each for each in (error.context, error.problem) if each)
        raise NotRead(_short(reason, 200), error.problem_mark or error.context_mark)
    except Exception as error:       # from int() and chr() inside the scanner
        raise NotRead(_short(str(error) or type(error).__name__, 200))


def _document(events: Iterator[yaml.Event]) -> Any:
    found: List[Any] = []
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            if found:
                raise NotRead('holds more than one document', event.start_mark)
            found.append(_node(events, event, 0))
    return found[0] if found else None


def _node(events: Iterator[yaml.Event], event: yaml.Event, depth: int) -> Any:
    """The value that begins with `event`; consumes its other events."""
    _check(event)
    if isinstance(event, yaml.ScalarEvent):
        return _plain(event) if event.implicit[0] else event.value
    if depth == MAX_DEPTH:
        raise NotRead(f'more than {MAX_DEPTH} levels within each other', event.start_mark)
    if isinstance(event, yaml.SequenceStartEvent):
        return _list(events, depth)
    return _mapping(events, depth)


def _list(events: Iterator[yaml.Event], depth: int) -> List[Any]:
    found: List[Any] = []
    while True:
        event = next(events)
        if isinstance(event, yaml.SequenceEndEvent):
            return found
        found.append(_node(events, event, depth + 1))


def _mapping(events: Iterator[yaml.Event], depth: int) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    while True:
        key = next(events)
        if isinstance(key, yaml.MappingEndEvent):
            return found
        _check(key)
        if not isinstance(key, yaml.ScalarEvent):
            raise NotRead('a key must be a word, not a list or a section', key.start_mark)
        if key.value in found:
            raise NotRead(f'key {_short(key.value)!r} is given twice', key.start_mark)
        found[key.value] = _node(events, next(events), depth + 1)


def _check(event: yaml.Event) -> None:
    """Raises NotRead for anchors, aliases, tags and invalid characters."""
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        sign = '*' if isinstance(event, yaml.AliasEvent) else '&'
        raise NotRead(f'anchors and aliases ({_short(sign + event.anchor)}) are not read; write '
                      'the value out', event.start_mark)
    if event.tag is not None:
        raise NotRead(f'tags ({_short(event.tag)}) are not read; write the value without one',
                      event.start_mark)
    if isinstance(event, yaml.ScalarEvent) and re.search('[\0\ud800-\udfff]', event.value):
        raise NotRead('text with an invalid character (NUL or unpaired surrogate)',
                      event.start_mark)


def _plain(event: yaml.ScalarEvent) -> Any:
    """The value of a scalar without quotes."""
    text = event.value
    if text in _WORDS:
        return _WORDS[text]
    if _FLOAT.match(text):
        return float(text)
    if _SPECIAL.match(text):
        return float(text.replace('.', ''))
    is_whole = _WHOLE.match(text)
    if is_whole or _HEXADECIMAL.match(text):
        if len(text) > MAX_DIGITS:
            raise NotRead(f'{_short(text)} is a number of more than {MAX_DIGITS} digits',
                          event.start_mark)
        return int(text, 10 if is_whole else 16)
    if _OF_YAML_1_1.match(text):
        raise NotRead(f'{_short(text)} is {_reading(text)} in YAML 1.1 and {_newer_reading(text)} '
                      f'in YAML 1.2; write a plain number, or {_short(text)!r} for the text',
                      event.start_mark)
    return text


def _reading(text: str) -> str:
    """How YAML 1.1 reads a number with underscores, an octal one and so on."""
    digits = text.replace('_', '')
    sign, digits = (-1 if digits[0] == '-' else 1), digits.lstrip('-+')
    if len(digits) > MAX_DIGITS:
        return 'a number'
    try:
        if ':' in digits:
            value = sum(float(each) * 60 ** place
                        for place, each in enumerate(reversed(digits.split(':'))))
            value = value if '.' in digits else int(value)
        elif '.' in digits:
            value = float(digits)
        else:
            base = {'0b': 2, '0x': 16}.get(digits[:2], 8 if digits[:1] == '0' else 10)
            value = int(digits[2:] if base in (2, 16) else digits, base)
    except ValueError:
        return 'no number'
    return str(sign * value)


def _newer_reading(text: str) -> str:
    """How YAML 1.2 reads it: 010 as ten, and the rest as text."""
    is_decimal = re.match(r'[-+]?[0-9]+\Z', text) and len(text) <= MAX_DIGITS
    return str(int(text)) if is_decimal else 'a text'


def _short(text: str, maximum: int = SHOWN) -> str:
    text = ' '.join(text.split())
    return text if len(text) <= maximum else text[:maximum] + '...'
