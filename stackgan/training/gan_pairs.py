"""Which networks each stage trains, as `GanPair` pairs over one batch."""

from typing import Any, Dict, List, Optional, Tuple

import tensorflow.compat.v1 as tf

from stackgan.losses import downsample, logits_of, low_resolution_consistency, mode_seeking
from stackgan.networks import stage1, stage2
from stackgan.networks.conditioning import Condition
from stackgan.networks.layers import TESTING, ForwardMode
from stackgan.networks.stage1 import Generated
from stackgan.platforms.workers import Workers
from stackgan.training.degradation import degraded
from stackgan.training.frozen_image_encoder import FrozenImageEncoder
from stackgan.training.random_numbers import RandomNumbers
from stackgan.training.steps_done import steps_done
from stackgan.types import Batch, GanPair

TRAINING = ForwardMode(True, transposed=True)      # of generators
PLAIN = ForwardMode(True)


def batch_placeholders(
        size: int,        # number of images
        stage: int,       # 1 or 2
        dims: Any,        # the `model` section
) -> Batch:
    """`Batch` of placeholders of fixed shape."""
    side = stage1.SIZE if stage == 1 else stage2.SIZE

    def floats(width: int, name: str) -> tf.Tensor:
        return tf.placeholder(tf.float32, [size, width], name)

    return Batch(
        tf.placeholder(tf.uint8, [size, side, side, 3], 'images'),
        tf.placeholder(tf.uint8, [size, side, side, 3], 'wrong_images'),
        floats(dims.embedding_dim, 'embeddings'),
        floats(dims.noise_dim, 'z'),
        floats(dims.condition_dim, 'noise1'),
        floats(dims.condition_dim, 'noise2') if stage == 2 else None)


def training_mode(
        workers: Optional[Workers] = None,
        statistics: Optional[List[tuple]] = None,     # gets those of batch norm
        mode: ForwardMode = PLAIN,      # apart from these two
) -> ForwardMode:
    """The `ForwardMode` of a network in training."""
    shared = workers if workers is not None and workers.synchronised else None
    return mode._replace(statistics=statistics, workers=shared)


def to_unit_range(
        images: tf.Tensor,        # uint8
) -> tf.Tensor:
    """Images as float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) * (2.0 / 255.0) - 1.0


def stage1_pairs(
        batch: Batch,     # of placeholders for Stage-I
        dims: Any,        # the `model` section
        mode_seeking_weight: float = 0.0,
        mode: ForwardMode = TRAINING,      # of the generator
        workers: Optional[Workers] = None,
        encoder: Optional[FrozenImageEncoder] = None,  # whose features the discriminator sees too
) -> List[GanPair]:
    """[GanPair] of Stage-I."""
    return [_stage1_pair(batch, dims, to_unit_range(batch.images),
                         to_unit_range(batch.wrong_images), 1.0, mode_seeking_weight, mode,
                         workers, encoder)[0]]


def stage2_pairs(
        batch: Batch,     # of placeholders for Stage-II
        dims: Any,        # the `model` section
        settings: Any,    # the `stage2` section
        mode: ForwardMode = TRAINING,      # of the generators in training
        workers: Optional[Workers] = None,
        encoder: Optional[FrozenImageEncoder] = None,  # of Stage-I's discriminator
        numbers: Optional[RandomNumbers] = None,       # of the platform; None: drawn in the graph
) -> List[GanPair]:
    """[GanPair] of Stage-II, and of Stage-I behind it where that is trained along."""
    real, wrong = to_unit_range(batch.images), to_unit_range(batch.wrong_images)
    first = []
    if not settings.finetune_stage1:
        # Differs from hanzhanggit/StackGAN: the frozen Stage-I uses its moving statistics, as
        # it does when sampling, because batch statistics would show Stage-II other images.
        low = stage1.generator(batch.embeddings, batch.noise1, batch.z, dims,
                               TESTING._replace(compute_dtype=mode.compute_dtype))
    else:
        pair, low = _stage1_pair(batch, dims, downsample(real), downsample(wrong),
                                 settings.finetune_learning_rate_ratio, 0.0, mode, workers,
                                 encoder)
        first = [pair]
    if dims.stage2_residual:
        # A Stage-I that is trained along learns from Stage-II through the features alone: with the
        # gradient of the sum too, TensorFlow 1.15 on CPUs makes its weights NaN.
        low = low._replace(logits=tf.stop_gradient(low.logits))
    statistics: List[tuple] = []
    mode = training_mode(workers, statistics, mode)
    terms = {}
    if settings.super_resolution_weight:
        small = degraded(downsample(real), settings, numbers or RandomNumbers(), workers)
        generated, enlarged = _with_super_resolution(low, small, batch, dims, mode)
        terms['super_resolution'] = settings.super_resolution_weight * tf.reduce_mean(
            tf.abs(enlarged - real))
    else:
        generated = stage2.generator(low, batch.embeddings, batch.noise2, dims, mode)
    terms.update(_low_resolution_terms(generated.images, low.images, settings))
    return [GanPair(
        'stage2', stage2.GENERATOR, stage2.DISCRIMINATOR, generated.images, generated.condition,
        real, wrong, batch.embeddings,
        lambda images, embeddings, mode: stage2.discriminator(images, embeddings, dims, mode),
        statistics, 1.0, terms, settings.adversarial_weight, mode.compute_dtype)] + first


def _with_super_resolution(
        low: Generated,           # of Stage-I
        small: tf.Tensor,         # [N, 64, 64, 3], reduced real images
        batch: Batch,
        dims: Any,
        mode: ForwardMode,
) -> Tuple[Generated, tf.Tensor]:
    """(what Stage-II makes of Stage-I's images, what it makes of real ones of that size).

    One pass makes both, so that batch norm has the same statistics for them, as in use.
    """
    both = low._replace(images=tf.concat([low.images, small], 0),
                        logits=tf.concat([low.logits, logits_of(small)], 0))
    generated = stage2.generator(both, tf.tile(batch.embeddings, [2, 1]),
                                 tf.tile(batch.noise2, [2, 1]), dims, mode)
    parts = [tf.split(each, 2) for each in (generated.images, generated.logits,
                                            *generated.condition)]
    images, logits, *condition = [own for own, _ in parts]
    return Generated(images, Condition(*condition), logits), parts[0][1]


def _low_resolution_terms(images: tf.Tensor, low: tf.Tensor,
                          settings: Any) -> Dict[str, tf.Tensor]:
    """The weighted low-resolution consistency of the stages' images, where it is wanted."""
    weight, half_life = (settings.low_resolution_consistency,
                         settings.low_resolution_consistency_half_life_steps)
    if not weight:
        return {}
    if half_life is not None:
        weight *= tf.pow(0.5, tf.cast(steps_done() // half_life, tf.float32))
    return {'low_resolution_consistency': weight * low_resolution_consistency(images, low)}


def _stage1_pair(batch: Batch, dims: Any, real: tf.Tensor, wrong: tf.Tensor, ratio: float,
                 mode_seeking_weight: float, mode: ForwardMode, workers: Optional[Workers],
                 encoder: Optional[FrozenImageEncoder]) -> Tuple[GanPair, Generated]:
    """(GanPair, what was generated) of Stage-I."""
    def discriminate(images: tf.Tensor, embeddings: tf.Tensor, mode: ForwardMode) -> tf.Tensor:
        maps = () if encoder is None else encoder.maps(images, mode.compute_dtype)
        return stage1.discriminator(images, embeddings, dims, mode, maps)

    statistics: List[tuple] = []
    generated = stage1.generator(batch.embeddings, batch.noise1, batch.z, dims,
                                 training_mode(workers, statistics, mode))
    terms = {}
    if mode_seeking_weight:
        other_z = _reversed_rows(batch.z, workers)
        others = stage1.generator(batch.embeddings, batch.noise1, other_z, dims,
                                  training_mode(workers, None, mode))
        terms['mode_seeking'] = mode_seeking_weight * mode_seeking(
            generated.images, others.images, batch.z, other_z,
            None if workers is None else workers.mean)
    return GanPair(
        'stage1', stage1.GENERATOR, stage1.DISCRIMINATOR, generated.images, generated.condition,
        real, wrong, batch.embeddings, discriminate, statistics, ratio, terms,
        compute_dtype=mode.compute_dtype), generated


def _reversed_rows(x: tf.Tensor, workers: Optional[Workers]) -> tf.Tensor:
    """The rows of the global batch in reverse order; those that stand at this worker's places."""
    if workers is None:
        return tf.reverse(x, [0])
    return workers.own_rows(tf.reverse(workers.all_rows(x), [0]))
