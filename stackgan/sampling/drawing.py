"""Drawing pictures with trained generators: fixed batches, noise from seed and caption."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.data.noise import normal, random_state, truncated_normal
from stackgan.networks import stage1, stage2
from stackgan.networks.layers import TESTING


class Noise(NamedTuple):
    """What a picture depends on besides its caption."""

    z: Any              # [N, noise_dim] float32
    noise1: Any         # [N, condition_dim] float32, conditioning augmentation of Stage-I
    noise2: Any         # [N, condition_dim] float32, of Stage-II


class DrawingGraph(NamedTuple):
    """Generators in inference mode, over placeholders."""

    embeddings: Any     # placeholder [N, embedding_dim] float32
    noise: Noise        # of placeholders
    pictures: dict      # side (64, and 256 with Stage-II) -> [N, side, side, 3] float32, [-1, 1]


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


def build_drawing(
        stage,            # 1 or 2
        batch_size,       # N
        dims,             # the `model` section
        getter=None,      # variable getter (training.graph), to draw with moving averages
        mode=TESTING,     # Pass
):
    """`DrawingGraph` in the current graph; its variables are those of the networks."""
    def floats(width, name):
        return tf.placeholder(tf.float32, [batch_size, width], 'draw_' + name)

    embeddings = floats(dims.embedding_dim, 'embeddings')
    noise = Noise(floats(dims.noise_dim, 'z'), floats(dims.condition_dim, 'noise1'),
                  floats(dims.condition_dim, 'noise2'))
    return DrawingGraph(embeddings, noise,
                        generate(stage, embeddings, noise, dims, mode, getter))


def generate(
        stage,            # 1 or 2
        embeddings,       # [N, embedding_dim] float32
        noise,            # Noise of N rows; of noise2 only Stage-II makes use
        dims,             # the `model` section
        mode,             # Pass
        getter=None,      # variable getter
):
    """{side: [N, side, side, 3] float32 in [-1, 1]} of one stage, or of both in a row."""
    with tf.variable_scope(tf.get_variable_scope(), custom_getter=getter):
        low = stage1.generator(embeddings, noise.noise1, noise.z, dims, mode).images
        pictures = {stage1.SIZE: low}
        if stage == 2:
            pictures[stage2.SIZE] = stage2.generator(low, embeddings, noise.noise2, dims,
                                                     mode).images
    return pictures


def draw(
        session,
        graph,            # DrawingGraph
        embeddings,       # [M, embedding_dim] float32
        noise,            # Noise of M rows
        advance=None,     # called with the number of pictures after each batch
):
    """{side: [M, side, side, 3] uint8}, any M: the last batch is filled up and cut."""
    def run(embeddings, noise):
        feed = {graph.embeddings: embeddings}
        feed.update(zip(graph.noise, noise))
        return session.run(graph.pictures, feed)

    return draw_in_batches(run, graph.embeddings.shape.as_list()[0], embeddings, noise, advance)


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
