"""The distance by which training tells good checkpoints: zero, symmetric order, sensitivity."""

import numpy as np
import pytest
from toy import COLOURS, draw_image

from stackgan.scoring.sliced_wasserstein import sliced_wasserstein


def images(count, seed, side=64):
    random = np.random.RandomState(seed)
    colours = list(COLOURS.values())
    return np.stack([draw_image(random, colours[i % 4], side) for i in range(count)])


def test_equal_sets_have_no_distance():
    assert sliced_wasserstein(images(8, 0), images(8, 0)) == 0.0


def test_other_draws_are_near_and_damage_is_far():
    real = images(48, 0)
    near = sliced_wasserstein(images(48, 1), real)
    random = np.random.RandomState(2)
    noisy = np.clip(images(48, 1) + random.normal(0, 40, real.shape), 0, 255).astype(np.uint8)
    blurred = images(48, 1).reshape(48, 16, 4, 16, 4, 3).mean((2, 4)).repeat(4, 1).repeat(4, 2)
    collapsed = np.repeat(images(1, 1), 48, axis=0)
    wrong_colours = images(48, 1)[..., ::-1] // 2
    noise = random.randint(0, 256, real.shape).astype(np.uint8)
    for name, far in (('noisy', noisy), ('blurred', blurred.astype(np.uint8)),
                      ('collapsed', collapsed), ('wrong colours', wrong_colours)):
        assert sliced_wasserstein(far, real) > 2 * near, name
    assert sliced_wasserstein(noise, real) > sliced_wasserstein(noisy, real)


def test_sets_must_be_alike():
    with pytest.raises(ValueError, match='must be equal'):
        sliced_wasserstein(images(4, 0), images(5, 0))
