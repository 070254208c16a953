"""KID, precision and recall, and variety against their definitions written plainly."""

import itertools

import numpy as np
import pytest

from stackgan.scoring.statistics import kernel_distance as kernels
from stackgan.scoring.statistics import neighbours
from stackgan.scoring.statistics.kernel_distance import kernel_distance
from stackgan.scoring.statistics.neighbours import share_within, some_rows
from stackgan.scoring.statistics.variety import distances_within, variety


def features(rows, dim=5, seed=0, shift=0.0):
    return (np.random.RandomState(seed).standard_normal((rows, dim)) + shift).astype(np.float32)


# Kernel inception distance.

def unbiased_mmd(x, y):
    """The sums of Binkowski et al. (2018), equation 4, term by term."""
    def kernel(a, b):
        return (np.dot(a, b) / len(a) + 1) ** 3

    def within(s):
        pairs = list(itertools.permutations(range(len(s)), 2))
        return sum(kernel(s[i], s[j]) for i, j in pairs) / len(pairs)

    across = [kernel(a, b) for a in x for b in y]
    return within(x) + within(y) - 2 * sum(across) / len(across)


def test_kid_is_that_of_the_definition():
    x, y = features(14), features(11, seed=1, shift=0.5)
    found = kernel_distance(x, y, seed=3)
    random, expected = np.random.RandomState(3), []
    for _ in range(kernels.SUBSETS):                    # subsets as torch-fidelity draws them
        one = x[random.choice(14, 5, replace=False)].astype(float)
        other = y[random.choice(11, 5, replace=False)].astype(float)
        expected.append(unbiased_mmd(one, other))
    assert np.allclose(found.parts, expected, rtol=1e-9)
    assert found.value == np.mean(found.parts) and found.deviation == np.std(found.parts)


def test_kid_is_unbiased_and_grows_with_the_distance():
    """Two samples of one distribution: 0 on average, however few they are."""
    alike = [kernel_distance(features(12, seed=i), features(12, seed=i + 100), 0).value
             for i in range(60)]
    assert abs(np.mean(alike)) < 3 * np.std(alike) / np.sqrt(60)
    assert min(alike) < 0
    far = [kernel_distance(features(40), features(40, seed=1, shift=s), 0).value
           for s in (0.5, 1.0, 2.0)]
    assert 0 < far[0] < far[1] < far[2]


def test_kid_of_constant_features_in_closed_form():
    """All x are a, all y are b: k(a, a) + k(b, b) - 2 k(a, b)."""
    a, b = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    found = kernel_distance(np.tile(a, (8, 1)), np.tile(b, (9, 1)), 0)
    assert found.value == pytest.approx(3.5 ** 3 + 6 ** 3 - 2 * 1.5 ** 3)
    assert found.deviation == pytest.approx(0, abs=1e-9)


def test_kid_of_large_sets_takes_subsets_of_a_thousand(monkeypatch):
    monkeypatch.setattr(kernels, 'SUBSETS', 1)
    sizes = []
    monkeypatch.setattr(kernels, '_unbiased', lambda x, y: sizes.append((len(x), len(y))) or 0.0)
    kernel_distance(features(2500), features(2100), 0)
    assert sizes == [(1000, 1000)]


# Precision and recall.

def slow_share(rows, manifold, k=3):
    """Kynkäänniemi et al. (2019), equations 1 and 2, one pair at a time."""
    def apart(a, b):
        return np.sqrt(((a.astype(float) - b.astype(float)) ** 2).sum())

    radii = [sorted(apart(a, b) for j, b in enumerate(manifold) if j != i)[k - 1]
             for i, a in enumerate(manifold)]
    return np.mean([any(apart(a, b) <= radius for b, radius in zip(manifold, radii))
                    for a in rows])


@pytest.mark.parametrize('shift', [0.0, 0.7, 1.5])
def test_precision_and_recall_are_those_of_the_definition(monkeypatch, shift):
    monkeypatch.setattr(neighbours, 'BLOCK', 7)
    real, generated = features(40), features(33, seed=1, shift=shift) * 0.8
    found = [share_within(generated, real), share_within(real, generated)]
    assert found == [slow_share(generated, real), slow_share(real, generated)]
    assert 0 < found[1] < 1


def test_collapse_lowers_recall_and_noise_lowers_precision():
    real = features(200)
    collapsed = features(5, seed=1).repeat(40, axis=0) + features(200, seed=2) * 0.01
    noise = features(200, seed=3) * 8
    assert share_within(collapsed, real) > 0.6 and share_within(real, collapsed) < 0.1
    assert share_within(noise, real) < 0.05
    assert share_within(real, real) == 1.0                  # also far from the origin
    assert share_within(real + 1000, real + 1000) == 1.0


def test_large_sets_are_thinned(monkeypatch):
    monkeypatch.setattr(neighbours, 'MAX_ROWS', 10)
    rows = np.arange(30.0)[:, np.newaxis]
    assert len(set(some_rows(rows, 0).ravel())) == 10
    assert some_rows(rows[:10], 0) is not None and len(some_rows(rows[:10], 0)) == 10


# Variety.

def test_variety_is_the_share_of_the_distance_between_real_images():
    rows = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [6.0, 8.0], [1.0, 1.0]], np.float32)
    assert distances_within(rows, [0, 0, 1, 1, 2]) == [5.0, 10.0]       # one image is no pair
    three = np.array([[0.0], [1.0], [3.0]], np.float32)
    assert distances_within(three, [0, 0, 0]) == [pytest.approx(2.0)]
    found = variety([1.0, 2.0], [5.0, 10.0])
    assert found.parts == pytest.approx((1 / 7.5, 2 / 7.5))
    assert found.value == pytest.approx(0.2) and found.deviation == pytest.approx(1 / 15)


@pytest.mark.parametrize('call, text', [
    (lambda: kernel_distance(features(3), features(9), 0), 'at least 4'),
    (lambda: kernel_distance(features(9) * np.nan, features(9), 0), 'non-finite'),
    (lambda: share_within(features(9), features(3)), 'at least 1 and 4'),
    (lambda: share_within(features(9), features(9) * np.inf), 'non-finite'),
    (lambda: variety([1.0], []), 'no two different real images'),
    (lambda: variety([], [1.0]), 'no two'),
    (lambda: variety([np.nan], [1.0]), 'non-finite')])
def test_what_cannot_be_scored_says_why(call, text):
    with pytest.raises(ValueError, match=text):
        call()
