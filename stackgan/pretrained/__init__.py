"""Trained models that come with the package: NAME.zip, a bundle, and NAME.json, where it is from.

`scripts/make-pretrained` makes both from a finished run. Imports neither NumPy nor TensorFlow.
"""

import os
from typing import List

from stackgan.errors import InputError

MAX_BYTES = 10 * 1000 * 1000        # of a file
FOLDER = os.path.dirname(os.path.abspath(__file__))


def names(folder: str = FOLDER) -> List[str]:
    """The models in the package, sorted."""
    return sorted(name[:-4] for name in os.listdir(folder) if name.endswith('.zip'))


def path_of(
        model: str,             # a name, or the path of a .zip
        folder: str = FOLDER,
) -> str:
    """Path of a bundle. Raises InputError for a name that the package does not have."""
    if model.endswith('.zip') or os.sep in model:
        return model
    if model not in names(folder):
        known = ', '.join(names(folder)) or 'none'
        raise InputError(f'no pretrained model {model!r} in this package (there: {known}); name '
                         'one of them, or a .zip that export --bundle wrote')
    return os.path.join(folder, model + '.zip')
