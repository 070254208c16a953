"""A fake of msame (before CANN 5) for tests: checks flags and the bytes of its inputs.

It leaves the outputs that lie in ../../expected beside its inputs, rounded to float16.
FAKE_MSAME in the environment: 'missing' and 'short' leave outputs out or cut them, with exit code
0 as the real one; 'far' computes something else; 'crash' leaves with 1.
"""

import array
import json
import os
import struct
import sys

FLAGS = 'model input output outfmt loop device debug dump profiler dymBatch'.split()


def main(words):
    given = {}
    for name, value in zip(words[::2], words[1::2]):
        if not name.startswith('--') or name[2:] not in FLAGS:
            print(f'[ERROR] unrecognized option {name}')
            return 0                                    # as the real one
        given[name[2:]] = value
    if not 1 <= int(given['loop']) <= 100 or not 0 <= int(given['device']) <= 255:
        print('[ERROR] loop or device is out of range')
        return 0
    with open(given['model']) as stream:
        model = json.load(stream)
    paths = given['input'].split(',')
    if len(paths) != len(model['inputs']) or '.bin' not in paths[0]:
        print('[ERROR] %d inputs, the model has %d' % (len(paths), len(model['inputs'])))
        return 0
    for path, (name, shape) in zip(paths, model['inputs']):
        size = 4
        for side in shape:
            size *= side
        if os.path.getsize(path) != size or os.path.basename(path) != name + '.bin':
            print('[ERROR] aclmdlExecute failed: %s has %d bytes, %s wants %d'
                  % (path, os.path.getsize(path), name, size))
            return 0
    wish = os.environ.get('FAKE_MSAME', '')
    if wish == 'crash':
        return 1
    os.mkdir(given['output'])                           # not recursive, as the real one
    folder = os.path.join(given['output'], '2021129_11_2_33_123456')
    os.mkdir(folder)
    stem = os.path.splitext(os.path.basename(given['model']))[0]
    inputs = os.path.dirname(paths[0])
    expected = os.path.join(inputs, '..', '..', 'expected', os.path.basename(inputs))
    for number in range(len(model['outputs']) - (wish == 'missing')):
        values = array.array('f')
        with open(os.path.join(expected, '%d.bin' % number), 'rb') as stream:
            values.frombytes(stream.read())
        halves = struct.unpack('<%de' % len(values), struct.pack('<%de' % len(values), *values))
        out = array.array('f', [value + 0.1 * (wish == 'far') for value in halves])
        data = out.tobytes()
        with open(os.path.join(folder, '%s_output_%d.bin' % (stem, number)), 'wb') as stream:
            stream.write(data[:-4] if wish == 'short' else data)
    print('[INFO] Inference average time: 7.250000 ms')
    print('[INFO] Inference average time without first time: 6.500000 ms')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
