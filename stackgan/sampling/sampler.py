"""A trained generator that generates: from a checkpoint, on a session."""

import os

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import Checkpoints, ema_of, read_facts, restore
from stackgan.config.loading import network_of
from stackgan.errors import InputError
from stackgan.networks.layers import inference_mode
from stackgan.platforms.session import open_session
from stackgan.sampling.generation import build_generation, generate
from stackgan.sampling.sample_request import noise_of

PORT_BATCH = 64            # images that the Ascend port generates at once
MIN_CAPTIONS = 8           # different ones among them


class Sampler:
    """A trained generator on a session. Use as a context manager.

    A stage imported with --compat generates by the statistics of each batch: always `PORT_BATCH` at
    once, so that its images are the same whatever batch size is configured.
    """

    def __init__(
            self,
            folder,            # of a finished stage
            which,             # 'last' or 'best' of its checkpoints, or the path of one
            batch_size,        # images generated at once
            platform,          # the `platform` section
            averaged=True,     # generate with the EMA weights, where the checkpoint has them
            stage=None,        # 1: generate with Stage-I alone, of a checkpoint of Stage-II too
    ):
        store = Checkpoints(os.path.join(folder, 'checkpoints'), None)
        self.checkpoint = {'last': store.last, 'best': store.best}.get(which, lambda: which)()
        if self.checkpoint is None:
            raise InputError(f'{folder}: no checkpoint there; train that stage first')
        facts = read_facts(self.checkpoint)
        trained, self.dims = network_of(facts, self.checkpoint)
        self.stage = stage or trained
        self.compat = facts.get('compat')                  # of an imported one
        self.batch_size = PORT_BATCH if self.compat else batch_size
        graph = tf.Graph()
        with graph.as_default():
            self.graph = build_generation(self.stage, self.batch_size, self.dims,
                                          mode=inference_mode(self.compat))
            self.variables = {v.op.name: v for v in tf.global_variables()}
            names = (ema_of(self.variables.values(), self.checkpoint) if averaged
                     else self.variables)
            saver = tf.train.Saver(names)
        self.session = open_session(platform, graph)
        restore(self.session, saver, names, self.checkpoint, is_part=True)
        self.has_ema = set(names) != set(self.variables)
        self.label = 'checkpoint ' + os.path.basename(self.checkpoint)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.session.close()

    def generate(
            self,
            wanted,            # [SampleRequest]
            seed,              # of the noise; or a list, a `NoiseSource` for each image
            advance=None,      # called with the number of images after each batch
    ):
        """{side: [N, side, side, 3] uint8} for sides 64 and, with Stage-II, 256.

        Raises InputError where images depend on their batch and a batch cannot give them.
        """
        if self.compat:
            self._check_batches(wanted)
        embeddings = np.stack([each.embedding for each in wanted])
        if embeddings.shape[1] != self.dims.embedding_dim:
            raise InputError('%s: takes embeddings of %d numbers, those of this run have %d; '
                             'generate with the text encoder it was trained with'
                             % (self.checkpoint, self.dims.embedding_dim, embeddings.shape[1]))
        noise = noise_of([each.caption for each in wanted], [each.copy for each in wanted], seed,
                         self.dims)
        return generate(self.session, self.graph, embeddings, noise, advance)

    def _check_batches(self, wanted):
        """Nothing is left of a caption that a batch has in common: its mean is taken off."""
        for start in range(0, len(wanted), self.batch_size):
            batch = wanted[start:start + self.batch_size]
            captions = len({each.caption for each in batch})
            if len(batch) < self.batch_size or captions < MIN_CAPTIONS:
                raise InputError(
                    '%s: was imported with --compat %s, which generates %d images at once by their '
                    'common statistics; here are %d of %d different captions. Ask for at least '
                    '%d images of %d captions, or import it without --compat'
                    % (self.checkpoint, self.compat, self.batch_size, len(batch), captions,
                       self.batch_size, MIN_CAPTIONS))
