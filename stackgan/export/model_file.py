"""Generating from an exported file, .pb or .onnx, as from a checkpoint.

TensorFlow is loaded for a .pb alone: an .onnx needs none.
"""

import os
from typing import NamedTuple

import numpy as np

from stackgan.errors import InputError
from stackgan.export.onnx_file import open_onnx
from stackgan.export.ports import EMBEDDING, INPUTS, NOISE1, Z
from stackgan.integrity import check_file
from stackgan.sampling.sample_request import generate_in_batches, noise_of


class NoiseWidths(NamedTuple):
    """The part of the `model` section that noise depends on."""

    noise_dim: int
    condition_dim: int


def open_model(
        path,             # of a .pb or .onnx that export wrote
        platform,         # the `platform` section
):
    """`ModelFile`. Raises InputError where the file is none, with what was seen."""
    if not os.path.exists(path):
        raise InputError(f'{path}: no such file; name a .pb or .onnx that export wrote')
    kind = os.path.splitext(path)[1]
    if kind == '.pb':
        from stackgan.export.frozen_file import open_frozen as open_kind
    elif kind == '.onnx':
        open_kind = open_onnx
    else:
        raise InputError(f'{path}: neither a .pb nor an .onnx; name one that export wrote')
    model = open_kind(path, platform)
    try:
        check_file(path)                 # what cannot be opened at all was told as that
    except InputError:
        model.close()
        raise
    return model


class ModelSampler:
    """As `sampling.sampler.Sampler`, generating from an exported file. Use as a context manager."""

    def __init__(
            self,
            path,              # of a .pb or .onnx that export wrote
            platform,          # the `platform` section
    ):
        self.model = open_model(path, platform)
        self.stage = len(self.model.outputs)
        self.batch_size = self.model.inputs[EMBEDDING][0]
        self.label = 'model ' + os.path.basename(path)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.model.close()

    def generate(
            self,
            wanted,            # [SampleRequest]
            seed,              # of the noise
            advance=None,      # called with the number of images after each batch
    ):
        """{side: [N, side, side, 3] uint8}."""
        embeddings = np.stack([each.embedding for each in wanted])
        width = self.model.inputs[EMBEDDING][1]
        if embeddings.shape[1] != width:
            raise InputError('%s: takes embeddings of %d numbers, those of this run have %d; '
                             'generate with the run the model was exported from'
                             % (self.model.path, width, embeddings.shape[1]))
        noise = noise_of([each.caption for each in wanted], [each.copy for each in wanted], seed,
                         NoiseWidths(self.model.inputs[Z][1], self.model.inputs[NOISE1][1]))

        def run(embeddings, noise):
            arrays = dict(zip(INPUTS, (embeddings,) + tuple(noise)))
            return self.model.run({name: arrays[name] for name in self.model.inputs})

        return generate_in_batches(run, self.batch_size, embeddings, noise, advance)
