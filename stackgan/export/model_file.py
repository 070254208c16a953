"""Drawing from an exported file, .pb or .onnx, as from a checkpoint."""

import os
from typing import Any, Dict, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.errors import InputError, MissingRequirement
from stackgan.export.check import read_graph
from stackgan.export.freezing import EMBEDDING, INPUTS, NOISE1, OUTPUTS, Z
from stackgan.platforms.cores import thread_count
from stackgan.platforms.session import open_session
from stackgan.sampling.wanted import draw_in_batches, noise_of


class NoiseWidths(NamedTuple):
    """The part of the `model` section that noise depends on."""

    noise_dim: int
    condition_dim: int


class ModelFile(NamedTuple):
    """An exported model, ready to run."""

    path: str
    inputs: Dict[str, list]        # name -> shape, the names as in freezing.INPUTS
    outputs: Dict[int, str]        # side of the pictures -> name
    run: Any                       # ({name: array}) -> {side: [batch, side, side, 3] float32}
    close: Any


def open_model(
        path,             # of a .pb or .onnx that export wrote
        platform,         # the `platform` section
):
    """`ModelFile`. Raises InputError where the file is none, with what was seen."""
    if not os.path.isfile(path):
        raise InputError('%s: no such file; name a .pb or .onnx that export wrote' % path)
    kind = os.path.splitext(path)[1]
    if kind == '.pb':
        return _open_frozen(path, platform)
    if kind == '.onnx':
        return _open_onnx(path, platform)
    raise InputError('%s: neither a .pb nor an .onnx; name one that export wrote' % path)


def _open_frozen(path, platform):
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
    inputs, outputs = _ports(path, shapes, names)
    session = open_session(platform, graph)
    tensors = {side: graph.get_tensor_by_name(name + ':0') for side, name in outputs.items()}

    def run(arrays):
        return session.run(tensors, {name + ':0': array for name, array in arrays.items()})

    return ModelFile(path, inputs, outputs, run, session.close)


def _static_shape(tensor):
    return tensor.shape.as_list() if tensor.shape.ndims is not None else None


def _open_onnx(path, platform):
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingRequirement('running %s needs the onnxruntime package (%s); install the extra '
                                 '`export` of pyproject.toml' % (path, error))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(platform)
    try:
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:            # its own exceptions share no other base
        raise InputError('%s: not a readable ONNX model: %s'
                         % (path, ' '.join(str(error).split())[:200]))
    inputs, outputs = _ports(path, {each.name: list(each.shape) for each in session.get_inputs()},
                             {each.name for each in session.get_outputs()})

    def run(arrays):
        return dict(zip(outputs, session.run(list(outputs.values()), arrays)))

    return ModelFile(path, inputs, outputs, run, lambda: None)


def _ports(path, shapes, names):
    """(inputs, outputs) of a file, checked. Raises InputError where they are not ours."""
    outputs = {side: name for side, name in OUTPUTS.items() if name in names}
    wanted = INPUTS[:2 + len(outputs)]                   # Stage-I alone has no second noise
    fixed = all(isinstance(size, int) for shape in shapes.values() for size in shape or [None])
    if set(shapes) != set(wanted) or not outputs or not fixed or \
            len({shape[0] for shape in shapes.values()}) != 1:
        raise InputError('%s: not a model that export wrote: its inputs are %s, expected %s of one '
                         'fixed batch' % (path, ', '.join('%s %s' % item for item in
                                                          sorted(shapes.items())) or 'none',
                                          ', '.join(wanted)))
    return {name: shapes[name] for name in wanted}, outputs


class ModelSampler:
    """As `sampling.sampler.Sampler`, drawing from an exported file. Use as a context manager."""

    def __init__(
            self,
            path,              # of a .pb or .onnx that export wrote
            platform,          # the `platform` section
    ):
        self.model = open_model(path, platform)
        self.stage = len(self.model.outputs)
        self.batch_size = self.model.inputs[EMBEDDING][0]
        self.label = 'model ' + os.path.basename(path)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.model.close()

    def draw(
            self,
            wanted,            # [Wanted]
            seed,              # of the noise
            advance=None,      # called with the number of pictures after each batch
    ):
        """{side: [N, side, side, 3] uint8}."""
        embeddings = np.stack([each.embedding for each in wanted])
        width = self.model.inputs[EMBEDDING][1]
        if embeddings.shape[1] != width:
            raise InputError('%s: takes embeddings of %d numbers, those of this run have %d; draw '
                             'with the run the model was exported from'
                             % (self.model.path, width, embeddings.shape[1]))
        noise = noise_of([each.caption for each in wanted], [each.copy for each in wanted], seed,
                         NoiseWidths(self.model.inputs[Z][1], self.model.inputs[NOISE1][1]))

        def run(embeddings, noise):
            arrays = dict(zip(INPUTS, (embeddings,) + tuple(noise)))
            return self.model.run({name: arrays[name] for name in self.model.inputs})

        return draw_in_batches(run, self.batch_size, embeddings, noise, advance)
