"""The files that StackGAN's copies of CUB and Oxford flowers add: train/ and test/ pickles."""

import os

from stackgan.data.layouts.common import SPLITS
from stackgan.data.safe_pickle import load_pickle
from stackgan.errors import InputError

NAMES = 'filenames.pickle'
EMBEDDINGS = 'char-CNN-RNN-embeddings.pickle'


def read_own_lists(raw):
    """({'train': names, 'test': names} or None, [(embeddings pickle, names)]) of a raw folder."""
    there = [split for split in SPLITS if os.path.exists(os.path.join(raw, split, NAMES))]
    _check_both(raw, there, NAMES)
    lists = {split: read_names(os.path.join(raw, split, NAMES)) for split in there} or None
    brought = [split for split in SPLITS if os.path.exists(os.path.join(raw, split, EMBEDDINGS))]
    _check_both(raw, brought, EMBEDDINGS)
    if brought and not there:
        raise InputError('%s is missing: %s beside it holds embeddings in its order'
                         % (os.path.join(raw, brought[0], NAMES), EMBEDDINGS))
    return lists, [(os.path.join(split, EMBEDDINGS), lists[split]) for split in brought]


def _check_both(raw, there, name):
    if len(there) == 1:
        missing = [split for split in SPLITS if split not in there][0]
        raise InputError('%s is missing, but %s is there; add the one or remove the other'
                         % (os.path.join(raw, missing, name), os.path.join(raw, there[0], name)))


def read_names(path):
    """The image names in a filenames.pickle."""
    value = load_pickle(path)
    names = value.tolist() if hasattr(value, 'tolist') else value
    if not isinstance(names, (list, tuple)):
        raise InputError('%s: holds a %s; must be a list of image names'
                         % (path, type(names).__name__))
    names = [name.decode('utf-8', 'replace') if isinstance(name, bytes) else name
             for name in names]
    for number, name in enumerate(names):
        if not isinstance(name, str):
            raise InputError('%s: entry %d is a %s; must be an image name'
                             % (path, number, type(name).__name__))
    return names


def read_class_numbers(raw, split, count):
    """Class numbers in class_info.pickle, one for each of `count` names; None without the file."""
    path = os.path.join(raw, split, 'class_info.pickle')
    if not os.path.exists(path):
        return None
    value = load_pickle(path)
    numbers = value.tolist() if hasattr(value, 'tolist') else value
    if not isinstance(numbers, (list, tuple)) or len(numbers) != count:
        raise InputError('%s: must be a list of %d class numbers, one for each name in %s'
                         % (path, count, NAMES))
    return [int(number) for number in numbers]
