"""Training batches as a function of (seed, step), so that a resumed training sees the same batches.

The order is an endless sequence of epochs, each a permutation f(seed, epoch). Step s takes the
images at positions s * batch_size to (s + 1) * batch_size of that sequence, so that no image is
left out and the order does not depend on the batch size.
"""

import itertools
from typing import Generator, Optional, Tuple

import numpy as np

from stackgan.config.schema import Model
from stackgan.data.noise import normal, random_state, truncated_normal
from stackgan.data.prepared import HIGH, LOW, ArrayFile, Split
from stackgan.errors import InputError
from stackgan.prefetch import prefetch
from stackgan.types import Batch

CROPS = {1: (LOW, 64), 2: (HIGH, 256)}      # stage -> side of stored images, of crops, in pixels
PREFETCHED = 2                              # batches made in advance


class Batches:
    """Makes the batches of a training. Its memory does not grow with the number of images."""

    def __init__(
            self,
            split: Split,             # to train on
            embeddings: ArrayFile,    # (captions, embedding_dim) float32
            stage: int,               # 1 or 2
            batch_size: int,
            dims: Model,
            captions_averaged: int,   # caption embeddings averaged for an image, if it has so many
            seed: int,
            wrong_candidates: int = 1,      # of which the most similar is the wrong image
            share: Tuple[int, int] = (0, 1),     # rank, number of workers: whose rows are made
    ):
        if len(embeddings) != split.caption_starts[-1]:
            raise InputError(f'{embeddings.path}: {len(embeddings)} embeddings for '
                             f'{split.caption_starts[-1]} captions; run embed again')
        size = embeddings.shape[1]
        if size != dims.embedding_dim:
            raise InputError(f'{embeddings.path}: embeddings of size {size}, but '
                             f'model.embedding_dim is {dims.embedding_dim}; use '
                             f'--set model.embedding_dim={size}')
        self.split, self.embeddings = split, embeddings
        self.side, self.crop = CROPS[stage]
        self.stage, self.batch_size, self.dims = stage, batch_size, dims
        self.captions_averaged, self.seed = captions_averaged, seed
        rank, workers = share
        if batch_size % workers:
            raise InputError(f'{workers} workers cannot share a batch of {batch_size} images of '
                             f'Stage-{"I" * stage}; set stage{stage}.batch_size to a multiple of '
                             f'{workers}')
        count = batch_size // workers
        self.rows = slice(rank * count, (rank + 1) * count)
        self.wrong = WrongImages(split.class_ids, wrong_candidates, _class_directions(
            split, embeddings) if wrong_candidates > 1 else None)
        self.order: Optional[Tuple[int, np.ndarray]] = None      # (epoch, its permutation)

    def indices(self, step: int) -> np.ndarray:
        """Indices of the images of a step: [batch_size] int."""
        positions = step * self.batch_size + np.arange(self.batch_size, dtype=np.int64)
        epochs, places = positions // len(self.split), positions % len(self.split)
        found = np.empty(self.batch_size, np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            found[chosen] = self._permutation(int(epoch))[places[chosen]]
        return found

    def _permutation(self, epoch: int) -> np.ndarray:
        if self.order is None or self.order[0] != epoch:
            rng = random_state(self.seed, 'order', epoch)
            self.order = epoch, rng.permutation(len(self.split))
        return self.order[1]

    def make(self, step: int) -> Batch:
        """The `Batch` of a step, as arrays: this worker's rows of it.

        Random numbers are drawn for all rows, so that a row does not depend on who makes it.
        """
        rng = random_state(self.seed, 'batch', self.stage, step)
        # The order of the calls that use rng is part of the resume format.
        indices = self.indices(step)
        wrong = self.wrong.sample(rng, indices)
        return Batch(
            self._images(rng, indices), self._images(rng, wrong),
            self._mean_embeddings(rng, indices),
            normal(rng, (self.batch_size, self.dims.noise_dim))[self.rows],
            truncated_normal(rng, (self.batch_size, self.dims.condition_dim))[self.rows],
            truncated_normal(rng, (self.batch_size, self.dims.condition_dim))[self.rows]
            if self.stage == 2 else None)

    def _images(self, rng: np.random.RandomState, indices: np.ndarray) -> np.ndarray:
        """Random crops, half of them mirrored: [own rows, crop, crop, 3] uint8."""
        count, crop = len(indices), self.crop
        corners = rng.randint(0, self.side - crop + 1, (count, 2))[self.rows]
        mirrored = rng.randint(0, 2, count)[self.rows]
        indices = indices[self.rows]
        images = np.empty((len(indices), crop, crop, 3), np.uint8)
        for i, index in enumerate(indices):
            top, left = corners[i]
            lines = self.split.image(index, self.side, top, crop)
            part = lines[:, left:left + crop]
            if mirrored[i]:
                _mirror(part, images[i])
            else:
                images[i] = part
        return images

    def _mean_embeddings(self, rng: np.random.RandomState, indices: np.ndarray) -> np.ndarray:
        """Mean embedding of some captions of each image: [own rows, embedding_dim] float32."""
        captions = []
        for index in indices:
            start, end = self.split.caption_starts[index:index + 2]
            captions.append(start + rng.permutation(int(end - start))[:self.captions_averaged])
        captions = captions[self.rows]
        means = np.empty((len(captions), self.dims.embedding_dim), np.float32)
        for i, chosen in enumerate(captions):
            mean = means[i]
            mean[:] = self.embeddings.read(chosen[0])
            for row in chosen[1:]:                      # the order of np.mean, to the bit
                mean += self.embeddings.read(row)
            mean /= len(chosen)
        return means

    def stream(self, first_step: int) -> Generator[Tuple[int, Batch], None, None]:
        """(step, Batch) from `first_step` on, without end, made in advance by a thread."""
        return prefetch(((step, self.make(step)) for step in itertools.count(first_step)),
                        PREFETCHED)


def _mirror(image: np.ndarray, target: np.ndarray) -> None:
    """Fills `target` with the image reversed, channel by channel: faster than by pixels."""
    for channel in range(image.shape[2]):
        target[:, :, channel] = image[:, ::-1, channel]


def _class_directions(split: Split, embeddings: ArrayFile) -> np.ndarray:
    """The mean embedding of each class's captions, without the mean of all, of length 1:
    [classes, embedding_dim] float32."""
    sums = np.zeros((int(split.class_ids.max()) + 1, embeddings.shape[1]))
    captions = np.zeros(len(sums))
    for image, number in enumerate(split.class_ids):
        start, end = split.caption_starts[image:image + 2]
        for row in range(start, end):
            sums[number] += embeddings.read(row)
        captions[number] += end - start
    means = sums / np.maximum(captions, 1)[:, np.newaxis] - sums.sum(0) / captions.sum()
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return (means / np.maximum(lengths, 1e-12)).astype(np.float32)


class WrongImages:
    """Samples a wrong image for each image: uniformly from all images of other classes.

    With several candidates, the one whose class is described most like the image's own: a
    discriminator that tells random pairs apart by their most striking difference has to learn
    the others too.

    Differs from hanzhanggit/StackGAN, which shifts an index that hits the same class once and does
    not check the result, so that some wrong pairs are of one class.
    """

    def __init__(
            self,
            class_ids: np.ndarray,   # [images] int
            candidates: int = 1,
            directions: Optional[np.ndarray] = None,     # [classes, D] of length 1, for several
    ):
        self.class_ids, self.candidates, self.directions = class_ids, candidates, directions
        self.by_class = np.argsort(class_ids, kind='stable')      # images, ordered by class
        classes, starts, counts = np.unique(class_ids[self.by_class], return_index=True,
                                            return_counts=True)
        if len(classes) < 2:
            raise InputError('the training images are all of one class, but wrong pairs need two; '
                             'sort the images into at least two classes')
        self.block = {c: (s, n) for c, s, n in zip(classes, starts, counts)}

    def sample(self, rng: np.random.RandomState, indices: np.ndarray) -> np.ndarray:
        """An image of another class for each of `indices`: [N] int."""
        if self.directions is None:
            return self._uniform(rng, indices)
        found = self._uniform(rng, np.repeat(indices, self.candidates)).reshape(
            len(indices), self.candidates)
        own = self.directions[self.class_ids[indices]]
        likeness = np.einsum('nd,ncd->nc', own, self.directions[self.class_ids[found]])
        return found[np.arange(len(indices)), likeness.argmax(1)]

    def _uniform(self, rng: np.random.RandomState, indices: np.ndarray) -> np.ndarray:
        wrong = np.empty(len(indices), np.int64)
        for i, index in enumerate(indices):
            start, count = self.block[self.class_ids[index]]
            place = rng.randint(0, len(self.class_ids) - count)
            wrong[i] = self.by_class[place if place < start else place + count]
        return wrong
