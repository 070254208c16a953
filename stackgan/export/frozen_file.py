"""Running a frozen graph (.pb) that export wrote, by TensorFlow."""

import tensorflow.compat.v1 as tf

from stackgan.errors import InputError
from stackgan.export.check import read_graph
from stackgan.export.ports import OUTPUTS, ModelFile, ports
from stackgan.graph_files import OF_GENERATORS, Unfit, import_checked, require_operations
from stackgan.platforms.session import open_session


def open_frozen(
        path,             # of a .pb
        platform,         # the `platform` section
):
    """`ModelFile`. Raises InputError where the file is none."""
    graph_def = read_graph(path)
    placeholders = [node.name for node in graph_def.node if node.op == 'Placeholder']
    given = {node.name for node in graph_def.node} & set(OUTPUTS.values())
    graph = tf.Graph()
    try:
        require_operations(graph_def, OF_GENERATORS, 'a generator')
        with graph.as_default():
            import_checked(graph_def, given.union(placeholders))
    except Unfit as fault:
        raise InputError(f'{path}: not a frozen graph that export wrote: {fault}; run export '
                         f'again, or '
                         'generate with the checkpoint')

    def shapes(names):
        return {name: graph.get_tensor_by_name(name + ':0').shape.as_list() for name in names}

    inputs, outputs = ports(path, shapes(placeholders), shapes(given))
    tensors = {side: graph.get_tensor_by_name(name + ':0') for side, name in outputs.items()}
    session = open_session(platform, graph)

    def run(arrays):
        try:
            return session.run(tensors, {name + ':0': array for name, array in arrays.items()})
        except tf.errors.InvalidArgumentError as error:
            raise InputError('{}: not a frozen graph that export wrote: {}'.format(path, ' '.join(str(error).split())[:200]))

    return ModelFile(path, inputs, outputs, run, session.close)
