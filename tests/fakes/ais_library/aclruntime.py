"""A fake of aclruntime, the native module under ais_bench, for the vendor's own Python code.

What ais_bench/infer of Ascend/tools calls: a model is the JSON of the fake ATC, its outputs are
those of expected/ beside it, rounded to float16. FAKE_AIS_BENCH=crash: no card can be opened.
"""

import json
import os
from types import SimpleNamespace

import numpy as np


class Tensor:
    def __init__(self, array):
        self.array = np.asarray(array)

    def to_device(self, device):
        pass

    def to_host(self):
        pass

    def __array__(self, *types, **options):
        return self.array


def session_options():
    return SimpleNamespace()


class InferenceSession:
    def __init__(self, model, device, options):
        if os.environ.get('FAKE_AIS_BENCH') == 'crash':
            raise RuntimeError('no device')
        with open(model) as stream:
            self.model = json.load(stream)
        folder, name = os.path.split(os.path.splitext(model)[0])
        self.expected = os.path.join(folder, 'expected', name)
        self.given, self.times = options, []

    def options(self):
        return self.given

    def get_inputs(self):
        return [SimpleNamespace(name=name, shape=shape, realsize=4 * int(np.prod(shape)))
                for name, shape in self.model['inputs']]

    def get_outputs(self):
        return [SimpleNamespace(name=name) for name in self.model['outputs']]

    def set_staticbatch(self):
        pass

    def run(self, names, inputs):
        assert [each.array.nbytes for each in inputs] == [
            each.realsize for each in self.get_inputs()]
        self.times += [2.5] * self.given.loop                        # ms
        return [Tensor(np.fromfile(os.path.join(self.expected, f'{number}.bin'), '<f4')
                       .astype('<f2').astype('<f4')) for number in range(len(names))]

    def reset_sumaryinfo(self):
        self.times = []

    def sumary(self):
        return SimpleNamespace(exec_time_list=self.times)
