"""Requests for images, their noise, and batches of them. Needs no TensorFlow."""

from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Union

import numpy as np

from stackgan.data.noise import normal, random_state, resampled, truncated_normal
from stackgan.sampling.interpolation import slerp

if TYPE_CHECKING:
    from typing import Protocol
else:                      # Python 3.7 has none
    Protocol = object

CUT = 2.0                  # sigmas at which training truncates the conditioning noise


class SampleRequest(NamedTuple):
    """One image to generate."""

    caption: str
    embedding: np.ndarray  # [embedding_dim] float32
    copy: int              # 0, 1, ...: tells images of the same caption and seed apart
    facts: Dict[str, Any]  # more for its line of samples.jsonl


class Noise(NamedTuple):
    """What an image depends on besides its caption."""

    z: Any                 # [N, noise_dim] float32; arrays or placeholders
    noise1: Any            # [N, condition_dim] float32, conditioning augmentation of Stage-I
    noise2: Any            # [N, condition_dim] float32, of Stage-II


class Truncation(NamedTuple):
    """The largest magnitude of noise in sigmas; with 0 the noise is zero."""

    z: Optional[float] = None          # None: unbounded
    noise: Optional[float] = None      # of the conditioning noise, at most 2; None: 2


class NoiseSource(NamedTuple):
    """What an image's noise depends on besides its caption and copy."""

    seed: int
    truncation: Truncation = Truncation()
    other_seed: Optional[int] = None   # the noise is interpolated between `seed` and this one
    position: float = 0.0              # 0: the noise of `seed`; 1: that of `other_seed`


class NoiseDims(Protocol):
    """The part of the `model` section that noise depends on."""

    @property
    def noise_dim(self) -> int:
        ...

    @property
    def condition_dim(self) -> int:
        ...


class ImageSampler(Protocol):
    """What generates: sampling.sampler.Sampler or export.model_file.ModelSampler."""

    stage: int             # 1 or 2
    batch_size: int        # images generated at once
    label: str             # which checkpoint or model, in words

    def __exit__(self, *exception: Any) -> None:
        ...

    def generate(self, requests: Sequence[SampleRequest], seed: Union[int, List[NoiseSource]],
                 advance: Optional[Callable[[int], None]] = None) -> Dict[int, np.ndarray]:
        """{side: [N, side, side, 3] uint8} for sides 64 and, with Stage-II, 256."""


def noise_of(
        captions: Sequence[str],
        copies: Sequence[int],                # which copy each image is, one number a caption
        seed: Union[int, List[NoiseSource]],  # of all noise; or a source for each caption
        dims: NoiseDims,
) -> Noise:
    """`Noise` of arrays. An image's noise depends on its caption, copy and the seed alone."""
    sources = seed if isinstance(seed, list) else [NoiseSource(seed)] * len(captions)
    rows = [_row(*each, dims) for each in zip(captions, copies, sources)]
    return Noise(*[np.stack(column) for column in zip(*rows)])


def _row(caption: str, copy: int, source: NoiseSource, dims: NoiseDims) -> Noise:
    first = _row_of_seed(caption, copy, source.seed, source.truncation, dims)
    if source.other_seed is None:
        return first
    other = _row_of_seed(caption, copy, source.other_seed, source.truncation, dims)
    return between(first, other, source.position, source.truncation)


def _row_of_seed(caption: str, copy: int, seed: int, truncation: Truncation,
                 dims: NoiseDims) -> Noise:
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
        random: np.random.RandomState,
        values: np.ndarray,      # float32 from a unit normal
        limit: Optional[float],  # sigmas; None: unbounded
) -> np.ndarray:
    """`values`, with those beyond the limit sampled again; zeros for the limit 0."""
    if limit is None:
        return values
    if limit == 0:
        return np.zeros_like(values)
    return resampled(random, values, limit)


def between(
        first: Noise,                           # of one row
        other: Noise,                           # of one row
        position: float,                        # 0: first ... 1: other
        truncation: Truncation = Truncation(),  # of both  # noqa: B008
) -> Noise:
    """Interpolated noise with the variance of freshly sampled noise at every position.

    All three vectors follow great circles (`slerp`): the mean of two independent normals has half
    their variance, and a generator produces its dullest images for noise near 0. With weights
    whose squares add up to 1 the variance of every entry stays what it is at the ends.
    Interpolated values can exceed the truncation limit (2 % of the conditioning noise halfway),
    where the generator was never trained; they are clipped to it, which costs 2 % of the variance.
    """
    def mixed(a: np.ndarray, b: np.ndarray, limit: Optional[float]) -> np.ndarray:
        value = slerp(a, b, position)
        return value if limit is None else np.clip(value, -limit, limit).astype(value.dtype)

    cut = CUT if truncation.noise is None else truncation.noise
    return Noise(mixed(first.z, other.z, truncation.z), mixed(first.noise1, other.noise1, cut),
                 mixed(first.noise2, other.noise2, cut))


def generate_in_batches(
        run: Callable[[np.ndarray, Noise], Dict[int, np.ndarray]],  # a batch -> float32 images
        size: int,                                        # rows of a batch
        embeddings: np.ndarray,                           # [M, embedding_dim] float32
        noise: Noise,                                     # of M rows
        advance: Optional[Callable[[int], None]] = None,  # gets each batch's number of images
) -> Dict[int, np.ndarray]:
    """{side: [M, side, side, 3] uint8}, for any M: the last batch is padded and cut."""
    parts: Dict[int, List[np.ndarray]] = {}
    for start in range(0, len(embeddings), size):
        rows = np.arange(start, start + size)
        count = min(size, len(embeddings) - start)
        rows[count:] = start                            # padding; batch norm does not mix rows
        generated = run(embeddings[rows], Noise(*[value[rows] for value in noise]))
        for side, batch in generated.items():
            parts.setdefault(side, []).append(to_uint8(batch[:count]))
        if advance:
            advance(count)
    return {side: np.concatenate(images) for side, images in parts.items()}


def to_uint8(
        images: np.ndarray,  # float32 in [-1, 1]
) -> np.ndarray:
    """The nearest uint8 values."""
    return np.clip(np.rint((images + 1.0) * 127.5), 0, 255).astype(np.uint8)
