"""Puts a training of Stage-I or Stage-II together and runs it."""

import logging
import os
from contextlib import ExitStack
from functools import partial
from typing import Any, Dict, Optional, Sequence

import tensorflow.compat.v1 as tf

import stackgan
from stackgan import checkpoints
from stackgan.checkpoints import Checkpoints
from stackgan.config.loading import to_dict
from stackgan.data.batches import Batches
from stackgan.data.prepared import ArrayFile, Dataset, Split, open_dataset
from stackgan.errors import InputError
from stackgan.files import write_json
from stackgan.networks import stage1
from stackgan.platforms.session import (
    Resolved,
    join_workers,
    not_compiled,
    optimizer_wrapper,
    resolve,
    session_config,
    training_session,
)
from stackgan.platforms.worker_channel import Channel
from stackgan.platforms.workers import Workers
from stackgan.training.caption_matching import caption_matching
from stackgan.training.frozen_image_encoder import FrozenImageEncoder, read_image_encoder
from stackgan.training.gan_pairs import TRAINING, batch_placeholders, stage1_pairs, stage2_pairs
from stackgan.training.gan_stage import Fill, GanStage
from stackgan.training.graph import build_step, scope_variables
from stackgan.training.loggers import TrainingLogger
from stackgan.training.loop import run
from stackgan.training.observer import Observer
from stackgan.training.random_numbers import FedNumbers, RandomNumbers
from stackgan.types import TrainingGraph

logger = logging.getLogger(__name__)


def train_stage(
        stage: int,              # 1 or 2
        config: Any,             # Config
        prepared: str,           # folder of the prepared dataset
        embeddings: str,         # folder with train.npy and test.npy
        folder: str,             # where to write; may hold an unfinished training
        stop: Any,               # jobs.engine.signals.Stop or alike
        stage1_folder: Optional[str] = None,     # finished Stage-I; only for stage 2
        text_encoder: Optional[str] = None,      # its folder, where its image encoder is used
        loggers: Sequence[TrainingLogger] = (),      # get the records too
        channel: Optional[Channel] = None,       # to the other workers, if there are any
) -> str:
    """Trains one stage and returns the path of its last checkpoint. Raises as `loop.run`.

    Of several workers each calls this; worker 0 alone writes.
    """
    dataset = open_dataset(prepared)
    train, test = Split(dataset, 'train'), Split(dataset, 'test')
    settings = config.stage1 if stage == 1 else config.stage2
    batches = Batches(train, ArrayFile(os.path.join(embeddings, 'train.npy')), stage,
                      settings.batch_size, config.model, config.train.captions_averaged,
                      config.run.seed, config.train.wrong_candidates,
                      (0, 1) if channel is None else (channel.rank, channel.size))
    resolved = resolve(config.platform, 1 if channel is None else channel.size)
    if channel is None or channel.rank == 0:
        _write_options(folder, config, dataset, resolved, len(train))
        several = '' if channel is None else f', {channel.size} workers'
        logger.info(f'{len(train)} training images, {len(test)} test images; {resolved.device}, '
                    f'{resolved.threads} threads, {resolved.compute_dtype}{several}')
    encoder = None
    if text_encoder is not None:
        encoder = read_image_encoder(text_encoder, config.platform)
    elif config.model.stage1_encoder_features and (stage == 1 or settings.finetune_stage1):
        raise InputError('model.stage1_encoder_features needs a text encoder that is trained here, '
                         'with an image encoder; must be false without one')
    workers = join_workers(channel, config.platform, resolved)
    with tf.Graph().as_default(), ExitStack() as stack:
        if workers is not None:
            stack.enter_context(workers.device())
        # The seed of a variable's initial value counts the operations made before it: the order
        # in which the graph is built decides where a training starts.
        tf.set_random_seed(config.run.seed)
        graph = step_graph(stage, config, resolved, encoder, workers)
        with not_compiled():
            observer = Observer(stage, test, ArrayFile(os.path.join(embeddings, 'test.npy')),
                                config.model, config.run.seed, graph.averaged,
                                resolved.network_dtype)
        warm_start = None if stage1_folder is None else _warm_start(config, stage1_folder)
        trainable = GanStage(stage, config, graph, batches, observer, warm_start)
        if workers is not None and workers.rank == 0:
            trainable.initial = partial(_initial_values, stage, config, resolved, encoder)
        with training_session(resolved, workers) as session:
            return run(trainable, folder, session, stop, loggers, workers)


def step_graph(
        stage: int,              # 1 or 2
        config: Any,             # Config
        resolved: Resolved,
        encoder: Optional[FrozenImageEncoder],     # where one is used
        workers: Optional[Workers],
) -> TrainingGraph:
    """A step of a stage, for the machine at hand."""
    size = 1 if workers is None else workers.size
    mode = TRAINING._replace(transposed=resolved.device != 'npu',       # not measured on an NPU
                             compute_dtype=resolved.network_dtype)
    batch = batch_placeholders((config.stage1 if stage == 1 else config.stage2).batch_size // size,
                               stage, config.model)
    seen = encoder if config.model.stage1_encoder_features else None
    numbers = FedNumbers() if resolved.device == 'npu' else RandomNumbers()
    if stage == 1:
        pairs = stage1_pairs(batch, config.model, config.train.mode_seeking_weight, mode, workers,
                             seen)
    else:
        pairs = stage2_pairs(batch, config.model, config.stage2, mode, workers, seen, numbers)
    weights = config.train.caption_matching_weight, config.train.caption_similarity_weight
    if encoder is not None and any(weights):
        for each in pairs:
            terms = caption_matching(each.fake, batch.embeddings, encoder, workers)
            for name, weight, term in zip(('caption_matching', 'caption_similarity'), weights,
                                          terms):
                if weight:
                    each.terms[name] = weight * term
    return build_step(pairs, batch, config.train, optimizer_wrapper(resolved, size), workers,
                      numbers)


def _initial_values(stage: int, config: Any, resolved: Resolved,
                    encoder: Optional[FrozenImageEncoder]) -> Dict[str, Any]:
    """{name: initial value} of the variables of a single worker's training.

    Its graph has other operations than that of several, and so other seeds of its variables.
    """
    with tf.Graph().as_default():
        tf.set_random_seed(config.run.seed)
        step_graph(stage, config, resolved, encoder, None)
        with tf.Session(config=session_config(resolved)) as session:
            session.run(tf.global_variables_initializer())
            return session.run({each.op.name: each.read_value()
                                for each in tf.global_variables()})


def _warm_start(config: Any, stage1_folder: str) -> Fill:
    """What fills Stage-I, with its moving statistics, from its last checkpoint.

    A frozen Stage-I has its EMA weights where there are any, as when it samples; one that is
    trained further has the weights in training, and its discriminator.
    Differs from hanzhanggit/StackGAN: that restores only trainable variables, which leaves
    Stage-I with the moving statistics of an untrained network.
    """
    path = Checkpoints(os.path.join(stage1_folder, 'checkpoints'), None).last()
    if path is None:
        raise InputError(f'{stage1_folder}: no checkpoint of Stage-I; run train-stage1 --force')
    compat = checkpoints.read_facts(path).get('compat')
    if compat:
        raise InputError(f'{path}: was imported with --compat {compat}, which supports sampling '
                         'only; import it without --compat to train on it')
    variables = scope_variables(stage1.GENERATOR, False)
    if config.stage2.finetune_stage1:
        variables += scope_variables(stage1.DISCRIMINATOR, False)
        names = {v.op.name: v for v in variables}
    else:
        names = checkpoints.ema_of(variables, path)
    saver = tf.train.Saver(names)
    return lambda session: checkpoints.restore(session, saver, names, path, is_part=True)


def _write_options(folder: str, config: Any, dataset: Dataset, resolved: Resolved,
                   images: int) -> None:
    """options.json: what this training is, for people and tools."""
    write_json(os.path.join(folder, 'options.json'), {
        'config': to_dict(config),
        'dataset': {'name': dataset.name, 'classes': len(dataset.classes),
                    'training_images': images},
        'platform': resolved._asdict(),
        'versions': {'stackgan': stackgan.__version__, 'tensorflow': tf.__version__},
    })
