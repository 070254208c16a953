"""Inception score, Fréchet distance and R-precision against their definitions written plainly."""

import numpy as np
import pytest

from stackgan.scoring.statistics.frechet import Moments, frechet_distance
from stackgan.scoring.statistics.inception_score import (
    DROPPED,
    full_parts,
    inception_score,
    public_parts,
    softmax,
)
from stackgan.scoring.statistics.r_precision import is_own_nearest, other_captions, r_precision


def probabilities(rows, classes, seed=0, sharpness=3.0):
    return softmax(np.random.RandomState(seed).standard_normal((rows, classes)) * sharpness)


def blocks(array, size=7):
    return [array[start:start + size] for start in range(0, len(array), size)]


def public_script(predictions, splits, seed):
    """What inception_score.py of StackGAN-inception-model computes, in float64."""
    order = np.arange(len(predictions))
    np.random.seed(seed)
    np.random.shuffle(order)
    kept = predictions[order][:len(order) // 64 * 64]
    scores = []
    for i in range(splits):
        part = kept[i * kept.shape[0] // splits:(i + 1) * kept.shape[0] // splits, :]
        kl = part * (np.log(part) - np.log(np.expand_dims(np.mean(part, 0), 0)))
        scores.append(np.exp(np.mean(np.sum(kl, 1))))
    return np.mean(scores), np.std(scores), scores


def torch_fidelity(predictions, splits, seed):
    """Its definition: a permutation, then the KL of every row of a chunk."""
    p = predictions[np.random.RandomState(seed).permutation(len(predictions))]
    scores = []
    for i in range(splits):
        chunk = p[i * len(p) // splits:(i + 1) * len(p) // splits]
        q = chunk.mean(0, keepdims=True)
        scores.append(np.exp((chunk * (np.log(chunk) - np.log(q))).sum(1).mean()))
    return np.mean(scores), np.std(scores), scores


@pytest.mark.parametrize('rows', [640, 997])
@pytest.mark.parametrize('parts_of, oracle', [(public_parts, public_script),
                                              (full_parts, torch_fidelity)])
def test_inception_score(rows, parts_of, oracle):
    p = probabilities(rows, 12)
    score = inception_score(blocks(p), parts_of(rows, 10, 2020), 10)
    value, deviation, each = oracle(p, 10, 2020)
    assert abs(score.value - value) < 1e-6 and abs(score.deviation - deviation) < 1e-6
    assert np.allclose(score.parts, each, atol=1e-6) and score.value > 2


def test_every_image_counts_but_in_the_public_protocol():
    assert (full_parts(997, 10, 0) == DROPPED).sum() == 0
    assert (public_parts(997, 10, 0) == DROPPED).sum() == 997 % 64
    p = np.tile(probabilities(1, 3), (70, 1))
    p[-1] = [1, 0, 0]
    dropped = public_parts(70, 2, 3)[-1] == DROPPED
    assert (inception_score([p], public_parts(70, 2, 3), 2).value == pytest.approx(1)) == dropped
    assert inception_score([p], full_parts(70, 2, 3), 2).value > 1 + 1e-4


def test_zeros_are_fine_and_what_is_no_probability_is_refused():
    """One class for sure in each row, all classes alike often: the score is their number."""
    p = np.tile(np.eye(4), (10, 1))
    assert inception_score([p], np.zeros(40, int), 1).value == pytest.approx(4, abs=1e-12)
    for bad in (np.nan, -0.5, 2.0):
        q = p.copy()
        q[17, 1] = bad
        with pytest.raises(ValueError, match='row 17 is not a probability distribution'):
            inception_score(blocks(q, 6), np.zeros(40, int), 1)
    with pytest.raises(ValueError, match='each part needs a row'):
        inception_score([p[:3]], full_parts(3, 4, 0), 4)
    with pytest.raises(ValueError, match='39 rows for 40 places'):
        inception_score([p[1:]], np.zeros(40, int), 1)


def test_softmax_of_extreme_logits():
    rows = softmax(np.array([[1e4, 0, -1e4], [np.log(2), 0, 0]], np.float32))
    assert np.allclose(rows, [[1, 0, 0], [0.5, 0.25, 0.25]], atol=1e-7)


def frechet_by_definition(x, y):
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(s1 @ s2).astype(complex)).real.sum()
    return np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(s1) + np.trace(s2) - 2 * roots


def features(rows, seed, shift=0.0):
    random = np.random.RandomState(seed)
    return np.maximum(random.standard_normal((rows, 24)) @ random.standard_normal((24, 24)),
                      0).astype(np.float32) + np.float32(shift)


@pytest.mark.parametrize('rows', [200, 15])      # 15 rows of 24 features: singular covariances
def test_frechet_distance(rows):
    x, y = features(rows, 1), features(rows + 31, 2)
    sets = []
    for each in (x, y):
        moments = Moments()
        for block in blocks(each):
            moments.add(block)
        sets.append(moments)
    expected = frechet_by_definition(x.astype(float), y.astype(float))
    assert frechet_distance(*sets) == pytest.approx(expected, rel=1e-6, abs=1e-5)
    assert frechet_distance(sets[0], sets[0]) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(*sets) == pytest.approx(frechet_distance(*sets[::-1]), rel=1e-7)


def test_moments_keep_their_digits_far_from_zero():
    x = features(300, 3, shift=5e3)
    moments = Moments()
    for block in blocks(x):
        moments.add(block)
    assert np.allclose(moments.covariance(), np.cov(x.astype(float), rowvar=False), atol=1e-7)


def test_frechet_refuses_what_it_cannot_use():
    with pytest.raises(ValueError, match='covariance of 1 rows'):
        frechet_distance(Moments().add(features(1, 0)), Moments().add(features(9, 0)))
    bad = features(9, 0)
    bad[4, 3] = np.inf
    with pytest.raises(ValueError, match='non-finite features'):
        Moments().add(bad)


def test_other_captions_are_different_and_of_other_classes():
    classes = np.repeat(np.arange(5), 40)
    rows = other_captions(np.random.RandomState(0), 2, classes)
    assert len(set(rows)) == 99 and 2 not in classes[rows] and len(set(classes[rows])) == 4
    with pytest.raises(ValueError, match='80 captions of other classes than 1'):
        other_captions(np.random.RandomState(0), 1, classes[:120])


def test_the_nearest_caption_is_that_of_the_largest_cosine():
    image = np.array([3.0, 0.0])
    captions = np.array([[1.0, 0.1], [50.0, 40.0]])       # the other has the larger product
    assert is_own_nearest(image, captions) and not is_own_nearest(image, captions[::-1])
    assert not is_own_nearest(image, captions[[0, 0]])  # equal captions prove nothing
    assert not is_own_nearest(image * 0, captions)


def test_r_precision_is_the_mean_over_folds():
    hits = np.arange(300) % 3 == 0
    score = r_precision(hits, 10, 0)
    assert score.value == pytest.approx(1 / 3) and len(score.parts) == 10
    assert score.deviation == pytest.approx(np.std(score.parts)) and score.deviation > 0
    assert r_precision(hits, 10, 1).parts != score.parts
    with pytest.raises(ValueError, match='3 images for 10 folds'):
        r_precision(hits[:3], 10, 0)
