"""Damage to reduced real images, so that Stage-II learns to mend what Stage-I does.

How much of it an image gets, and where, follows from the graph's seed and the number of steps done.
Half of it is the same for 2x2 pixels, because Stage-I doubles 32 px in its last layer.
"""

from typing import Any, Optional

import tensorflow.compat.v1 as tf

from stackgan.platforms.workers import Workers
from stackgan.training.random_numbers import RandomNumbers

STREAM = 2        # of random numbers; augmentation has 0 and 1


def degraded(
        images: tf.Tensor,        # [N, S, S, 3] float32 in [-1, 1]; no gradient goes back to them
        settings: Any,            # the `stage2` section
        numbers: RandomNumbers,   # that decide
        workers: Optional[Workers] = None,
) -> tf.Tensor:
    """`images` with scattered pixels and noise, or as they are: [N, S, S, 3]."""
    if not (settings.super_resolution_scatter or settings.super_resolution_noise):
        return images
    count, side = images.shape.as_list()[:2]
    seed = numbers.seed(STREAM)
    shares = _own_share(numbers.uniform([2, _rows(count, workers), 1, 1, 1], seed), workers)
    if settings.super_resolution_scatter:
        distance = settings.super_resolution_scatter * shares[0] * _normal(
            numbers, count, side, 2, seed + 1, workers)
        images = scattered(images, tf.clip_by_value(
            distance, -settings.super_resolution_scatter, settings.super_resolution_scatter))
    if settings.super_resolution_noise:
        images += settings.super_resolution_noise * shares[1] * _normal(
            numbers, count, side, 3, seed + 3, workers)
    return images


def scattered(
        images: tf.Tensor,        # [N, S, S, 3]
        distances: tf.Tensor,     # [N, S, S, 2] float32: rows and columns, in pixels
) -> tf.Tensor:
    """Each pixel taken from so far away, to whole pixels; at the edges the last one is repeated."""
    count, side = images.shape.as_list()[:2]
    grid = tf.stack(tf.meshgrid(tf.range(side), tf.range(side), indexing='ij'), 2)[None]
    places = tf.clip_by_value(grid + tf.cast(tf.round(distances), tf.int32), 0, side - 1)
    rows = (tf.range(count)[:, None, None] * side + places[..., 0]) * side + places[..., 1]
    return tf.gather(tf.reshape(images, [count * side * side, 3]), rows)


def _rows(count: int, workers: Optional[Workers]) -> int:
    """Rows of the global batch: random numbers are drawn for all, and each worker takes its own."""
    return count if workers is None else count * workers.size


def _own_share(x: tf.Tensor, workers: Optional[Workers]) -> tf.Tensor:
    """[K, N, ...] of [K, rows of all, ...]."""
    if workers is None:
        return x
    return tf.stack([workers.own_rows(each) for each in tf.unstack(x)])


def _normal(numbers: RandomNumbers, count: int, side: int, channels: int, seed: Any,
            workers: Optional[Workers]) -> tf.Tensor:
    """Samples of a unit normal, correlated within 2x2 pixels: [count, side, side, channels]."""
    rows = _rows(count, workers)
    fine = numbers.normal([rows, side, side, channels], seed)
    coarse = numbers.normal([rows, side // 2, side // 2, channels], seed + 1)
    if workers is not None:
        fine, coarse = workers.own_rows(fine), workers.own_rows(coarse)
    return (fine + tf.image.resize_nearest_neighbor(coarse, [side, side])) * 0.5 ** 0.5
