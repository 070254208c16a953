"""The losses against NumPy, written from their definitions."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from stackgan.losses import (
    generator_loss,
    gradient_penalty,
    kl_to_unit_gaussian,
    low_resolution_consistency,
    matching_aware_discriminator_loss,
    mode_seeking,
)


def evaluate(tensors):
    with tf.Session() as session:
        return session.run(tensors)


def test_discriminator_and_generator_loss():
    real, wrong, fake = np.random.RandomState(0).normal(0, 3, (3, 7)).astype(np.float32)

    def mean_log(probability):
        return -np.mean(np.log(probability))

    def sigmoid(x):
        return 1.0 / (1.0 + np.exp(-x.astype(np.float64)))

    want = [mean_log(sigmoid(real)), mean_log(1 - sigmoid(wrong)), mean_log(1 - sigmoid(fake))]
    with tf.Graph().as_default():
        loss, generator = evaluate([
            matching_aware_discriminator_loss(*map(tf.constant, (real, wrong, fake))),
            generator_loss(tf.constant(fake))])
    assert np.allclose(loss[1:], want, atol=1e-6)
    assert abs(loss.total - (want[0] + (want[1] + want[2]) / 2)) < 1e-6
    assert abs(generator - mean_log(sigmoid(fake))) < 1e-6


def test_kl_is_the_integral():
    """Against the definition, by numerical integration of q log(q / p)."""
    mean, log_sigma = np.array([[0.3, -1.0]]), np.array([[-0.5, 0.4]])
    x = np.linspace(-12, 12, 200001)

    def density(mu, sigma):
        return np.exp(-0.5 * ((x - mu) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))

    parts = []
    for mu, log in zip(mean[0], log_sigma[0]):
        q, p = density(mu, np.exp(log)), density(0.0, 1.0)
        parts.append(np.sum(q * (np.log(q + 1e-300) - np.log(p + 1e-300))) * (x[1] - x[0]))
    with tf.Graph().as_default():
        ours = evaluate(kl_to_unit_gaussian(tf.constant(mean, tf.float32),
                                            tf.constant(log_sigma, tf.float32)))
    assert abs(ours - np.mean(parts)) < 1e-5


def test_likeness_compares_means_of_blocks():
    random = np.random.RandomState(3)
    images, low = random.uniform(-1, 1, (2, 256, 256, 3)), random.uniform(-1, 1, (2, 64, 64, 3))
    means = images.reshape(2, 64, 4, 64, 4, 3).mean((2, 4))
    with tf.Graph().as_default():
        fake, stage1 = tf.constant(images, tf.float32), tf.constant(low, tf.float32)
        loss = low_resolution_consistency(fake, stage1)
        ours = evaluate(loss)
        slopes = evaluate(tf.gradients(loss, fake))[0]
        assert tf.gradients(loss, stage1) == [None]
    assert abs(ours - np.abs(means - low).mean()) < 1e-6
    signs = np.sign(means - low).repeat(4, 1).repeat(4, 2)
    assert np.allclose(slopes, signs / images.size, rtol=1e-4)


def test_hinge_loss():
    real, wrong, fake = np.random.RandomState(1).normal(0, 2, (3, 7)).astype(np.float32)
    want = [np.maximum(0, 1 - real).mean(), np.maximum(0, 1 + wrong).mean(),
            np.maximum(0, 1 + fake).mean()]
    with tf.Graph().as_default():
        loss, generator = evaluate([
            matching_aware_discriminator_loss(*map(tf.constant, (real, wrong, fake)),
                                              kind='hinge'),
            generator_loss(tf.constant(fake), 'hinge')])
    assert np.allclose(loss[1:], want, atol=1e-6)
    assert abs(loss.total - (want[0] + (want[1] + want[2]) / 2)) < 1e-6
    assert abs(generator + fake.mean()) < 1e-6


@pytest.mark.parametrize('kind', ['r1', 'matching-aware'])
def test_gradient_penalty_of_a_discriminator_whose_gradient_is_known(kind):
    """D(x, e) = sum(x^2) / 2 + sum(e^2) / 2 has the gradients x and e."""
    random = np.random.RandomState(2)
    x, e = random.normal(0, 0.5, (3, 2, 2, 3)), random.normal(0, 0.5, (3, 4))
    of_images, of_texts = (x ** 2).sum((1, 2, 3)), (e ** 2).sum(1)
    want = of_images.mean() / 2 if kind == 'r1' else (np.sqrt(of_images + of_texts) ** 6).mean()
    with tf.Graph().as_default():
        images, texts = tf.constant(x, tf.float32), tf.constant(e, tf.float32)
        logits = (tf.reduce_sum(images ** 2, [1, 2, 3]) + tf.reduce_sum(texts ** 2, 1)) / 2
        ours = evaluate(gradient_penalty(logits, images, texts, kind))
    assert abs(ours / want - 1) < 1e-5


def test_mode_seeking_is_large_where_noise_changes_little():
    random = np.random.RandomState(4)
    a, b = random.uniform(-1, 1, (2, 3, 4, 4, 3)).astype(np.float32)
    z, other = random.normal(0, 1, (2, 3, 5)).astype(np.float32)
    with tf.Graph().as_default():
        ours, same = evaluate([mode_seeking(*map(tf.constant, each))
                               for each in ((a, b, z, other), (a, a, z, other))])
    assert abs(ours * np.abs(a - b).mean() / np.abs(z - other).mean() - 1) < 1e-4
    assert abs(same - 1e5) < 1


def test_extreme_logits_stay_finite():
    with tf.Graph().as_default():
        loss = evaluate(matching_aware_discriminator_loss(
            tf.constant([-500.0]), tf.constant([500.0]), tf.constant([500.0])))
    assert loss.total == 1000.0


def test_logits_must_have_one_dimension():
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match='one dimension'):
            generator_loss(tf.zeros([2, 1]))
        with pytest.raises(ValueError, match='differ'):
            kl_to_unit_gaussian(tf.zeros([2, 3]), tf.zeros([2, 4]))
