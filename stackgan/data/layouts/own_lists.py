"""Reads the pickles that StackGAN's copies of CUB and Oxford flowers add in train/ and test/."""

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

from stackgan.config.schema import Data
from stackgan.data.layouts.common import SPLITS, Item, NameIndex
from stackgan.data.layouts.pieces import CLASSES, EMBEDDINGS, NAMES
from stackgan.data.safe_pickle import load_pickle
from stackgan.errors import InputError

MAX_DIGITS = 20              # of a class number stored as text


def read_own_lists(
        raw: str, settings: Data,
) -> Tuple[Optional[Dict[str, List[str]]], List[Tuple[str, List[str]]], List[str]]:
    """({'train': names, 'test': names} or None, [(embeddings pickle, names)], remarks)."""
    wanted = EMBEDDINGS % settings.precomputed_embeddings
    there = [split for split in SPLITS if os.path.exists(os.path.join(raw, split, NAMES))]
    _check_both(raw, there, NAMES)
    lists = {split: read_names(os.path.join(raw, split, NAMES)) for split in there}
    embedded = [split for split in SPLITS if os.path.exists(os.path.join(raw, split, wanted))]
    _check_both(raw, embedded, wanted)
    if embedded and not there:
        missing = os.path.join(raw, embedded[0], NAMES)
        raise InputError(f'{missing} is missing: {wanted} beside it holds embeddings in its order')
    remarks = [] if embedded else _remarks_on_others(raw, wanted)
    files = [(os.path.join(split, wanted), lists[split]) for split in embedded]
    return lists or None, files, remarks


def _check_both(raw: str, there: List[str], name: str) -> None:
    """Raises InputError if only one of the splits has a file."""
    if len(there) == 1:
        missing = [split for split in SPLITS if split not in there][0]
        raise InputError(f'{os.path.join(raw, missing, name)} is missing, but '
                         f'{os.path.join(raw, there[0], name)} is there; add the one or remove the '
                         'other')


def _remarks_on_others(raw: str, wanted: str) -> List[str]:
    """A remark if there are embeddings, but not of the kind that is used."""
    ending = EMBEDDINGS % ''
    others = sorted({name for split in SPLITS if os.path.isdir(os.path.join(raw, split))
                     for name in os.listdir(os.path.join(raw, split)) if name.endswith(ending)})
    if not others:
        return []
    names = ', '.join(others)
    return [f'{wanted} is not there; left out: {names} (data.precomputed_embeddings names the kind '
            'to use)']


def read_names(path: str) -> List[str]:
    """The image names in a filenames.pickle."""
    names = _read_list(path, 'image names')
    names = [name.decode('utf-8', 'replace') if isinstance(name, bytes) else name
             for name in names]
    for number, name in enumerate(names):
        if not isinstance(name, str):
            raise InputError(f'{path}: entry {number} is a {type(name).__name__}; must be an image '
                             'name')
    return names


def read_class_numbers(raw: str, split: str, count: int) -> Optional[List[int]]:
    """Class numbers in class_info.pickle, one for each of `count` names; None without the file."""
    path = os.path.join(raw, split, CLASSES)
    if not os.path.exists(path):
        return None
    numbers = _read_list(path, 'class numbers')
    if len(numbers) != count:
        raise InputError(f'{path}: must be a list of {count} class numbers, one for each name in '
                         f'{NAMES}; it holds {len(numbers)}')
    try:
        return [_whole_number(number) for number in numbers]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f'{path}: must hold whole numbers only')


def _whole_number(number: Any) -> int:
    if isinstance(number, (str, bytes)) and len(number) > MAX_DIGITS:
        raise ValueError('the time to parse a number grows as the square of its length')
    return int(number)


def _read_list(path: str, what: str) -> Sequence[Any]:
    value = load_pickle(path)
    values = value.tolist() if hasattr(value, 'tolist') else value
    if not isinstance(values, (list, tuple)):
        raise InputError(f'{path}: holds a {type(value).__name__}; must be a list of {what}')
    return values


def check_class_info(raw: str, lists: Optional[Dict[str, List[str]]], items: List[Item],
                     prefixes: Sequence[str]) -> None:
    """Raises InputError if class_info.pickle contradicts the classes of the dataset.

    Its class numbers may be any; they serve to find a file in another order than the images.
    """
    index = NameIndex(items, prefixes)
    for split, names in (lists or {}).items():
        classes: Dict[int, str] = {}         # number -> class of the first image with it
        numbers: Dict[str, int] = {}         # class -> number of its first image
        for name, number in zip(names, read_class_numbers(raw, split, len(names)) or ()):
            item = items[index.position(name, os.path.join(raw, split, NAMES))]
            others = (classes.setdefault(number, item.class_name),
                      numbers.setdefault(item.class_name, number))
            if others != (item.class_name, number):
                earlier = others[0] if others[1] == number else item.class_name
                raise InputError(
                    f'{os.path.join(raw, split, CLASSES)}: class of {name} is {number}, but the '
                    f'dataset has it in {item.class_name}; images before it have {others[1]} for '
                    f'{earlier}. The file must be in the order of {NAMES}')
