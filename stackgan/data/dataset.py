"""dataset.json of a prepared dataset. Imports no NumPy, which `status` would wait for."""

import os
from typing import List, NamedTuple, Optional

from stackgan.errors import InputError
from stackgan.files import read_json


class Dataset(NamedTuple):
    """The contents of dataset.json."""

    folder: str
    name: str
    classes: List[str]               # names; the index is the class id
    embedding_dim: Optional[int]     # of the embeddings that came with the dataset; None: none did


def open_dataset(folder: str) -> Dataset:
    """`Dataset` of a prepared folder. Raises InputError if dataset.json cannot be read."""
    path = os.path.join(folder, 'dataset.json')
    try:
        facts = read_json(path)
        return Dataset(folder, facts['name'], facts['classes'], facts['embedding_dim'])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f'{path}: not the description of a prepared dataset ({error}); run '
                         'preprocess')
