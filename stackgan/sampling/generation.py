"""Generates images with trained generators, in batches of a fixed size."""

from typing import Callable, Dict, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.config.schema import Model
from stackgan.networks import stage1, stage2
from stackgan.networks.layers import TESTING, ForwardMode
from stackgan.sampling.sample_request import Noise, generate_in_batches


class GenerationGraph(NamedTuple):
    """Generators in inference mode, over placeholders."""

    embeddings: tf.Tensor          # placeholder [N, embedding_dim] float32
    noise: Noise                   # of placeholders
    images: Dict[int, tf.Tensor]   # side 64, and 256 with Stage-II -> [N, side, side, 3] float32
                                   # in [-1, 1]


def build_generation(
        stage: int,                         # 1 or 2
        batch_size: int,                    # N
        dims: Model,
        getter: Optional[Callable] = None,  # variable getter of training.graph, for EMA weights
        mode: ForwardMode = TESTING,
) -> GenerationGraph:
    """`GenerationGraph` in the current graph; its variables are those of the networks."""
    def floats(width: int, name: str) -> tf.Tensor:
        return tf.placeholder(tf.float32, [batch_size, width], 'generation_' + name)

    embeddings = floats(dims.embedding_dim, 'embeddings')
    noise = Noise(floats(dims.noise_dim, 'z'), floats(dims.condition_dim, 'noise1'),
                  floats(dims.condition_dim, 'noise2'))
    return GenerationGraph(embeddings, noise,
                           build_generators(stage, embeddings, noise, dims, mode, getter))


def build_generators(
        stage: int,                         # 1 or 2
        embeddings: tf.Tensor,              # [N, embedding_dim] float32
        noise: Noise,                       # of N rows; only Stage-II uses noise2
        dims: Model,
        mode: ForwardMode,
        getter: Optional[Callable] = None,  # variable getter
) -> Dict[int, tf.Tensor]:
    """{side: [N, side, side, 3] float32 in [-1, 1]} of Stage-I alone, or of both stages."""
    with tf.variable_scope(tf.get_variable_scope(), custom_getter=getter):
        low = stage1.generator(embeddings, noise.noise1, noise.z, dims, mode)
        images = {stage1.SIZE: low.images}
        if stage == 2:
            images[stage2.SIZE] = stage2.generator(low, embeddings, noise.noise2, dims,
                                                   mode).images
    return images


def generate(
        session: tf.Session,
        graph: GenerationGraph,
        embeddings: np.ndarray,                           # [M, embedding_dim] float32
        noise: Noise,                                     # of M rows
        advance: Optional[Callable[[int], None]] = None,  # gets the number of images of each batch
) -> Dict[int, np.ndarray]:
    """{side: [M, side, side, 3] uint8}, for any M: the last batch is padded and cut."""
    def run(embeddings: np.ndarray, noise: Noise) -> Dict[int, np.ndarray]:
        feed = {graph.embeddings: embeddings}
        feed.update(zip(graph.noise, noise))
        return session.run(graph.images, feed)

    return generate_in_batches(run, graph.embeddings.shape.as_list()[0], embeddings, noise, advance)
