"""A trained generator as one graph of constants: fixed batch, no variable, no random operation.

The graph is not extracted from a training's but built again, with a constant wherever the networks
ask for a variable. Batch norm in inference mode scales and shifts each channel, which can be
folded into the weights before it:

    scale = gamma / sqrt(moving_variance + epsilon)
    norm(x * weights + biases) = x * (weights * scale) + biases * scale + (beta - mean * scale)
"""

from typing import Any, Callable, Dict, List, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.config.schema import Model
from stackgan.export.ports import EMBEDDING, NOISE1, NOISE2, Arrays, Z
from stackgan.networks.layers import BATCH_NORM_EPSILON, TESTING
from stackgan.sampling.generation import build_generators
from stackgan.sampling.sample_request import Noise

FORMAT_OF_1_15 = 134               # GraphDef version of TensorFlow 1.15, which ATC expects
NEWER_ATTRIBUTES = {'grad_a', 'grad_b'}   # of MatMul; without meaning for inference


class Frozen(NamedTuple):
    """A graph of constants."""

    graph_def: tf.GraphDef
    inputs: Dict[str, List[int]]   # name of a placeholder -> shape, in the order of the file
    outputs: Dict[Any, str]        # side of the images -> node [batch, side, side, 3] float32;
                                   # of a text encoder: name of its one output -> node


def freeze(
        stage: int,         # 1 or 2
        batch_size: int,
        dims: Model,        # the `model` section of the checkpoint
        weights: Arrays,    # {name of a variable: array}, of the generators
) -> Frozen:
    """`Frozen` generators."""
    widths = {EMBEDDING: dims.embedding_dim, Z: dims.noise_dim, NOISE1: dims.condition_dim}
    if stage == 2:
        widths[NOISE2] = dims.condition_dim
    inputs = {name: [batch_size, width] for name, width in widths.items()}
    with tf.Graph().as_default() as graph:
        holders = {name: tf.placeholder(tf.float32, shape, name) for name, shape in inputs.items()}
        noise = Noise(holders[Z], holders[NOISE1], holders.get(NOISE2))
        images = build_generators(stage, holders[EMBEDDING], noise, dims,
                                  TESTING._replace(folded=True), constants(weights))
        outputs = {side: tensor.op.name for side, tensor in images.items()}
        graph_def = tf.graph_util.extract_sub_graph(graph.as_graph_def(), list(outputs.values()))
    return Frozen(as_in_1_15(graph_def), inputs, outputs)


def constants(
        weights: Arrays,    # {name of a variable: array}
) -> Callable[..., tf.Tensor]:
    """A variable getter that returns constants, one for each name."""
    made = {}

    def constant(getter: Callable[..., tf.Tensor], name: str, *arguments: Any,
                 **options: Any) -> tf.Tensor:
        if name not in made:
            made[name] = tf.constant(folded(name, weights), tf.float32,
                                     name=name.rpartition('/')[2])
        return made[name]

    return constant


def folded(
        name: str,          # of a variable, or of the `offset` that stands for a batch norm
        weights: Arrays,    # {name: array}
) -> np.ndarray:
    """Its value with the batch norm of its layer, if any, folded in: float32."""
    layer, _, leaf = name.rpartition('/')
    if layer + '/gamma' not in weights:
        return weights[name]
    norm = {part: weights[f'{layer}/{part}'].astype(np.float64)
            for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
    scale = norm['gamma'] / np.sqrt(norm['moving_variance'] + BATCH_NORM_EPSILON)
    if leaf == 'offset':
        return (norm['beta'] - norm['moving_mean'] * scale).astype(np.float32)
    return (weights[name] * scale).astype(np.float32)     # outputs are the last axis of all


def as_in_1_15(graph_def: tf.GraphDef) -> tf.GraphDef:
    """The same graph, readable by TensorFlow 1.15 and what was built with it."""
    for node in graph_def.node:
        for name in [n for n in node.attr if n in NEWER_ATTRIBUTES or n.startswith('_')]:
            del node.attr[name]
    graph_def.versions.Clear()
    graph_def.versions.producer = FORMAT_OF_1_15
    return graph_def
