"""Captions in a JSON object about one image, as programs that download images write it."""

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.files import parse_json
from stackgan.text_files import decode

CAPTIONS = ('captions', 'caption', 'texts', 'text', 'description', 'prompt', 'title')
CLASSES = ('class', 'class_name', 'label')


class Described(NamedTuple):
    """What a JSON object says about its image."""

    captions: List[str]              # as they are
    class_name: Optional[str]
    is_utf8: bool                    # False: invalid bytes were replaced


def described_by(data: bytes) -> Described:
    """`Described` of a JSON object. Raises ValueError; its message follows the file's name."""
    text, is_utf8 = decode(data)
    try:
        value = parse_json(text)
    except ValueError as error:
        raise ValueError(f'is not JSON ({str(error)[:120]})')
    if not isinstance(value, dict):
        raise ValueError('is JSON, but no object')
    for key in CAPTIONS:
        found = value.get(key)
        texts = [found] if isinstance(found, str) else found
        if isinstance(texts, list) and texts and all(isinstance(each, str) for each in texts):
            return Described(texts, class_of(value, CLASSES), is_utf8)
    return Described([], class_of(value, CLASSES), is_utf8)


def class_of(value: Any, keys: Sequence[str]) -> Optional[str]:
    """The first text or whole number under one of the keys, as text, or None."""
    for key in keys:
        found = value.get(key)
        if isinstance(found, (str, int)) and not isinstance(found, bool) and str(found).strip():
            return ' '.join(str(found).split())
    return None


def sole_folder(names: Sequence[str], folders: Tuple[str, ...]) -> str:
    """'images/' if all names begin with that one of the folders; ''  if there is none such."""
    first = {name.split('/')[0] for name in names}
    return first.pop() + '/' if len(first) == 1 and first <= set(folders) else ''
