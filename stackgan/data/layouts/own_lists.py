"""The files that StackGAN's copies of CUB and Oxford flowers add: train/ and test/ pickles."""

import os
from typing import Any

from stackgan.data.layouts.common import SPLITS, NameIndex
from stackgan.data.layouts.pieces import CLASSES, EMBEDDINGS, NAMES
from stackgan.data.safe_pickle import load_pickle
from stackgan.errors import InputError

MAX_DIGITS = 20              # of a class number that is a text


def read_own_lists(raw, settings):
    """({'train': names, 'test': names} or None, [(embeddings pickle, names)], remarks)."""
    wanted = EMBEDDINGS % settings.precomputed_embeddings
    there = [split for split in SPLITS if os.path.exists(os.path.join(raw, split, NAMES))]
    _check_both(raw, there, NAMES)
    lists = {split: read_names(os.path.join(raw, split, NAMES)) for split in there} or None
    brought = [split for split in SPLITS if os.path.exists(os.path.join(raw, split, wanted))]
    _check_both(raw, brought, wanted)
    if brought and not there:
        raise InputError(f'{os.path.join(raw, brought[0], NAMES)} is missing: {wanted} beside it '
                         f'holds embeddings in its order')
    remarks = [] if brought else _remarks_on_others(raw, wanted)
    return lists, [(os.path.join(split, wanted), lists[split]) for split in brought], remarks


def _check_both(raw, there, name):
    if len(there) == 1:
        missing = [split for split in SPLITS if split not in there][0]
        raise InputError(f'{os.path.join(raw, missing, name)} is missing, but '
                         f'{os.path.join(raw, there[0], name)} is there; add the one or remove the '
                         f'other')


def _remarks_on_others(raw, wanted):
    """What to tell people whose embeddings are not of the kind that is used."""
    ending = EMBEDDINGS % ''
    others = sorted({name for split in SPLITS if os.path.isdir(os.path.join(raw, split))
                     for name in os.listdir(os.path.join(raw, split)) if name.endswith(ending)})
    return ['{} is not there; left out: {} (data.precomputed_embeddings names the kind to use)'.format(wanted, ', '.join(others))] if others else []


def read_names(path):
    """The image names in a filenames.pickle."""
    names = _read_list(path, 'image names')
    names = [name.decode('utf-8', 'replace') if isinstance(name, bytes) else name
             for name in names]
    for number, name in enumerate(names):
        if not isinstance(name, str):
            raise InputError('%s: entry %d is a %s; must be an image name'
                             % (path, number, type(name).__name__))
    return names


def read_class_numbers(raw, split, count):
    """Class numbers in class_info.pickle, one for each of `count` names; None without the file."""
    path = os.path.join(raw, split, CLASSES)
    if not os.path.exists(path):
        return None
    numbers = _read_list(path, 'class numbers')
    if len(numbers) != count:
        raise InputError('%s: must be a list of %d class numbers, one for each name in %s; it '
                         'holds %d' % (path, count, NAMES, len(numbers)))
    try:
        return [_whole_number(number) for number in numbers]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f'{path}: must hold whole numbers only')


def _whole_number(number: Any) -> int:
    if isinstance(number, (str, bytes)) and len(number) > MAX_DIGITS:
        raise ValueError('reading a number takes the square of its length')
    return int(number)


def _read_list(path, what):
    value = load_pickle(path)
    values = value.tolist() if hasattr(value, 'tolist') else value
    if not isinstance(values, (list, tuple)):
        raise InputError(f'{path}: holds a {type(value).__name__}; must be a list of {what}')
    return values


def check_class_info(raw, lists, items, prefixes):
    """Raises InputError where class_info.pickle puts images together that are of two classes.

    How it numbers the classes is its own affair: what would do harm is another order of images.
    """
    index = NameIndex(items, prefixes)
    for split, names in (lists or {}).items():
        classes, numbers = {}, {}        # of each number, and of each class
        for name, number in zip(names, read_class_numbers(raw, split, len(names)) or ()):
            item = items[index.position(name, os.path.join(raw, split, NAMES))]
            others = (classes.setdefault(number, item.class_name),
                      numbers.setdefault(item.class_name, number))
            if others != (item.class_name, number):
                raise InputError(
                    '%s: class of %s is %d, but the dataset has it in %s; images before it have '
                    '%d for %s. The file must be in the order of %s'
                    % (os.path.join(raw, split, CLASSES), name, number, item.class_name,
                       others[1], others[0] if others[1] == number else item.class_name, NAMES))
