"""Puts a training of Stage-I or Stage-II together and runs it."""

import logging
import os

import tensorflow.compat.v1 as tf

import stackgan
from stackgan import checkpoints
from stackgan.checkpoints import Checkpoints
from stackgan.config.loading import to_dict
from stackgan.data.batches import Batches
from stackgan.data.prepared import ArrayFile, Split, open_dataset
from stackgan.errors import InputError
from stackgan.files import write_json
from stackgan.networks import stage1
from stackgan.platforms.session import optimizer_wrapper, resolve, training_session
from stackgan.training import loop
from stackgan.training.gan_pairs import batch_placeholders, stage1_pairs, stage2_pairs
from stackgan.training.graph import build_step, scope_variables
from stackgan.training.observer import Observer

logger = logging.getLogger(__name__)


def train_stage(
        stage,               # 1 or 2
        config,              # Config
        prepared,            # folder of the prepared dataset
        embeddings,          # folder with train.npy and test.npy
        folder,              # where to write; may hold an unfinished training
        stop,                # jobs.engine.signals.Stop or alike
        stage1_folder=None,  # finished Stage-I; only for stage 2
):
    """Trains one stage to its end. Raises as `loop.run`."""
    settings = config.stage1 if stage == 1 else config.stage2
    dataset = open_dataset(prepared)
    train, test = Split(dataset, 'train'), Split(dataset, 'test')
    batches = Batches(train, ArrayFile(os.path.join(embeddings, 'train.npy')), stage,
                      settings.batch_size, config.model, config.train.captions_averaged,
                      config.run.seed)
    resolved = resolve(config.platform)
    _write_options(folder, config, dataset, resolved, len(train))
    logger.info('%d training images, %d test images; %s, %d threads%s' % (
        len(train), len(test), resolved.device, resolved.threads,
        ', bfloat16' if resolved.bfloat16 else ', float16' if resolved.float16 else ''))
    with tf.Graph().as_default():
        tf.set_random_seed(config.run.seed)
        graph = _step_graph(stage, config, optimizer_wrapper(resolved))
        observer = Observer(stage, test, ArrayFile(os.path.join(embeddings, 'test.npy')),
                            config.model, config.run.seed, graph.averaged)
        training = loop.Training(
            'train-stage%d' % stage, stage, batches, graph, config.train, settings,
            {'stage': stage, 'model': to_dict(config.model)},
            _warm_start(config, stage1_folder) if stage == 2 else None, observer)
        with training_session(resolved) as session:
            return loop.run(training, folder, session, stop)


def _step_graph(stage, config, wrap):
    batch = batch_placeholders((config.stage1 if stage == 1 else config.stage2).batch_size,
                               stage, config.model)
    if stage == 1:
        pairs = stage1_pairs(batch, config.model)
    else:
        pairs = stage2_pairs(batch, config.model, config.stage2)
    return build_step(pairs, batch, config.train, wrap)


def _warm_start(config, stage1_folder):
    """(session) -> None: fills Stage-I, with its moving statistics, from its last checkpoint.

    A frozen Stage-I is its moving average where there is one, which is what samples are generated
    with; one that is trained on is what was trained, with its discriminator.
    Differs from hanzhanggit/StackGAN: that restores only trainable variables, which leaves
    Stage-I with the moving statistics of an untrained network.
    """
    path = Checkpoints(os.path.join(stage1_folder, 'checkpoints'), None).last()
    if path is None:
        raise InputError(f'{stage1_folder}: no checkpoint of Stage-I there; run train-stage1 '
                         f'--force')
    compat = checkpoints.read_facts(path).get('compat')
    if compat:
        raise InputError(f'{path}: was imported with --compat {compat}, which supports sampling '
                         f'only; import '
                         'it without --compat to train on it')
    variables = scope_variables(stage1.GENERATOR, False)
    if config.stage2.finetune_stage1:
        variables += scope_variables(stage1.DISCRIMINATOR, False)
        names = {v.op.name: v for v in variables}
    else:
        names = checkpoints.ema_of(variables, path)
    saver = tf.train.Saver(names)
    return lambda session: checkpoints.restore(session, saver, names, path, is_part=True)


def _write_options(folder, config, dataset, resolved, images):
    """options.json: what this training is, for people and tools."""
    write_json(os.path.join(folder, 'options.json'), {
        'config': to_dict(config),
        'dataset': {'name': dataset.name, 'classes': len(dataset.classes),
                    'training_images': images},
        'platform': resolved._asdict(),
        'versions': {'stackgan': stackgan.__version__, 'tensorflow': tf.__version__},
    })
