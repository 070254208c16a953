"""Runs a frozen graph (.pb) that export wrote, with TensorFlow."""

from typing import Dict, Iterable, List

import tensorflow.compat.v1 as tf

from stackgan.config.schema import Platform
from stackgan.errors import InputError
from stackgan.export.check import read_graph
from stackgan.export.ports import OUTPUTS, Arrays, Images, ModelFile, ports
from stackgan.graph_files import OF_GENERATORS, Unfit, import_checked, require_operations
from stackgan.platforms.session import open_session


def open_frozen(
        path: str,              # of a .pb
        platform: Platform,     # the `platform` section
) -> ModelFile:
    """Raises InputError if the file is not a frozen generator."""
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
                         'again, or generate with the checkpoint')

    def shapes(names: Iterable[str]) -> Dict[str, List[int]]:
        return {name: graph.get_tensor_by_name(name + ':0').shape.as_list() for name in names}

    inputs, outputs = ports(path, shapes(placeholders), shapes(given))
    tensors = {side: graph.get_tensor_by_name(name + ':0') for side, name in outputs.items()}
    session = open_session(platform, graph)

    def run(arrays: Arrays) -> Images:
        try:
            return session.run(tensors, {name + ':0': array for name, array in arrays.items()})
        except tf.errors.InvalidArgumentError as error:
            reason = ' '.join(str(error).split())[:200]
            raise InputError(f'{path}: not a frozen graph that export wrote: {reason}')

    return ModelFile(path, inputs, outputs, run, session.close)
