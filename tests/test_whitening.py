"""Whitening of embeddings, on rows whose factors are known."""

import numpy as np
import pytest

from stackgan.text.whitening import image_means, whitening

IMAGES, CAPTIONS, DIMENSIONS = 300, 6, 12


@pytest.fixture(scope='module')
def rows():
    """(captions, their images, the two factors of each image): one factor varies a hundred times
    as much as the other, and captions of an image differ along two more directions."""
    random = np.random.RandomState(0)
    way = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS)))[0]
    factors = random.standard_normal((IMAGES, 2))
    image_of = np.repeat(np.arange(IMAGES), CAPTIONS)
    wording = random.standard_normal((len(image_of), 2))
    small = 0.02 * random.standard_normal((len(image_of), DIMENSIONS))
    captions = ((factors * [10.0, 1.0])[image_of].dot(way[:2])
                + (wording * [5.0, 0.3]).dot(way[2:4]) + small + 7.0)
    return captions, image_of, factors


def moved(found, wanted):
    """Squared distance by which one unit of each factor in `wanted` moves the rows `found`."""
    ways = np.linalg.lstsq(wanted - wanted.mean(0), found - found.mean(0), rcond=None)[0]
    return np.square(ways).sum(1)


def test_factors_of_any_size_move_the_rows_alike(rows):
    captions, image_of, factors = rows
    before = moved(captions, factors[image_of])
    after = moved(whitening(captions, image_of).of(captions), factors[image_of])
    assert before[0] / before[1] > 50
    assert 0.8 < after[0] / after[1] < 1.6


def test_wording_is_damped_and_the_variance_is_one(rows):
    captions, image_of, _ = rows
    done = whitening(captions, image_of).of(captions)
    means, own = image_means(done, image_of)
    assert np.abs(done.mean(0)).max() < 1e-9
    assert np.square(done).mean() == pytest.approx(1.0)
    assert np.square(done - means[own]).mean() < 0.1             # it was a fifth
    before, own = image_means(captions, image_of)
    assert np.square(captions - before[own]).mean() / captions.var(0).mean() > 0.15


def test_dead_dimensions_and_single_captions(rows):
    captions, image_of, factors = rows
    dead = np.concatenate([captions, np.full((len(captions), 2), 3.0)], 1)
    done = whitening(dead, image_of).of(dead)
    assert np.isfinite(done).all() and np.abs(done[:, -2:]).max() < 1e-6
    one = captions[::CAPTIONS]
    done = whitening(one, np.arange(IMAGES)).of(one)             # nothing is known of the wording
    after = moved(done, factors)
    assert np.isfinite(done).all() and after[0] / after[1] < 3


def test_means_of_images():
    means, own = image_means(np.array([[1.0], [2.0], [5.0]]), np.array([9, 4, 4]))
    assert means.tolist() == [[3.5], [1.0]] and own.tolist() == [1, 0, 0]

