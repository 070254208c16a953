"""What is to be drawn: captions, their noise, and batches of them. Needs no TensorFlow."""

from typing import Any, NamedTuple

import numpy as np

from stackgan.data.noise import normal, random_state, truncated_normal


class Wanted(NamedTuple):
    """One picture to draw."""

    caption: str
    embedding: np.ndarray  # [embedding_dim] float32
    copy: int              # 0, 1, ...: pictures of one caption and seed differ by this
    facts: dict            # more for its line of the index


class Noise(NamedTuple):
    """What a picture depends on besides its caption."""

    z: Any              # [N, noise_dim] float32
    noise1: Any         # [N, condition_dim] float32, conditioning augmentation of Stage-I
    noise2: Any         # [N, condition_dim] float32, of Stage-II


def noise_of(
        captions,         # texts
        copies,           # which copy each picture is: integers, one a caption
        seed,             # of all noise
        dims,             # the `model` section
):
    """`Noise` of arrays. A picture's noise depends on its caption, copy and the seed alone."""
    rows = []
    for caption, copy in zip(captions, copies):
        random = random_state(seed, 'sample: ' + caption, copy)
        rows.append((normal(random, dims.noise_dim),
                     truncated_normal(random, dims.condition_dim),
                     truncated_normal(random, dims.condition_dim)))
    return Noise(*[np.stack(column) for column in zip(*rows)])


def draw_in_batches(
        run,              # (embeddings, Noise), `size` rows each -> {side: float32 pictures}
        size,             # rows of a batch
        embeddings,       # [M, embedding_dim] float32
        noise,            # Noise of M rows
        advance=None,     # called with the number of pictures after each batch
):
    """As `draw`, with anything that draws a batch."""
    parts = {}
    for start in range(0, len(embeddings), size):
        rows = np.arange(start, start + size)
        count = min(size, len(embeddings) - start)
        rows[count:] = start                            # filling; batch norm does not mix rows
        drawn = run(embeddings[rows], Noise(*[value[rows] for value in noise]))
        for side, pictures in drawn.items():
            parts.setdefault(side, []).append(to_uint8(pictures[:count]))
        if advance:
            advance(count)
    return {side: np.concatenate(list_of) for side, list_of in parts.items()}


def to_uint8(
        pictures,         # float32 in [-1, 1]
):
    """The nearest uint8 values."""
    return np.clip(np.rint((pictures + 1.0) * 127.5), 0, 255).astype(np.uint8)
