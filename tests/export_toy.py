"""Checkpoints of untrained generators for tests: fast to make, with statistics of every kind."""

import os
import stat
import sys
from argparse import Namespace

import numpy as np
import tensorflow.compat.v1 as tf
from toy import ROOT, tiny_config

from jobs.engine.contract import Job
from jobs.engine.execution import execute
from jobs.engine.outputs import run_folder
from stackgan.checkpoints import EMA, Checkpoints
from stackgan.config.loading import to_dict
from stackgan.files import write_json
from stackgan.sampling.generation import build_generation
from stackgan.text.alphabet import MAX_LENGTH
from stackgan.text.char_cnn_rnn import text_encoder

RANGES = {'gamma': 0.1, 'beta': 0.3, 'moving_mean': 0.5, 'biases': 0.3}
FAKES = os.path.join(ROOT, 'tests', 'fakes')


def make_stage(
        folder,           # made here, as of a finished training
        stage,            # 1 or 2
        dims,             # the `model` section
        averages=True,    # with EMA weights that are other weights
        step=12,
):
    """Writes a checkpoint of random generators; returns the folder."""
    random = np.random.RandomState([stage, dims.generator_filters])
    with tf.Graph().as_default(), tf.Session() as session:
        build_generation(stage, 1, dims)
        variables = tf.global_variables()
        if averages:
            variables = variables + [
                tf.get_variable(f'{EMA}/{v.op.name}', v.shape.as_list(),
                                use_resource=True) for v in variables]
        fill(session, [(variable, _values(random, variable)) for variable in variables])
        Checkpoints(os.path.join(str(folder), 'checkpoints'), None).save(
            session, tf.train.Saver(variables), step,
            {'stage': stage, 'model': to_dict(dims), 'distance': 1.0})
    return str(folder)


def fill(
        session,
        values,           # [(variable, array)]
):
    """`variable.load` of all in one run: TensorFlow plans a run anew for other operations."""
    session.run([variable.initializer for variable, _ in values],
                {variable.initializer.inputs[1]: value for variable, value in values})


def _values(random, variable):
    leaf, shape = variable.op.name.rpartition('/')[2], variable.shape.as_list()
    if leaf == 'moving_variance':
        return random.uniform(0.3, 2.0, shape)
    if leaf == 'weights':
        return random.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))
    return (leaf == 'gamma') + RANGES[leaf] * random.standard_normal(shape)


def finished_stage(volume, stage, config=None):
    """The same as the output of a finished job on a volume."""
    config = config or tiny_config()
    name = 'stage%d' % stage
    job = Job('train-' + name, 'makes', lambda config: run_folder(config, name),
              lambda config, volume: (), lambda config: {},
              lambda work: make_stage(work.folder, stage, config.model))
    assert run(job, volume, config) == 0


def make_text_encoder(
        folder,           # made here, as of a finished training
        dim=16,
        cell='gru',
        **options         # more for options.json
):
    """Writes a text encoder of random weights; returns the folder."""
    random = np.random.RandomState(dim)
    filters = [6, 7, 8]
    with tf.Graph().as_default(), tf.Session() as session:
        text_encoder(tf.placeholder(tf.uint8, [1, MAX_LENGTH]), cell, filters, dim)
        variables = tf.global_variables()
        fill(session, [(variable, random.normal(0, 0.4, variable.shape.as_list()))
                       for variable in variables])
        Checkpoints(os.path.join(str(folder), 'encoder'), None).save(
            session, tf.train.Saver(variables), 1, {})
    write_json(os.path.join(str(folder), 'options.json'),
               dict(options, cell=cell, filters=filters, embedding_dim=dim,
                    max_length=MAX_LENGTH))
    return str(folder)


def finished_text_encoder(volume, config=None, **options):
    """The same as the output of a finished job on a volume."""
    config = config or tiny_config()
    job = Job('train-text-encoder', 'makes', lambda config: run_folder(config, 'text-encoder'),
              lambda config, volume: (), lambda config: {},
              lambda work: make_text_encoder(work.folder, config.model.embedding_dim, **options))
    assert run(job, volume, config) == 0


def run(job, volume, config=None, **options):
    given = dict(dict(force=False, restart=False, check=None, names=None, bundle=None, loops=3,
                      device=0, msame=None, results=None), **options)
    return execute(job, config or tiny_config(), str(volume), Namespace(**given))


def install_fake(folder, name):
    """An executable `name` in a folder that runs the fake of that name; returns its path."""
    os.makedirs(str(folder), exist_ok=True)
    path = os.path.join(str(folder), name)
    with open(path, 'w') as stream:
        program = os.path.join(FAKES, f'fake_{name}.py')
        stream.write(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{program}" "$@"\n')
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def graph_of(build):
    with tf.Graph().as_default() as graph:
        build()
    return graph.as_graph_def()


def placeholder(shape=(1, 2), dtype=tf.float32):
    return tf.placeholder(dtype, shape, 'x')
