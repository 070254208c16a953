"""TensorFlow checkpoints from elsewhere, opened with limits on their size.

They are opened by the prefix of their files, never by folder: in a folder TensorFlow would follow
a file `checkpoint`, which can name any other path.
"""

import glob
import os
import stat
from typing import Any

import tensorflow.compat.v1 as tf

from stackgan.tensorflow_paths import plain_path

LARGEST_INDEX = 64 << 20       # bytes; that of the paper's Stage-II has 40,000
PACKED = 64                    # bytes per byte of a V1 checkpoint, which is compressed


def open_checkpoint(prefix: str) -> Any:
    """TensorFlow's reader of a checkpoint.

    Raises ValueError for files that are not a checkpoint or declare tensors larger than they are;
    for damaged files, whatever TensorFlow raises.
    """
    index = prefix + '.index'
    is_packed = not os.path.exists(index)
    files = [prefix] if is_packed else [index] + glob.glob(glob.escape(prefix) + '.data-*')
    sizes = [_size_of(path) for path in files]
    if not is_packed and sizes[0] > LARGEST_INDEX:
        raise ValueError(f'its index has {sizes[0]} bytes, more than {LARGEST_INDEX}')
    with plain_path(prefix) as plain:        # to read tensors, callers keep their own plain path
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


def _size_of(path: str) -> int:
    try:
        facts = os.stat(path)
    except OSError as error:
        raise ValueError(f'{os.path.basename(path)}: {error.strerror}')
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError(f'{os.path.basename(path)} is not a regular file')
    return facts.st_size
