"""Generates images from a checkpoint."""

import os
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import Checkpoints, ema_of, read_facts, restore
from stackgan.config.loading import network_of
from stackgan.config.schema import Platform
from stackgan.errors import InputError
from stackgan.networks.layers import inference_mode
from stackgan.platforms.session import open_session, resolve
from stackgan.read_variables import ReadVariables, Restorer
from stackgan.sampling.generation import build_generation, generate
from stackgan.sampling.sample_request import NoiseSource, SampleRequest, noise_of

PORT_BATCH = 64            # images that the Ascend port generates at once
MIN_CAPTIONS = 8           # distinct captions among them


class Sampler:
    """A trained generator on a session. Use as a context manager.

    A stage imported with --compat normalises by the statistics of each batch. It always generates
    `PORT_BATCH` images at once, so that they do not depend on the configured batch size.
    """

    def __init__(
            self,
            folder: str,                   # of a finished stage
            which: str,                    # 'last' or 'best' of its checkpoints, or a path
            batch_size: int,               # images generated at once
            platform: Platform,
            use_ema: bool = True,          # the EMA weights, where the checkpoint has them
            stage: Optional[int] = None,   # 1: with Stage-I alone, of a Stage-II checkpoint too
    ) -> None:
        store = Checkpoints(os.path.join(folder, 'checkpoints'), None)
        path = {'last': store.last, 'best': store.best}.get(which, lambda: which)()
        if path is None:
            raise InputError(f'{folder}: no checkpoint there; train that stage first')
        self.checkpoint = path
        facts = read_facts(self.checkpoint)
        trained, self.dims = network_of(facts, self.checkpoint)
        self.stage = stage or trained
        self.compat = facts.get('compat')                  # of an imported one
        self.batch_size = PORT_BATCH if self.compat else batch_size
        graph = tf.Graph()
        with graph.as_default():
            mode = inference_mode(self.compat)._replace(
                compute_dtype=resolve(platform).network_dtype)
            weights = ReadVariables()
            self.graph = build_generation(self.stage, self.batch_size, self.dims, weights, mode)
            self.variables = weights.values()              # {name: tensor}
            names = (ema_of(weights.made.values(), self.checkpoint) if use_ema
                     else weights.made)
            restorer = Restorer(names)
        self.session = open_session(platform, graph)
        restore(self.session, restorer, names, self.checkpoint, is_part=True)
        self.has_ema = set(names) != set(self.variables)
        self.label = 'checkpoint ' + os.path.basename(self.checkpoint)

    def __enter__(self) -> 'Sampler':
        return self

    def __exit__(self, *exception: Any) -> None:
        self.session.close()

    def generate(
            self,
            requests: Sequence[SampleRequest],
            seed: Union[int, List[NoiseSource]],  # of the noise; or a source for each image
            advance: Optional[Callable[[int], None]] = None,  # gets each batch's number of images
    ) -> Dict[int, np.ndarray]:
        """{side: [N, side, side, 3] uint8} for sides 64 and, with Stage-II, 256.

        Raises InputError where images depend on their batch and the batch is too small or uniform.
        """
        if self.compat:
            self._check_batches(requests)
        embeddings = np.stack([each.embedding for each in requests])
        if embeddings.shape[1] != self.dims.embedding_dim:
            raise InputError(f'{self.checkpoint}: takes embeddings of {self.dims.embedding_dim} '
                             f'numbers, those of this run have {embeddings.shape[1]}; generate '
                             f'with the text encoder it was trained with')
        noise = noise_of([each.caption for each in requests], [each.copy for each in requests],
                         seed, self.dims)
        return generate(self.session, self.graph, embeddings, noise, advance)

    def _check_batches(self, requests: Sequence[SampleRequest]) -> None:
        """Batch norm subtracts the mean: what all captions of a batch share would be lost."""
        for start in range(0, len(requests), self.batch_size):
            batch = requests[start:start + self.batch_size]
            captions = len({each.caption for each in batch})
            if len(batch) < self.batch_size or captions < MIN_CAPTIONS:
                raise InputError(
                    f'{self.checkpoint}: was imported with --compat {self.compat}, which generates '
                    f'{self.batch_size} images at once by their common statistics; here are '
                    f'{len(batch)} of {captions} different captions. Ask for at least '
                    f'{self.batch_size} images of {MIN_CAPTIONS} captions, or import it without '
                    f'--compat')
