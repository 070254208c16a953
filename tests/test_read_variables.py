"""Networks whose variables are only restored and read: the same results from fewer operations."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from toy import tiny_config

from stackgan.checkpoints import restore
from stackgan.read_variables import ReadVariables, Restorer
from stackgan.sampling.generation import build_generation
from stackgan.text.alphabet import MAX_LENGTH
from stackgan.text.char_cnn_rnn import text_encoder

BATCH, WIDTHS, OUTPUTS = 4, (8, 12, 6), 10


def generator(getter=None):
    """(graph, {placeholder's name: shape}, outputs) of both stages."""
    with tf.Graph().as_default() as graph:
        made = build_generation(2, BATCH, tiny_config().model, getter)
    images = [made.images[side] for side in sorted(made.images)]
    return graph, [made.embeddings, *made.noise], images


def encoder(cell, getter=None):
    with tf.Graph().as_default() as graph:
        codes = tf.placeholder(tf.uint8, [BATCH, MAX_LENGTH])
        with tf.variable_scope(tf.get_variable_scope(), custom_getter=getter):
            return graph, [codes], [text_encoder(codes, cell, WIDTHS, OUTPUTS,
                                                 is_trained=getter is None)]


@pytest.mark.parametrize('build, differs', [(generator, 0)] + [
    (lambda getter=None, cell=cell: encoder(cell, getter), differs)
    # The loop of 1.15 leaves a product and its biases two operations.
    for cell, differs in (('gru', 1e-6 if tf.__version__.startswith('1.') else 0),
                          ('published-gru', 0), ('published-rnn', 0))])
def test_results_are_the_same_from_fewer_operations(tmp_path, build, differs):
    rng, folder = np.random.RandomState(5), str(tmp_path)
    graph, inputs, outputs = build()
    feed = [rng.randint(0, 71, each.shape.as_list()) if each.dtype == tf.uint8
            else rng.standard_normal(each.shape.as_list()) for each in inputs]
    with tf.Session(graph=graph) as session, graph.as_default():
        variables = tf.global_variables()
        for variable in variables:          # variances too are more than 0
            variable.load(rng.uniform(0.1, 0.3, variable.shape.as_list()), session)
        tf.train.Saver().save(session, os.path.join(folder, 'model'), write_meta_graph=False)
        wanted = session.run(outputs, dict(zip(inputs, feed)))
        values = {v.op.name: value for v, value in zip(variables, session.run(variables))}

    weights = ReadVariables()
    fewer, inputs, outputs = build(weights)
    assert set(weights.made) == set(values)
    assert [each.op.name for each in weights.made.values()] == list(weights.made)
    with fewer.as_default():
        restorer = Restorer(weights.made)
    with tf.Session(graph=fewer) as session:
        restore(session, restorer, weights.made, folder)
        assert all(np.array_equal(value, values[name])
                   for name, value in session.run(weights.values()).items())
        for got, expected in zip(session.run(outputs, dict(zip(inputs, feed))), wanted):
            assert np.abs(got - expected).max() <= differs
        weights.load(session, {name: value * 0 for name, value in values.items()})
        assert not any(value.any() for value in session.run(weights.values()).values())
    made, before = (len(each.get_operations()) for each in (fewer, graph))
    assert made < 0.6 * before            # to make them is what starting to generate takes
