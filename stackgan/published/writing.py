"""Writes a checkpoint of ours under the variable names of a published codebase."""

import logging
import os

import tensorflow.compat.v1 as tf

import stackgan
from stackgan.checkpoints import Checkpoints, ema_of, read_facts, restore, variables_of
from stackgan.config.loading import in_one_line, network_of, to_dict
from stackgan.config.schema import Export
from stackgan.errors import InputError
from stackgan.files import write_json
from stackgan.published.names import NAMES, NETWORKS, ORIGINAL, TITLES
from stackgan.published.reading import network_shapes
from stackgan.tensorflow_paths import plain_path

logger = logging.getLogger(__name__)

NAME = 'model.ckpt'
# What makes other networks than the paper's: stage, key of the `model` section, its value there.
AS_IN_THE_PAPER = (
    (1, 'condition_sigma_limit', None), (1, 'stage1_modulation', False),
    (1, 'stage1_encoder_features', False),
    (2, 'stage2_residual', False), (2, 'stage2_skip_connections', False),
    (2, 'stage2_sub_pixel', False), (2, 'stage2_residual_blocks', 4))
FACTS = 'published.json'


def write_published(
        stage_folder: str,  # of a finished stage
        folder: str,        # gets model.ckpt.* and published.json
        settings: Export,
        layout: str,        # 'original' or 'port'
) -> None:
    """Writes the networks of the checkpoint, with moving statistics, without optimisers.

    Raises InputError where they are not the paper's, which the published code could not build.
    """
    store = Checkpoints(os.path.join(stage_folder, 'checkpoints'), None)
    path = store.best() if settings.checkpoint == 'best' else store.last()
    if path is None:
        raise InputError(f'{stage_folder}: no checkpoint there; train that stage first')
    facts, stored = read_facts(path), variables_of(path)
    stage, dims = network_of(facts, path)
    for first, name, value in AS_IN_THE_PAPER:
        if stage >= first and getattr(dims, name) != value:
            given, wanted = in_one_line(getattr(dims, name)), in_one_line(value)
            raise InputError(
                f'{path}: trained with model.{name}={given}, which {TITLES[layout]} does not have; '
                f'train with model.{name}={wanted} to export it under those names')
    shapes = {name: shape for name, shape in network_shapes(stage, dims).items()
              if name in stored}
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.get_variable(name, shape, tf.float32, use_resource=True)
                     for name, shape in shapes.items()]
        sources = (ema_of(variables, path) if settings.weights == 'ema'
                   else {v.op.name: v for v in variables})
        restore(session, tf.train.Saver(sources), sources, path, is_part=True)
        with plain_path(folder) as plain:
            tf.train.Saver({NAMES[layout](v.op.name): v for v in variables}).save(
                session, os.path.join(plain, NAME), write_meta_graph=False, write_state=False)
    networks = sorted(theirs for theirs, ours in NETWORKS.items()
                      if any(name.startswith(ours + '/') for name in shapes))
    write_json(os.path.join(folder, FACTS), {
        'layout': layout, 'stage': stage, 'model': to_dict(dims), 'networks': networks,
        'checkpoint': {'name': os.path.basename(path), 'step': facts['step']},
        'compat': facts.get('compat'),
        'weights': 'the EMA' if set(sources) != set(shapes) else 'the training itself',
        'versions': {'stackgan': stackgan.__version__, 'tensorflow': tf.__version__}})
    logger.info(f'checkpoint {os.path.basename(path)} as {NAME} under the names of '
                f"{TITLES[layout]}: {', '.join(networks)}, {len(shapes)} variables")
    if facts.get('compat') and layout == ORIGINAL:
        logger.info(f"it was imported with --compat {facts['compat']}; under these names it "
                    f'generates as without --compat')
