"""Turns a published checkpoint into what a finished training of ours leaves.

    checkpoints/00000000/         all variables of the networks it holds, with moving statistics
    options.json                  its source, what was not read from it, where it differs
    stats.jsonl                   empty: nothing was trained here
"""

import dataclasses
import logging
import os
from typing import Any, Dict, Optional

import tensorflow.compat.v1 as tf

import stackgan
from stackgan.checkpoints import Checkpoints
from stackgan.config.loading import to_dict
from stackgan.config.schema import Config
from stackgan.files import write_json, write_json_lines
from stackgan.published.names import ORIGINAL, PORT, TITLES
from stackgan.published.reading import Published, describe, open_published, values_of

logger = logging.getLogger(__name__)

DIFFERENCES = {       # between what published codebases generate and what our networks generate
    ORIGINAL: (),
    PORT: ('one ReLU more, at the end of the first residual branch of Stage-I',
           "batch norm of Stage-I's dense layer and of Stage-II's joining convolution always by "
           'the statistics of the batch: an image depends on those generated with it'),
}


def import_checkpoint(
        path: str,              # as a Saver takes it
        stage: int,             # 1 or 2
        layout: str,            # 'original', 'port', or 'auto'
        compat: Optional[str],  # networks.layers.ASCEND_PORT, or None
        config: Config,
        folder: str,            # where the result is written
) -> Dict[str, Any]:
    """Fills our networks; returns what options.json records of it.

    Raises InputError, with nothing written, for what does not fit.
    """
    published = open_published(path, stage, layout)
    facts = {'stage': stage, 'model': to_dict(published.dims)}
    if compat:
        facts['compat'] = compat
    _save(published, folder, facts)
    imported = _describe(published, compat)
    _write_options(published, config, folder, imported)
    write_json_lines(os.path.join(folder, 'stats.jsonl'), [])
    _report(published, compat, config)
    return imported


def _save(published: Published, folder: str, facts: Dict[str, Any]) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        variables = {name: tf.get_variable(name, shape, tf.float32, use_resource=True)
                     for name, shape in published.shapes.items()}
        saver = tf.train.Saver(list(variables.values()))
        holders = {name: tf.placeholder(tf.float32, shape)
                   for name, shape in published.shapes.items()}
        fill = tf.group(*[variables[name].assign(holders[name]) for name in variables])
        session.run(fill, {holders[name]: value for name, value in values_of(published)})
        Checkpoints(os.path.join(folder, 'checkpoints'), None).save(session, saver, 0, facts)


def _describe(published: Published, compat: Optional[str]) -> Dict[str, Any]:
    """Its source, what was not read from it, and where ours generates differently."""
    return {
        'from': published.path,
        'layout': published.layout,
        'of': TITLES[published.layout],
        'compat': compat,
        'differs': [] if compat else list(DIFFERENCES[published.layout]),
        'variables': len(published.names),
        'absent': published.absent,
        'unread': published.unread,
    }


def _write_options(published: Published, config: Config, folder: str,
                   imported: Dict[str, Any]) -> None:
    trained = dataclasses.replace(config, model=published.dims)
    write_json(os.path.join(folder, 'options.json'), {
        'config': to_dict(trained),
        'imported': imported,
        'versions': {'stackgan': stackgan.__version__, 'tensorflow': tf.__version__},
    })


def _report(published: Published, compat: Optional[str], config: Config) -> None:
    """Logs what was read and every name that was not, except for what training stores besides."""
    unread = published.unread
    logger.info(f'{len(published.names)} variables of {TITLES[published.layout]}; not read: '
                f"{len(unread['optimiser'])} of optimisers, {len(unread['debiasing'])} of "
                f"zero-debiasing, {len(unread['step'])} counters")
    for name in unread['unmatched']:
        logger.info(f'unmatched, not read: {name}')
    for scope in published.absent:
        logger.info(f'has no variables of {scope}, which are needed to continue training')
    for text in () if compat else DIFFERENCES[published.layout]:
        logger.info(f'differs from {TITLES[published.layout]}: there is {text}')
    if DIFFERENCES[published.layout] and not compat:
        logger.info('--compat ascend-port generates as it does; without it, you can continue '
                    'training and export')
    if published.dims != config.model:
        settings = describe(published.dims).replace(' ', ' --set ')
        logger.info(f'its dimensions differ from the configuration; with it use --set {settings}')
