"""The frozen Inception graph of December 2015, of which OpenAI's inception score is made.

Images go in at `ExpandDims:0`, as floats in [0, 255]; the features of FID are `pool_3:0`. The
logits are features times weights without the bias, as openai/improved-gan and torch-fidelity
take them: 1008 of them.
"""

import tensorflow.compat.v1 as tf

from stackgan.errors import InputError
from stackgan.graph_files import (
    OF_CLASSIFIERS,
    Unfit,
    import_checked,
    read_graph,
    require_operations,
)
from stackgan.scoring.extractor import BATCH
from stackgan.scoring.scorer_network import ClassifierOutputs

SCOPE = 'imagenet'
SIZE = 299                 # to which the graph resizes: another size is resized before it
IMAGES, POOLED, PRODUCT = 'ExpandDims', 'pool_3', 'softmax/logits/MatMul'
TITLE = 'the frozen Inception graph of 2015'
REMEDY = 'score.imagenet_weights names its .pb file'


def load(
        path: str,          # file of the graph
        images: tf.Tensor,  # [N, 299, 299, 3] float32 in [0, 255], in the current graph
) -> ClassifierOutputs:
    """`ClassifierOutputs` of the graph in a file. Raises InputError for a file of another kind."""
    graph_def, graph = read_graph(path, TITLE, REMEDY), tf.get_default_graph()
    missing = {IMAGES, POOLED, PRODUCT} - {node.name for node in graph_def.node}
    try:
        if missing:
            raise Unfit(f'it has no {", ".join(sorted(missing))}')
        require_operations(graph_def, OF_CLASSIFIERS, 'an Inception')
        import_checked(graph_def, [POOLED, PRODUCT], {IMAGES: images}, BATCH, SCOPE)
        pooled = graph.get_tensor_by_name(f'{SCOPE}/{POOLED}:0')
        product = graph.get_operation_by_name(f'{SCOPE}/{PRODUCT}')
        if product.type != 'MatMul' or pooled.shape.as_list()[1:] != \
                [1, 1] + product.inputs[1].shape.as_list()[:1]:
            raise Unfit(f'{POOLED} is not taken by {PRODUCT}')
    except Unfit as fault:
        raise InputError(f'{path}: not {TITLE} ({fault}); {REMEDY}')
    weights = product.inputs[1]
    features = tf.reshape(pooled, [-1, weights.shape.as_list()[0]])
    return ClassifierOutputs(tf.matmul(features, weights), features)
