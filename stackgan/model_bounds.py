"""How large a model file of someone else may be, and what it makes. Imports no TensorFlow.

A generator of the paper has 162 MB, takes 1.3e10 multiplications an image, and of 64 images at
once its largest tensor has 2.7e8 numbers.
"""

from stackgan.errors import InputError
from stackgan.files import read_bytes

LARGEST_FILE = 2 ** 31 - 1      # bytes: of one protocol buffer
LARGEST_TENSOR = 2 ** 30        # numbers
WORK_PER_IMAGE = 2 * 10 ** 12   # multiplications


def read_model_file(
        path: str,
        remedy: str,           # what to do about another file
) -> bytes:
    """Its bytes. Raises InputError for what is no regular file, or larger than a model can be."""
    try:
        return read_bytes(path, LARGEST_FILE)
    except ValueError as error:
        reason = str(error)
    except OSError as error:
        reason = f'cannot be read: {error.strerror}'
    raise InputError(f'{path}: {reason}; {remedy}')
