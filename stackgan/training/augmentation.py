"""Differentiable augmentation of what the discriminator sees (Zhao et al., 2020).

Translation and cutout only: a change of colours would contradict captions that name them. What
is generated and what is real are augmented alike, so the generator need not learn to make it.
Which images and how follows from the graph's seed and the number of steps done.
"""

from typing import Any, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from stackgan.platforms.workers import Workers
from stackgan.training.random_numbers import RandomNumbers
from stackgan.training.steps_done import STATE


class Augmentation(NamedTuple):
    """What is done to images, and how often."""

    translation: float        # largest shift, as a share of the side
    cutout: float             # side of the square that is blanked out, as a share of the side
    probability: Any          # of an image to be augmented: scalar in [0, 1]
    adapts: Optional[Any]     # the variable behind an adaptive probability; None: it is fixed
    numbers: RandomNumbers    # what decides


def augmentation_of(
        train: Any,           # the `train` section
        name: str,            # of the pair of networks
        numbers: RandomNumbers,
) -> Optional[Augmentation]:
    """`Augmentation`, or None where nothing is augmented."""
    if not (train.augment_translation or train.augment_cutout):
        return None
    adapts, probability = None, train.augment_probability
    if train.augment_target is not None:
        adapts = tf.get_variable(f'{STATE}/{name}_augment_probability', [], tf.float32,
                                 tf.zeros_initializer(), trainable=False, use_resource=True)
        probability = adapts.read_value()
    return Augmentation(train.augment_translation, train.augment_cutout, probability, adapts,
                        numbers)


def adapted(
        augmentation: Augmentation,
        logits: tf.Tensor,    # [N] of real images
        train: Any,           # the `train` section
        workers: Optional[Workers] = None,
) -> tf.Operation:
    """Moves an adaptive probability one batch's worth towards the target (Karras et al., 2020)."""
    if augmentation.adapts is None:
        return tf.no_op()
    images, sign = logits.shape.as_list()[0], tf.reduce_mean(tf.sign(logits))
    if workers is not None:
        images, sign = images * workers.size, workers.mean(sign)
    step = images / float(train.augment_adapts_over_images)
    wanted = tf.sign(sign - train.augment_target)
    return augmentation.adapts.assign(
        tf.clip_by_value(augmentation.probability + step * wanted, 0.0, 1.0)).op


def augmented(
        images: tf.Tensor,    # [N, S, S, 3] float32
        augmentation: Optional[Augmentation],
        stream: int,          # another number gives other random numbers
        workers: Optional[Workers] = None,
        groups: int = 1,      # the images are rows of so many global batches, one after the other
) -> tf.Tensor:
    """`images`, each shifted and with a square blanked out, or as it is: [N, S, S, 3]."""
    if augmentation is None:
        return images
    count, side = images.shape.as_list()[:2]
    chosen, *places = tf.unstack(_uniform(count, augmentation.numbers, stream, workers, groups))
    chosen = tf.cast(chosen < augmentation.probability, tf.int32)
    largest, hole = int(round(augmentation.translation * side)), int(augmentation.cutout * side)
    down, right = [chosen * (_whole(place, 2 * largest + 1) - largest) for place in places[:2]]
    top, left = [_whole(place, side + 1 - hole % 2) - hole // 2 for place in places[2:]]
    return cut_out(translated(images, down, right), top, left, hole * chosen)


def _uniform(count: int, numbers: RandomNumbers, stream: int, workers: Optional[Workers],
             groups: int) -> tf.Tensor:
    """[5, count] numbers in [0, 1): of all rows' numbers those of this worker's rows."""
    seed = numbers.seed(stream)
    if workers is None:
        return numbers.uniform([5, count], seed)
    everyones = numbers.uniform([5, count * workers.size], seed)
    by_row = tf.transpose(tf.reshape(everyones, [5, groups, -1]), [2, 0, 1])
    return tf.reshape(tf.transpose(workers.own_rows(by_row), [1, 2, 0]), [5, count])


def translated(
        images: tf.Tensor,    # [N, H, W, C]
        down: tf.Tensor,      # [N] int32 pixels
        right: tf.Tensor,     # [N]
) -> tf.Tensor:
    """Each image shifted by its own amounts; what comes in is zero."""
    columns_first = (0, 2, 1, 3)
    moved = tf.transpose(_moved_down(images, down), columns_first)
    return tf.transpose(_moved_down(moved, right), columns_first)


def cut_out(
        images: tf.Tensor,    # [N, H, W, C]
        top: tf.Tensor,       # [N] int32, may lie outside
        left: tf.Tensor,      # [N]
        side: tf.Tensor,      # [N]; 0: nothing is blanked out
) -> tf.Tensor:
    """Each image with a square of zeros."""
    rows, columns = [
        (tf.range(size)[None] >= start[:, None])
        & (tf.range(size)[None] < (start + side)[:, None])
        for start, size in zip((top, left), images.shape.as_list()[1:3])]
    hole = rows[:, :, None, None] & columns[:, None, :, None]
    return images * (1.0 - tf.cast(hole, tf.float32))


def _whole(uniform: tf.Tensor, count: int) -> tf.Tensor:
    """Numbers in [0, 1) as whole ones below `count`."""
    return tf.cast(tf.floor(uniform * count), tf.int32)


def _moved_down(images: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    """Rows shifted, with one row of zeros that stands for all outside."""
    size = images.shape.as_list()[1]
    padded = tf.pad(images, [[0, 0], [1, 1], [0, 0], [0, 0]])
    places = tf.clip_by_value(tf.range(size)[None] - by[:, None] + 1, 0, size + 1)
    # Axes of images and rows as one: TensorFlow 1.15 has wrong gradients of batches of gathers.
    count, height, width, channels = padded.shape.as_list()
    rows = tf.reshape(places + height * tf.range(count)[:, None], [-1])
    return tf.reshape(tf.gather(tf.reshape(padded, [count * height, width, channels]), rows),
                      [count, size, width, channels])
