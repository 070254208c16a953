"""Size limits for model files from elsewhere and for their tensors. Imports no TensorFlow.

For comparison: a generator of the paper has 162 MB and takes 1.3e10 multiplications per image; in
a batch of 64 its largest tensor has 2.7e8 elements.
"""

from stackgan.errors import InputError
from stackgan.files import read_bytes

LARGEST_FILE = 2 ** 31 - 1      # bytes; the limit of a protocol buffer
LARGEST_TENSOR = 2 ** 30        # elements
WORK_PER_IMAGE = 2 * 10 ** 12   # multiplications


def read_model_file(
        path: str,
        remedy: str,    # end of the error message: what to do instead
) -> bytes:
    """The bytes of a file. Raises InputError if it is not a regular file or is too large."""
    try:
        return read_bytes(path, LARGEST_FILE)
    except ValueError as error:
        reason = str(error)
    except OSError as error:
        reason = f'cannot be read: {error.strerror}'
    raise InputError(f'{path}: {reason}; {remedy}')
