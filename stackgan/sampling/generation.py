"""Generating images with trained generators, in batches of one size."""

from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf

from stackgan.networks import stage1, stage2
from stackgan.networks.layers import TESTING
from stackgan.sampling.sample_request import Noise, generate_in_batches


class GenerationGraph(NamedTuple):
    """Generators in inference mode, over placeholders."""

    embeddings: Any     # placeholder [N, embedding_dim] float32
    noise: Noise        # of placeholders
    images: dict        # side (64, and 256 with Stage-II) -> [N, side, side, 3] float32, [-1, 1]


def build_generation(
        stage,            # 1 or 2
        batch_size,       # N
        dims,             # the `model` section
        getter=None,      # variable getter (training.graph), to generate with EMA weights
        mode=TESTING,     # ForwardMode
):
    """`DrawingGraph` in the current graph; its variables are those of the networks."""
    def floats(width, name):
        return tf.placeholder(tf.float32, [batch_size, width], 'draw_' + name)

    embeddings = floats(dims.embedding_dim, 'embeddings')
    noise = Noise(floats(dims.noise_dim, 'z'), floats(dims.condition_dim, 'noise1'),
                  floats(dims.condition_dim, 'noise2'))
    return GenerationGraph(embeddings, noise,
                           build_generators(stage, embeddings, noise, dims, mode, getter))


def build_generators(
        stage,            # 1 or 2
        embeddings,       # [N, embedding_dim] float32
        noise,            # Noise of N rows; of noise2 only Stage-II makes use
        dims,             # the `model` section
        mode,             # ForwardMode
        getter=None,      # variable getter
):
    """{side: [N, side, side, 3] float32 in [-1, 1]} of one stage, or of both in a row."""
    with tf.variable_scope(tf.get_variable_scope(), custom_getter=getter):
        low = stage1.generator(embeddings, noise.noise1, noise.z, dims, mode).images
        images = {stage1.SIZE: low}
        if stage == 2:
            images[stage2.SIZE] = stage2.generator(low, embeddings, noise.noise2, dims,
                                                   mode).images
    return images


def generate(
        session,
        graph,            # DrawingGraph
        embeddings,       # [M, embedding_dim] float32
        noise,            # Noise of M rows
        advance=None,     # called with the number of images after each batch
):
    """{side: [M, side, side, 3] uint8}, any M: the last batch is filled up and cut."""
    def run(embeddings, noise):
        feed = {graph.embeddings: embeddings}
        feed.update(zip(graph.noise, noise))
        return session.run(graph.images, feed)

    return generate_in_batches(run, graph.embeddings.shape.as_list()[0], embeddings, noise, advance)
