"""TensorFlow checkpoints of someone else, opened within bounds.

Only by the prefix of their files: a folder of that name, in which TensorFlow would look for a file
`checkpoint` that can name any other path, is not looked into.
"""

import glob
import os
import stat
from typing import Any

import tensorflow.compat.v1 as tf

from stackgan.tensorflow_paths import plain_path

LARGEST_INDEX = 64 << 20       # bytes; of the paper's Stage-II 40,000
PACKED = 64                    # bytes that one byte of the form before V2, which packs, stands for


def open_checkpoint(prefix: str) -> Any:
    """TensorFlow's reader of a checkpoint.

    Raises ValueError for files that are none or tell tensors larger than they are, and what
    TensorFlow raises for damage.
    """
    index = prefix + '.index'
    is_packed = not os.path.exists(index)
    files = [prefix] if is_packed else [index] + glob.glob(glob.escape(prefix) + '.data-*')
    sizes = [_size_of(path) for path in files]
    if not is_packed and sizes[0] > LARGEST_INDEX:
        raise ValueError('its index has %d bytes, more than %d' % (sizes[0], LARGEST_INDEX))
    with plain_path(prefix) as plain:        # who reads tensors gives one that stays as long
        reader = tf.train.NewCheckpointReader(plain)
    most = sum(sizes) * PACKED if is_packed else sum(sizes[1:])
    types = reader.get_variable_to_dtype_map()
    total = 0
    for name, shape in reader.get_variable_to_shape_map().items():
        size = 1 if types[name] == tf.string else types[name].size
        for side in shape:
            if side < 0:
                raise ValueError(f'{name[:60]!r} has no known shape')
            size *= side
        total += size
        if total > most:
            raise ValueError(f'{name[:60]!r} and others are larger than the files are')
    return reader


def _size_of(path):
    try:
        facts = os.stat(path)
    except OSError as error:
        raise ValueError(f'{os.path.basename(path)}: {error.strerror}')
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError(f'{os.path.basename(path)} is not a regular file')
    return facts.st_size
