"""Running a frozen graph (.pb) that export wrote, by TensorFlow."""

import tensorflow.compat.v1 as tf

from stackgan.errors import InputError
from stackgan.export.check import read_graph
from stackgan.export.ports import ModelFile, ports
from stackgan.platforms.session import open_session


def open_frozen(
        path,             # of a .pb
        platform,         # the `platform` section
):
    """`ModelFile`. Raises InputError where the file is none."""
    graph_def = read_graph(path)
    graph = tf.Graph()
    with graph.as_default():
        try:
            tf.import_graph_def(graph_def, name='')
        except (ValueError, KeyError, tf.errors.OpError) as error:
            raise InputError('%s: not a frozen graph of ours: %s'
                             % (path, ' '.join(str(error).split())[:200]))
    shapes = {node.name: _static_shape(graph.get_tensor_by_name(node.name + ':0'))
              for node in graph_def.node if node.op == 'Placeholder'}
    names = {node.name for node in graph_def.node}
    inputs, outputs = ports(path, shapes, names)
    session = open_session(platform, graph)
    tensors = {side: graph.get_tensor_by_name(name + ':0') for side, name in outputs.items()}

    def run(arrays):
        return session.run(tensors, {name + ':0': array for name, array in arrays.items()})

    return ModelFile(path, inputs, outputs, run, session.close)


def _static_shape(tensor):
    return tensor.shape.as_list() if tensor.shape.ndims is not None else None
