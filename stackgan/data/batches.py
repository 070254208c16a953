"""Training batches as a function of (seed, step): a resumed training sees what it would have seen.

The order is an endless row of epochs, each a permutation f(seed, epoch); step s takes the
images at positions s * batch to (s + 1) * batch of that row, so no image is left out and the
order does not depend on the batch size.
"""

import itertools

import numpy as np

from stackgan.data.noise import normal, random_state, truncated_normal
from stackgan.data.prepared import HIGH, LOW
from stackgan.errors import InputError
from stackgan.prefetch import prefetch
from stackgan.types import Batch

CROPS = {1: (LOW, 64), 2: (HIGH, 256)}      # stage -> side stored, side trained on
PREFETCHED = 2                              # batches made ahead


class Batches:
    """Makes the batches of a training. Memory does not grow with the images."""

    def __init__(
            self,
            split,               # data.prepared.Split to train on
            embeddings,          # data.prepared.ArrayFile, (captions, embedding_dim) float32
            stage,               # 1 or 2
            batch_size,
            dims,                # the `model` section
            captions_averaged,   # caption embeddings averaged for an image; fewer if it has fewer
            seed,
    ):
        if len(embeddings) != split.caption_starts[-1]:
            raise InputError('%s: %d embeddings for %d captions; run embed again'
                             % (embeddings.path, len(embeddings), split.caption_starts[-1]))
        if embeddings.shape[1] != dims.embedding_dim:
            raise InputError('%s: embeddings of size %d, but model.embedding_dim is %d; use '
                             '--set model.embedding_dim=%d'
                             % (embeddings.path, embeddings.shape[1], dims.embedding_dim,
                                embeddings.shape[1]))
        self.split, self.embeddings = split, embeddings
        self.side, self.crop = CROPS[stage]
        self.stage, self.batch_size, self.dims = stage, batch_size, dims
        self.captions_averaged, self.seed = captions_averaged, seed
        self.wrong = WrongImages(split.class_ids)
        self.order = (None, None)           # (epoch, its permutation)

    def indices(self, step):
        """Indices of the images of a step: [batch_size] int."""
        positions = step * self.batch_size + np.arange(self.batch_size, dtype=np.int64)
        epochs, places = positions // len(self.split), positions % len(self.split)
        found = np.empty(self.batch_size, np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            found[chosen] = self._permutation(int(epoch))[places[chosen]]
        return found

    def _permutation(self, epoch):
        if self.order[0] != epoch:
            random = random_state(self.seed, 'order', epoch)
            self.order = (epoch, random.permutation(len(self.split)))
        return self.order[1]

    def make(self, step):
        """`Batch` of arrays of a step."""
        random = random_state(self.seed, 'batch', self.stage, step)
        indices = self.indices(step)
        wrong = self.wrong.draw(random, indices)
        return Batch(
            self._images(random, indices), self._images(random, wrong),
            self._mean_embeddings(random, indices),
            normal(random, (self.batch_size, self.dims.noise_dim)),
            truncated_normal(random, (self.batch_size, self.dims.condition_dim)),
            truncated_normal(random, (self.batch_size, self.dims.condition_dim))
            if self.stage == 2 else None)

    def _images(self, random, indices):
        """Random crops, half of them mirrored: [N, crop, crop, 3] uint8."""
        count, crop = len(indices), self.crop
        corners = random.randint(0, self.side - crop + 1, (count, 2))
        mirrored = random.randint(0, 2, count)
        images = np.empty((count, crop, crop, 3), np.uint8)
        for i, index in enumerate(indices):
            top, left = corners[i]
            lines = self.split.image(index, self.side, top, crop)
            part = lines[:, left:left + crop]
            images[i] = part[:, ::-1] if mirrored[i] else part
        return images

    def _mean_embeddings(self, random, indices):
        """Mean embedding of some captions of each image: [N, embedding_dim] float32."""
        means = np.empty((len(indices), self.dims.embedding_dim), np.float32)
        for i, index in enumerate(indices):
            start, end = self.split.caption_starts[index:index + 2]
            chosen = start + random.permutation(int(end - start))[:self.captions_averaged]
            means[i] = np.mean([self.embeddings.read(row) for row in chosen], axis=0)
        return means

    def stream(self, first_step):
        """(step, Batch) from `first_step` on, without end, made ahead by a thread."""
        return prefetch(((step, self.make(step)) for step in itertools.count(first_step)),
                        PREFETCHED)


class WrongImages:
    """Draws, for each image, one of another class: always, and each such image alike.

    Differs from hanzhanggit/StackGAN: that shifts the indices that hit the same class once and
    does not look again, which leaves some wrong pairs of one class.
    """

    def __init__(
            self,
            class_ids,           # [images] int
    ):
        self.class_ids = class_ids
        self.by_class = np.argsort(class_ids, kind='stable')      # images, class after class
        classes, starts, counts = np.unique(class_ids[self.by_class], return_index=True,
                                            return_counts=True)
        if len(classes) < 2:
            raise InputError('the training images are all of one class, but wrong pairs need '
                             'another; give the images at least two classes')
        self.block = {c: (s, n) for c, s, n in zip(classes, starts, counts)}

    def draw(self, random, indices):
        """An image of another class for each of `indices`: [N] int."""
        wrong = np.empty(len(indices), np.int64)
        for i, index in enumerate(indices):
            start, count = self.block[self.class_ids[index]]
            place = random.randint(0, len(self.class_ids) - count)
            wrong[i] = self.by_class[place if place < start else place + count]
        return wrong
