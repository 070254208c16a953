"""What an NPU would have to compute: every operation of trainings and of exported files."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from toy import ROOT

from stackgan.config import load_config
from stackgan.export.check import OPERATIONS
from stackgan.export.onnx_shapes import RULES
from stackgan.graph_files import OF_GENERATORS
from stackgan.networks.layers import TESTING
from stackgan.platforms.session import Resolved
from stackgan.text.image_encoder import image_encoder
from stackgan.training.frozen_image_encoder import FrozenImageEncoder
from stackgan.training.stages import step_graph

SMALL = ['model.embedding_dim=16', 'model.condition_dim=8', 'model.noise_dim=6',
         'model.generator_filters=4', 'model.discriminator_filters=4']
# What no configuration has; a gradient penalty in some steps only is one of control flow.
OTHERS = ['train.loss=hinge', 'train.gradient_penalty=matching-aware', 'train.augment_cutout=0.3',
          'train.augment_target=0.5', 'train.mode_seeking_weight=0.1', 'train.weight_decay=0.1',
          'stage2.finetune_stage1=true', 'stage2.adversarial_weight=1',
          'stage2.low_resolution_consistency_half_life_steps=2']


def some_encoder(text, dim):
    """An image encoder of zeros."""
    options = {'image_filters': 4, 'embedding_dim': dim, 'image_pooling': text.image_pooling}
    with tf.Graph().as_default():
        image_encoder(tf.zeros([2, 64, 64, 3]), options, TESTING)
        zeros = {v.op.name: np.zeros(v.shape.as_list(), np.float32) for v in tf.global_variables()}
    return FrozenImageEncoder(zeros, options)


@pytest.mark.parametrize('stage', [1, 2])
@pytest.mark.parametrize('name, more', [
    ('birds', ['stage2.low_resolution_consistency=1']), ('painted-birds', []),
    ('painted-birds', OTHERS)])
@pytest.mark.oldest
def test_every_operation_of_a_step_is_known(stage, name, more):
    """Also of the options that the paper does not have; random numbers are fed."""
    config = load_config(os.path.join(ROOT, 'configs', name + '.yaml'), SMALL + more)
    encoder = None if name == 'birds' else some_encoder(config.text, config.model.embedding_dim)
    with tf.Graph().as_default() as graph:
        step = step_graph(stage, config, Resolved('npu', 1), encoder, None)
        fetched = [step.step.name] + [loss.op.name for loss in step.losses.values()]
        needed = tf.graph_util.extract_sub_graph(graph.as_graph_def(), fetched).node
        with open(OPERATIONS) as stream:
            known = json.load(stream)
        operations = {node.op for node in needed}
        assert not operations - set(known['converts']) - set(known['trains'])
        assert not operations - listed('tensorflow')
        assert not [node.op for node in needed if 'Random' in node.op or 'Normal' in node.op
                    and 'BatchNorm' not in node.op]
        for node in needed:
            for i, tensor in enumerate(graph.get_operation_by_name(node.name).outputs):
                if tensor.dtype.base_dtype.name != 'resource' and (node.op, i) not in NOT_FIXED:
                    assert tensor.shape.is_fully_defined(), (node.op, i, node.name)


def listed(name):
    """The operations of a public list (tests/ascend_operations)."""
    with open(os.path.join(ROOT, 'tests', 'ascend_operations', name + '.txt')) as stream:
        return {word for line in stream if not line.startswith('#') for word in line.split()}


def test_every_operation_of_exported_files_is_on_the_public_lists():
    """No other operation can be in them: exported files are opened by these very lists."""
    assert not OF_GENERATORS - listed('tensorflow')
    assert not set(RULES) - listed('onnx')


def test_what_counts_as_known_is_on_the_list_it_names():
    with open(OPERATIONS) as stream:
        known = json.load(stream)
    for name, source in dict(known['converts'], **known['trains']).items():
        assert source.startswith('LIST; ') and name in listed('tensorflow')
        assert ('; OPS ops-' in source) == (name in listed('plugins')), name


# Axes to sum over, constant for constant shapes; memory of CUDA's, which the adapter leaves out.
NOT_FIXED = {('BroadcastGradientArgs', 0), ('BroadcastGradientArgs', 1), ('FusedBatchNormV3', 5),
             ('FusedBatchNormGradV3', 3), ('FusedBatchNormGradV3', 4)}
