"""What is to be generated: captions, their noise, and batches of them. Needs no TensorFlow."""

from typing import Any, NamedTuple, Optional

import numpy as np

from stackgan.data.noise import normal, random_state, resampled, truncated_normal
from stackgan.sampling.interpolation import slerp

CUT = 2.0                  # sigmas: where the conditioning noise is cut in training


class SampleRequest(NamedTuple):
    """One image to generate."""

    caption: str
    embedding: np.ndarray  # [embedding_dim] float32
    copy: int              # 0, 1, ...: images of one caption and seed differ by this
    facts: dict            # more for its line of the index


class Noise(NamedTuple):
    """What an image depends on besides its caption."""

    z: Any              # [N, noise_dim] float32
    noise1: Any         # [N, condition_dim] float32, conditioning augmentation of Stage-I
    noise2: Any         # [N, condition_dim] float32, of Stage-II


class Truncation(NamedTuple):
    """How many sigmas noise may lie from 0; at 0 there is none."""

    z: Optional[float] = None          # None: any number
    noise: Optional[float] = None      # of both conditioning noises, at most 2; None: 2


class NoiseSource(NamedTuple):
    """What an image's noise depends on besides its caption and copy."""

    seed: int
    truncation: Truncation = Truncation()
    other_seed: Optional[int] = None   # the noise lies on the way from that of `seed` to this one's
    position: float = 0.0              # how far: 0 is the noise of `seed`, 1 that of `other_seed`


def noise_of(
        captions,         # texts
        copies,           # which copy each image is: integers, one a caption
        seed,             # of all noise; or a list, a `NoiseSource` for each caption
        dims,             # the `model` section
):
    """`Noise` of arrays. An image's noise depends on its caption, copy and the seed alone."""
    sources = seed if isinstance(seed, list) else [NoiseSource(seed)] * len(captions)
    rows = [_row(*each, dims) for each in zip(captions, copies, sources)]
    return Noise(*[np.stack(column) for column in zip(*rows)])


def _row(caption, copy, source, dims):
    first = _row_of_seed(caption, copy, source.seed, source.truncation, dims)
    if source.other_seed is None:
        return first
    other = _row_of_seed(caption, copy, source.other_seed, source.truncation, dims)
    return between(first, other, source.position, source.truncation)


def _row_of_seed(caption, copy, seed, truncation, dims):
    random = random_state(seed, 'sample: ' + caption, copy)
    z, *conditions = (normal(random, dims.noise_dim),
                      truncated_normal(random, dims.condition_dim),
                      truncated_normal(random, dims.condition_dim))
    # Streams of their own: truncating one kind of noise leaves the other as it is.
    random = random_state(seed, 'sample, truncated z: ' + caption, copy)
    z = truncated(random, z, truncation.z)
    random = random_state(seed, 'sample, truncated noise: ' + caption, copy)
    return Noise(z, *[truncated(random, each, truncation.noise) for each in conditions])


def truncated(
        random,           # RandomState
        values,           # float32 from a unit normal
        limit,            # sigmas; None: any number
):
    """`values` with those beyond the limit sampled again; zeros for the limit 0."""
    if limit is None:
        return values
    if limit == 0:
        return np.zeros_like(values)
    return resampled(random, values, limit)


def between(
        first,            # Noise of one row
        other,            # Noise of another
        position,         # 0: first ... 1: other
        truncation=Truncation(),       # of both  # noqa: B008
):
    """Noise on the way, which at every place is as large as noise sampled afresh.

    All three on great circles (`slerp`): the mean of two independent normals has half their
    variance, and a generator generates its dullest images for noise near 0. With weights whose
    squares add up to 1 the variance of every entry stays what it is at the ends. That of cut
    noise can come to lie beyond the cut (of the conditioning noise 2 % of the values halfway),
    where the generator was never trained: it is put back on the cut, which costs 2 % of the
    variance there.
    """
    def mixed(a, b, limit):
        value = slerp(a, b, position)
        return value if limit is None else np.clip(value, -limit, limit).astype(value.dtype)

    cut = CUT if truncation.noise is None else truncation.noise
    return Noise(mixed(first.z, other.z, truncation.z), mixed(first.noise1, other.noise1, cut),
                 mixed(first.noise2, other.noise2, cut))


def generate_in_batches(
        run,              # (embeddings, Noise), `size` rows each -> {side: float32 images}
        size,             # rows of a batch
        embeddings,       # [M, embedding_dim] float32
        noise,            # Noise of M rows
        advance=None,     # called with the number of images after each batch
):
    """As `generate`, with anything that generates a batch."""
    parts = {}
    for start in range(0, len(embeddings), size):
        rows = np.arange(start, start + size)
        count = min(size, len(embeddings) - start)
        rows[count:] = start                            # filling; batch norm does not mix rows
        generated = run(embeddings[rows], Noise(*[value[rows] for value in noise]))
        for side, images in generated.items():
            parts.setdefault(side, []).append(to_uint8(images[:count]))
        if advance:
            advance(count)
    return {side: np.concatenate(list_of) for side, list_of in parts.items()}


def to_uint8(
        images,         # float32 in [-1, 1]
):
    """The nearest uint8 values."""
    return np.clip(np.rint((images + 1.0) * 127.5), 0, 255).astype(np.uint8)
