"""A published checkpoint to what a finished training of ours leaves.

    checkpoints/00000000/         all variables of the networks it holds, with moving statistics
    options.json                  where it is from, what of it was not read, what it does otherwise
    stats.jsonl                   empty: nothing was trained here
"""

import dataclasses
import logging
import os

import tensorflow.compat.v1 as tf

import stackgan
from stackgan.checkpoints import Checkpoints
from stackgan.config.loading import to_dict
from stackgan.files import write_json, write_json_lines
from stackgan.published.names import ORIGINAL, PORT, TITLES
from stackgan.published.reading import describe, open_published, values_of

logger = logging.getLogger(__name__)

DIFFERENCES = {       # of what the public codes generate, from what our networks generate
    ORIGINAL: (),
    PORT: ('one ReLU more, at the end of the first residual branch of Stage-I',
           "batch norm of Stage-I's dense layer and of Stage-II's joining convolution always by "
           'the statistics of the batch: an image depends on those generated with it'),
}


def import_checkpoint(
        path,              # as a Saver is given it
        stage,             # 1 or 2
        layout,            # 'original', 'port', or 'auto'
        compat,            # networks.layers.ASCEND_PORT, or None
        config,            # Config
        folder,            # where to write
):
    """Fills our networks; returns what options.json tells of it.

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


def _save(published, folder, facts):
    with tf.Graph().as_default(), tf.Session() as session:
        variables = {name: tf.get_variable(name, shape, tf.float32, use_resource=True)
                     for name, shape in published.shapes.items()}
        saver = tf.train.Saver(list(variables.values()))
        holders = {name: tf.placeholder(tf.float32, shape)
                   for name, shape in published.shapes.items()}
        fill = tf.group(*[variables[name].assign(holders[name]) for name in variables])
        session.run(fill, {holders[name]: value for name, value in values_of(published)})
        Checkpoints(os.path.join(folder, 'checkpoints'), None).save(session, saver, 0, facts)


def _describe(published, compat):
    """Where it is from, what of it was not read, and what ours generates otherwise."""
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


def _write_options(published, config, folder, imported):
    trained = dataclasses.replace(config, model=published.dims)
    write_json(os.path.join(folder, 'options.json'), {
        'config': to_dict(trained),
        'imported': imported,
        'versions': {'stackgan': stackgan.__version__, 'tensorflow': tf.__version__},
    })


def _report(published, compat, config):
    """Says what was read and every name that was not, but for what trainings keep besides."""
    unread = published.unread
    logger.info('%d variables of %s; not read: %d of optimisers, %d of zero-debiasing, %d counters'
        % (len(published.names), TITLES[published.layout], len(unread['optimiser']),
           len(unread['debiasing']), len(unread['step'])))
    for name in unread['unmatched']:
        logger.info(f'unmatched, not read: {name}')
    for scope in published.absent:
        logger.info(f'has no variables of {scope}, which are needed to continue training')
    for text in () if compat else DIFFERENCES[published.layout]:
        logger.info(f'differs from {TITLES[published.layout]}: there is {text}')
    if DIFFERENCES[published.layout] and not compat:
        logger.info('--compat ascend-port generates as it does; without, this can be trained on '
                    'and '
            'exported')
    if published.dims != config.model:
        logger.info('its dimensions are not those of the configuration; with it use --set {}'.format(describe(published.dims).replace(' ', ' --set ')))
