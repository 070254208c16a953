"""Generates from an exported file, .pb or .onnx, as from a checkpoint.

TensorFlow is loaded only for a .pb; an .onnx does not need it.
"""

import os
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Union

import numpy as np

from stackgan.config.schema import Platform
from stackgan.errors import InputError
from stackgan.export.onnx_file import open_onnx
from stackgan.export.ports import EMBEDDING, INPUTS, NOISE1, Images, ModelFile, Z
from stackgan.integrity import check_file
from stackgan.sampling.sample_request import (
    Noise,
    NoiseSource,
    SampleRequest,
    generate_in_batches,
    noise_of,
)


class NoiseWidths(NamedTuple):
    """The part of the `model` section that noise depends on."""

    noise_dim: int
    condition_dim: int


def open_model(
        path: str,              # of a .pb or .onnx that export wrote
        platform: Platform,     # the `platform` section
) -> ModelFile:
    """Raises InputError if the file is not an exported generator."""
    if not os.path.exists(path):
        raise InputError(f'{path}: no such file; name a .pb or .onnx that export wrote')
    kind = os.path.splitext(path)[1]
    if kind == '.pb':
        from stackgan.export.frozen_file import open_frozen
        model = open_frozen(path, platform)
    elif kind == '.onnx':
        model = open_onnx(path, platform)
    else:
        raise InputError(f'{path}: neither a .pb nor an .onnx; name one that export wrote')
    try:
        check_file(path)                 # last: a file of another kind has its own message
    except InputError:
        model.close()
        raise
    return model


class ModelSampler:
    """Like `sampling.sampler.Sampler`, for an exported file. Use as a context manager."""

    def __init__(
            self,
            path: str,              # of a .pb or .onnx that export wrote
            platform: Platform,     # the `platform` section
    ) -> None:
        self.model = open_model(path, platform)
        self.stage = len(self.model.outputs)
        self.batch_size = self.model.inputs[EMBEDDING][0]
        self.label = 'model ' + os.path.basename(path)

    def __enter__(self) -> 'ModelSampler':
        return self

    def __exit__(self, *exception: Any) -> None:
        self.model.close()

    def generate(
            self,
            requests: Sequence[SampleRequest],
            seed: Union[int, List[NoiseSource]],                # of the noise
            advance: Optional[Callable[[int], None]] = None,    # called after each batch with its
                                                               # number of images
    ) -> Images:
        """Images as uint8."""
        embeddings = np.stack([each.embedding for each in requests])
        width = self.model.inputs[EMBEDDING][1]
        if embeddings.shape[1] != width:
            raise InputError(f'{self.model.path}: takes embeddings of size {width}, but those of '
                             f'this run have size {embeddings.shape[1]}; generate with the run '
                             'the model was exported from')
        noise = noise_of([each.caption for each in requests], [each.copy for each in requests],
                         seed, NoiseWidths(self.model.inputs[Z][1], self.model.inputs[NOISE1][1]))

        def run(embeddings: np.ndarray, noise: Noise) -> Images:
            arrays = dict(zip(INPUTS, (embeddings,) + tuple(noise)))
            return self.model.run({name: arrays[name] for name in self.model.inputs})

        return generate_in_batches(run, self.batch_size, embeddings, noise, advance)
