"""Differentiable augmentation against NumPy, and what it depends on."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from toy import tiny_config

from stackgan.training.augmentation import (
    adapted,
    augmentation_of,
    augmented,
    cut_out,
    translated,
)
from stackgan.training.degradation import degraded, scattered
from stackgan.training.random_numbers import FedNumbers, RandomNumbers
from stackgan.training.steps_done import count_step

IMAGES = np.random.RandomState(0).uniform(0.5, 1, (4, 8, 8, 3)).astype(np.float32)
BOTH = 'train.augment_translation=0.25', 'train.augment_cutout=0.5'


def moved(image, down, right):
    """Pixel by pixel from the definition."""
    result = np.zeros_like(image)
    for y in range(8):
        for x in range(8):
            if 0 <= y - down < 8 and 0 <= x - right < 8:
                result[y, x] = image[y - down, x - right]
    return result


def test_images_move_and_so_do_their_gradients():
    down, right = [0, 3, -2, 8], [0, -1, 7, 1]
    with tf.Graph().as_default(), tf.Session() as session:
        images, weights = tf.constant(IMAGES), tf.constant(IMAGES[::-1].copy())
        result = translated(images, tf.constant(down), tf.constant(right))
        ours, slopes = session.run([result, tf.gradients(result * weights, images)[0]])
    for i in range(4):
        assert np.array_equal(ours[i], moved(IMAGES[i], down[i], right[i]))
        assert np.array_equal(slopes[i], moved(IMAGES[3 - i], -down[i], -right[i]))


def test_squares_are_blanked_out_also_at_the_edge():
    top, left, side = [2, -2, 7, 0], [1, 5, -1, 0], [3, 4, 4, 0]
    want = IMAGES.copy()
    for i in range(4):
        for y in range(top[i], top[i] + side[i]):
            for x in range(left[i], left[i] + side[i]):
                if 0 <= y < 8 and 0 <= x < 8:
                    want[i, y, x] = 0
    with tf.Graph().as_default(), tf.Session() as session:
        ours = session.run(cut_out(tf.constant(IMAGES), *map(tf.constant, (top, left, side))))
    assert np.array_equal(ours, want)


@pytest.fixture(scope='module')
def steps():
    """Three steps of augmented images twice over, and those of another stream."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        how = augmentation_of(tiny_config(*BOTH).train, 'stage1', RandomNumbers())
        first, second = [augmented(tf.constant(IMAGES), how, stream) for stream in (0, 1)]
        with tf.control_dependencies([first, second]):
            count = count_step()
        found = []
        for _ in range(2):
            session.run(tf.global_variables_initializer())
            found.append([session.run([first, second, count])[:2] for _ in range(3)])
    return np.array(found)


def test_what_is_done_follows_from_seed_and_step(steps):
    once, again = steps
    assert np.array_equal(once, again)
    different = [once[i, j] for i in range(3) for j in range(2)]
    assert all(not np.array_equal(different[a], different[b])
               for a in range(6) for b in range(a))


def test_something_of_every_image_is_left_and_some_is_gone(steps):
    share = (steps[0] != 0).mean((2, 3, 4, 5))
    assert (share < 1).all() and (share > 0.3).all()


def test_an_adaptive_probability_follows_the_signs_of_real_logits():
    train = tiny_config('train.augment_target=0.5', 'train.augment_adapts_over_images=8',
                        *BOTH).train
    with tf.Graph().as_default(), tf.Session() as session:
        how = augmentation_of(train, 'stage1', RandomNumbers())
        logits = tf.placeholder(tf.float32, [4])
        same, change = augmented(tf.constant(IMAGES), how, 0), adapted(how, logits, train)
        session.run(tf.global_variables_initializer())
        assert np.array_equal(session.run(same), IMAGES)
        found = []
        for values in ([1, 1, 1, 1], [2, 1, 3, 1], [1, 1, 1, 1], [1, 1, -1, -1]):
            session.run(change, {logits: values})
            found.append(session.run(how.adapts))
    assert found == [0.5, 1.0, 1.0, 0.5]


def test_without_strength_nothing_is_done():
    assert augmentation_of(tiny_config().train, 'stage1', RandomNumbers()) is None
    images = object()
    assert augmented(images, None, 0) is images


# Reduced real images for super-resolution.

def test_scattered_pixels_come_from_their_distance():
    random = np.random.RandomState(5)
    images = random.rand(2, 6, 6, 3).astype(np.float32)
    distances = random.uniform(-2.4, 2.4, (2, 6, 6, 2)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(scattered(tf.constant(images), tf.constant(distances)))
    for n, y, x in np.ndindex(2, 6, 6):
        down, right = np.round(distances[n, y, x]).astype(int)
        assert np.array_equal(found[n, y, x],
                              images[n, min(max(y + down, 0), 5), min(max(x + right, 0), 5)])


def test_damage_follows_from_the_step_and_its_limits():
    settings = tiny_config('stage2.super_resolution_noise=0.4').stage2
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        noise = degraded(tf.zeros([64, 16, 16, 3]), settings, RandomNumbers())
        count = count_step()
        session.run(tf.global_variables_initializer())
        first = session.run(noise)
        assert np.array_equal(session.run(noise), first)
        session.run(count)
        assert not np.array_equal(session.run(noise), first)
    deviations = first.std((1, 2, 3))
    assert deviations.min() < 0.05 and 0.3 < deviations.max() < 0.45
    blocks = first.reshape(64, 8, 2, 8, 2, 3).mean((2, 4))
    # Of a sum of a fine and a coarse half, means over 2x2 keep (1/4 + 1) / 2 of the variance.
    assert abs((blocks ** 2).mean() / (first ** 2).mean() - 0.625) < 0.03


# Where the graph may draw none.

def test_numbers_that_are_fed_are_those_of_the_graph():
    """And the steps are counted in both, so that a checkpoint of one is one of the other."""
    config = tiny_config('stage2.super_resolution_noise=0.4', 'stage2.super_resolution_scatter=2',
                         *BOTH)
    found = []
    for numbers in (RandomNumbers(), FedNumbers()):
        with tf.Graph().as_default() as graph, tf.Session() as session:
            tf.set_random_seed(3)
            how = augmentation_of(config.train, 'stage1', numbers)
            made = [augmented(tf.constant(IMAGES), how, stream) for stream in (0, 1)]
            made.append(degraded(tf.constant(IMAGES), config.stage2, numbers))
            with tf.control_dependencies(made):
                count = count_step()
            session.run(tf.global_variables_initializer())
            found.append([session.run(made + [count], numbers.feed(step))[:3]
                          for step in range(3)])
            drawn = [node.op for node in graph.as_graph_def().node if 'Random' in node.op]
            assert bool(drawn) == (type(numbers) is RandomNumbers)
    for ours, theirs in zip(*found):
        assert all(np.abs(a - b).max() < 1e-6 for a, b in zip(ours, theirs))
    assert not np.array_equal(found[1][0][2], found[1][1][2])
