"""A fake of ais_bench (Ascend/tools, ais_bench/infer) for tests: names its files as the real one.

It leaves the outputs that lie in ../../expected beside its inputs, rounded to float16, under the
name of the first input, and the summary beside the folder. FAKE_AIS_BENCH=crash leaves with 1.
"""

import argparse
import json
import os
import sys

import numpy as np

parser = argparse.ArgumentParser()
for name in ('--model', '--input', '--output', '--outfmt'):
    parser.add_argument(name, required=True)
parser.add_argument('--loop', type=int, default=1)
parser.add_argument('--device', type=int, default=0, choices=range(256))
given = parser.parse_args()
if os.environ.get('FAKE_AIS_BENCH') == 'crash':
    sys.exit(1)
with open(given.model) as stream:
    model = json.load(stream)
paths = given.input.split(',')
assert len(paths) == len(model['inputs']) and all(map(os.path.isfile, paths))
for path, (_, shape) in zip(paths, model['inputs']):
    assert os.path.getsize(path) == 4 * np.prod(shape)
time = os.path.join(given.output, '2023_01_03-06_35_53')
os.makedirs(time, 0o755)
first, inputs = os.path.basename(paths[0]).split('.')[0], os.path.dirname(paths[0])
expected = os.path.join(inputs, '..', '..', 'expected', os.path.basename(inputs))
for number in range(len(model['outputs'])):
    values = np.fromfile(os.path.join(expected, f'{number}.bin'), '<f4')
    values.astype('<f2').astype('<f4').tofile(os.path.join(time, f'{first}_{number}.bin'))
with open(time + '_summary.json', 'w') as stream:
    json.dump({'NPU_compute_time': {'min': 2.0, 'mean': 2.5, 'count': given.loop},
               'throughput': 400.0}, stream)
