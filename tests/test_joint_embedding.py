"""The joint embedding losses against NumPy, written from their definitions."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from stackgan.platforms.precision import BFLOAT16, FLOAT32, tf_version
from stackgan.platforms.session import Resolved, session_config
from stackgan.text.joint_embedding import (
    contrastive_loss,
    joint_embedding_loss,
    standardised,
    structured_joint_embedding_loss,
)

TEXT, IMAGE = np.random.RandomState(0).normal(0, 0.6, (2, 5, 4)).astype(np.float32)


def evaluate(function, *features):
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(function(*[tf.constant(each) for each in features]))


def test_structured_loss_by_loops():
    text_loss = image_loss = 0.0
    for i in range(5):
        for j in range(5):
            if i != j:
                own = IMAGE[i].dot(TEXT[i])
                text_loss += max(0.0, 1.0 + IMAGE[i].dot(TEXT[j]) - own) / 25
                image_loss += max(0.0, 1.0 + IMAGE[j].dot(TEXT[i]) - own) / 25
    loss = evaluate(structured_joint_embedding_loss, TEXT, IMAGE)
    assert np.allclose(loss, [text_loss + image_loss, text_loss, image_loss], atol=1e-5)


def test_satisfied_margins_cost_nothing():
    far = 10 * np.eye(4, dtype=np.float32)
    assert evaluate(structured_joint_embedding_loss, far, far).total == 0.0


def test_contrastive_loss_by_loops():
    scores = IMAGE.dot(TEXT.T).astype(np.float64)
    text = np.mean([-scores[i, i] + np.log(np.exp(scores[i]).sum()) for i in range(5)])
    image = np.mean([-scores[i, i] + np.log(np.exp(scores[:, i]).sum()) for i in range(5)])
    assert np.allclose(evaluate(contrastive_loss, TEXT, IMAGE), [text + image, text, image],
                       atol=1e-5)


def test_scores_tell_captions_apart_that_bfloat16_takes_for_one():
    """On CPUs that multiply in it; elsewhere nothing is rounded anyway."""
    text = (1.0 + 1e-3 * np.random.RandomState(1).normal(0, 1, (4, 64))).astype(np.float32)
    image = (100 * (text - 1.0)).astype(np.float32)
    scores = image.dot(text.T)
    expected = sum(-np.log(np.exp(s).diagonal() / np.exp(s).sum(1)).mean()
                   for s in (scores, scores.T))
    config = session_config(Resolved('cpu', 1, FLOAT32 if tf_version() < (2, 0) else BFLOAT16))
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        holders = [tf.placeholder(tf.float32, text.shape) for _ in range(2)]
        found = session.run(contrastive_loss(*holders).total, dict(zip(holders, (text, image))))
    assert abs(found - expected) < 1e-4


def test_standardised():
    features = evaluate(standardised, TEXT)
    assert np.allclose(features.mean(0), 0, atol=1e-5)
    assert np.allclose(features.var(0), 1, atol=1e-2)


def test_the_loss_in_use_ignores_scale_and_shift():
    loss = evaluate(joint_embedding_loss, TEXT, IMAGE)
    moved = evaluate(joint_embedding_loss, 30 * TEXT + 2, 50 * IMAGE - 1)
    assert abs(loss - moved) < 1e-2 and loss > 0


def test_pairs_must_match():
    with pytest.raises(ValueError, match='expected the same two dimensions'):
        evaluate(structured_joint_embedding_loss, TEXT, IMAGE[:4])
