"""The frozen Inception graph of December 2015, of which OpenAI's inception score is made.

Pictures go in at `ExpandDims:0`, as floats in [0, 255]; the features of FID are `pool_3:0`. The
logits are features times weights without the bias, as openai/improved-gan and torch-fidelity
take them: 1008 of them.
"""

import tensorflow.compat.v1 as tf

from stackgan.errors import InputError
from stackgan.scoring.scorer_network import Seen

SIZE = 299                 # to which the graph resizes: another size is resized before it
PICTURES, POOLED, PRODUCT = 'ExpandDims:0', 'pool_3:0', 'softmax/logits/MatMul'
# Operations that compute and touch nothing else; a graph from elsewhere may have no other.
COMPUTING = frozenset('''
    Add AddV2 AvgPool BatchNormWithGlobalNormalization BiasAdd Cast CheckNumerics Concat ConcatV2
    Const Conv2D DecodeJpeg ExpandDims FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Identity
    MatMul MaxPool Maximum Mean Minimum Mul NoOp Pack Pad Placeholder RealDiv Relu Relu6 Reshape
    ResizeBilinear Rsqrt Shape Slice Softmax Split Sqrt Squeeze StridedSlice Sub Transpose
    '''.split())


def load(
        path,              # file of the graph
        pictures,          # [N, 299, 299, 3] float32 in [0, 255], in the current graph
):
    """`Seen` of the graph in a file. Raises InputError for a file that is none of its kind."""
    graph_def = _read(path)
    try:
        pooled, product = tf.import_graph_def(graph_def, {PICTURES: pictures}, [POOLED, PRODUCT],
                                              name='imagenet')
    except (ValueError, KeyError, tf.errors.OpError) as error:
        raise _unusable(path, ' '.join(str(error).split())[:200])
    weights = product.inputs[1]
    features = tf.reshape(pooled, [-1, weights.shape.as_list()[0]])
    return Seen(tf.matmul(features, weights), features)


def _read(path):
    graph_def = tf.GraphDef()
    try:
        with open(path, 'rb') as stream:
            graph_def.ParseFromString(stream.read())
    except OSError as error:
        raise InputError('%s: cannot be read: %s (score.imagenet_weights)' % (path, error.strerror))
    except Exception as error:            # protobuf's DecodeError, of which there are several
        raise _unusable(path, 'no graph in it: %s' % error)
    other = sorted({node.op for node in graph_def.node} - COMPUTING)
    if other:
        raise _unusable(path, 'it holds operations that an Inception has not: '
                        + ', '.join(other[:5]))
    return graph_def


def _unusable(path, reason):
    return InputError('%s: not the frozen Inception graph of 2015 (%s); score.imagenet_weights '
                      'names its .pb file' % (path, reason))
