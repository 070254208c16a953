"""Weights as a safetensors file, with the names and axes that PyTorch users expect.

The format (github.com/huggingface/safetensors): 8 bytes with the length of the header, the header
as JSON ({name: dtype, shape, data_offsets}), then the arrays, little-endian, in C order.

    stage1/generator/block1/conv1/weights      [3, 3, in, out]  becomes
    stage1.generator.block1.conv1.weight       [out, in, 3, 3],
    stage1/generator/block1/conv1/gamma        [out]            becomes
    stage1.generator.block1.conv1.norm.weight  [out], and
    stage1/generator/project/weights           [in, out]        becomes
    stage1.generator.project.weight            [out, in].
"""

import json
import struct
from typing import Dict, Tuple

import numpy as np

from stackgan.export.ports import Arrays

LEAVES = {'weights': 'weight', 'biases': 'bias', 'gamma': 'norm.weight', 'beta': 'norm.bias',
          'moving_mean': 'norm.running_mean', 'moving_variance': 'norm.running_var'}
AXES = {2: (1, 0), 4: (3, 2, 0, 1)}     # of a kernel: outputs first, then inputs
ALIGNMENT = 8                           # bytes, of the first array
NOTE = ('convolution kernels are [out, in, height, width], dense ones [out, in]; the 4 x 4 x C '
        'outputs of stage1.generator.project are in the order height, width, channel')


def safetensors_bytes(
        variables: Arrays,              # {name of a variable: float32 array}
) -> bytes:
    """The file. The same variables give the same bytes."""
    arrays = dict(sorted(map(_named, variables.items())))
    header: Dict[str, object] = {'__metadata__': {'format': 'pt', 'note': NOTE}}
    start = 0
    for name, array in arrays.items():
        header[name] = {'dtype': 'F32', 'shape': list(array.shape),
                        'data_offsets': [start, start + array.nbytes]}
        start += array.nbytes
    text = json.dumps(header, separators=(',', ':')).encode('ascii')
    text += b' ' * (-len(text) % ALIGNMENT)
    return b''.join([struct.pack('<Q', len(text)), text,
                     *(array.tobytes() for array in arrays.values())])


def _named(item: Tuple[str, np.ndarray]) -> Tuple[str, np.ndarray]:
    name, array = item
    layer, _, leaf = name.rpartition('/')
    if leaf == 'weights':
        array = array.transpose(AXES[array.ndim])
    return f'{layer}/{LEAVES[leaf]}'.replace('/', '.'), np.asarray(array, '<f4', order='C')
