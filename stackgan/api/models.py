"""Models as values: a bundle, a model of the package, or the checkpoint of a stage."""

import os
import shutil
import tempfile
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence

import numpy as np

from stackgan.config.schema import Platform
from stackgan.errors import InputError
from stackgan.pretrained import path_of
from stackgan.sampling.sample_request import ImageSampler, NoiseSource, SampleRequest, Truncation


class Model:
    """A loaded model. Use as a context manager, or call `close`."""

    def __init__(
            self,
            name: str,
            sampler: ImageSampler,
            encoder: Optional[Any],             # has embed(captions) and close(); None: none
            facts: Dict[str, Any],              # bundle.json; {} of a checkpoint
            remove: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.facts = name, facts
        self.sides: List[int] = [64, 256][:sampler.stage]      # of its images, in pixels
        self._sampler, self._encoder, self._remove = sampler, encoder, remove

    def __enter__(self) -> 'Model':
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def close(self) -> None:
        """Releases what it holds."""
        self._sampler.__exit__(None, None, None)
        if self._encoder is not None:
            self._encoder.close()
        self._remove()

    def embed(self, captions: Sequence[str]) -> np.ndarray:
        """[N, embedding_dim] float32. Raises InputError for a model without a text encoder."""
        if self._encoder is None:
            raise InputError(f'{self.name}: has no text encoder; pass embeddings to generate')
        return self._encoder.embed([_clean(each) for each in captions])

    def generate(
            self,
            captions: Sequence[str],                    # N; also decide the noise
            seeds: Iterable[int] = (0,),                # M: an image of each caption for each
            embeddings: Optional[np.ndarray] = None,    # [N, embedding_dim]; None: embed(captions)
            side: Optional[int] = None,                 # one of `sides`; None: the largest
            truncation_z: Optional[float] = None,       # in sigmas; None: none
    ) -> np.ndarray:
        """[N, M, side, side, 3] uint8, the images of `sample --seeds` with the same values."""
        side, seeds = side or self.sides[-1], list(seeds)
        if side not in self.sides:
            raise InputError(f'{self.name}: has images of {self.sides} pixels, not {side}')
        if isinstance(captions, str) or not captions or not seeds:
            raise InputError(f'{self.name}: generate takes a list of captions and some seeds')
        texts = [_clean(each) for each in captions]
        rows = self.embed(texts) if embeddings is None else np.asarray(embeddings, np.float32)
        if len(rows) != len(texts):
            raise InputError(f'{self.name}: {len(rows)} embeddings for {len(texts)} captions')
        requests = [SampleRequest(*each, 0, {}) for each in zip(texts, rows) for _ in seeds]
        sources = [NoiseSource(int(seed), Truncation(truncation_z)) for _ in texts
                   for seed in seeds]
        images = self._sampler.generate(requests, sources)[side]
        return images.reshape((len(texts), len(seeds)) + images.shape[1:])


def load(
        model: str,                     # a name of the package, a bundle .zip, a folder of a stage
        threads: Optional[int] = None,  # CPU threads; None: as many as cores
) -> Model:
    """The model, ready to generate.

    A bundle needs no TensorFlow. The folder of a stage (`runs/<run>/stage1`, or what
    `train_stage1` wrote) does; it has no text encoder, unless there is one in `text-encoder`
    beside it. Raises InputError for anything else.
    """
    platform = Platform(threads=threads, precision='float32')      # as ONNX Runtime computes
    if os.path.isdir(model):
        return _load_stage(model, platform)
    from stackgan.export.bundle_encoder import open_encoder
    from stackgan.export.bundle_file import open_bundle
    from stackgan.export.model_file import ModelSampler
    scratch = tempfile.mkdtemp()
    try:
        found = open_bundle(path_of(model), scratch)
        encoder = open_encoder(found.text_encoder, platform)
        return Model(found.name, ModelSampler(found.generators, platform), encoder, found.facts)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)          # both models are in memory


def _load_stage(folder: str, platform: Platform) -> Model:
    from stackgan.platforms.cores import load_tensorflow
    load_tensorflow(platform)
    from stackgan.sampling.sampler import Sampler
    from stackgan.text.encoder import open_text_encoder
    beside = os.path.join(os.path.dirname(os.path.abspath(folder)), 'text-encoder')
    sampler = Sampler(folder, 'last', 1, platform)
    encoder = open_text_encoder(beside, platform) if os.path.isdir(beside) else None
    return Model(folder, sampler, encoder, {})


def _clean(caption: str) -> str:
    return ' '.join(caption.split())
