"""Joint embedding of captions and images: losses as pure functions of features.

`structured_joint_embedding_loss` is that of Reed et al. (CVPR 2016, equations 3 to 5): a caption
should score higher with its own image than with any other of the batch, and an image with its
own caption, by a margin.

Differs from reedscot/cvpr2016: there the image features are fixed and rich. With an image encoder
learning along from nothing, the plain dot products are satisfied by a few directions (4 of 1024
on painted birds) and the embedding forgets what the captions say. So `joint_embedding_loss`
compares features that are standardised over the batch and of unit length, and adds to the hinge
the cross entropy of finding the partner, which does not end at the margin.
"""

from typing import NamedTuple

import tensorflow.compat.v1 as tf

MARGIN = 1.0
SHARPNESS = 10.0           # score of two equal directions
EPSILON = 1e-4             # added to variances


class JointEmbeddingLoss(NamedTuple):
    """Scalars, each at least 0."""

    total: tf.Tensor
    text: tf.Tensor       # captions of others that score too high with an image
    image: tf.Tensor      # images of others that score too high with a caption


def joint_embedding_loss(
        text: tf.Tensor,       # [B, D] float32, features of captions, all of different classes
        image: tf.Tensor,      # [B, D] float32, features of their images
) -> tf.Tensor:
    """Scalar: hinge and cross entropy on SHARPNESS times the cosine of standardised features."""
    text = tf.nn.l2_normalize(standardised(text), 1) * SHARPNESS
    image = tf.nn.l2_normalize(standardised(image), 1)
    scores = _scores(text, image)
    return _hinge(scores).total + _cross_entropy(scores).total


def structured_joint_embedding_loss(
        text: tf.Tensor,       # [B, D] float32, features of captions, all of different classes
        image: tf.Tensor,      # [B, D] float32, features of their images
) -> JointEmbeddingLoss:
    """The symmetric hinge loss, summed over all wrong pairs and divided by B * B.

    With F(i, j) = <image i, text j>: the mean over i, j of
    max(0, 1 + F(i, j) - F(i, i)) + max(0, 1 + F(j, i) - F(i, i)), without j = i.
    """
    return _hinge(_scores(text, image))


def contrastive_loss(
        text: tf.Tensor,       # [B, D] float32
        image: tf.Tensor,      # [B, D] float32
) -> JointEmbeddingLoss:
    """-log softmax of the own partner's score among those of the batch, mean of both directions."""
    return _cross_entropy(_scores(text, image))


def standardised(
        features: tf.Tensor,   # [B, D] float32
) -> tf.Tensor:
    """Each dimension with mean 0 and variance 1 over the batch: [B, D]."""
    mean, variance = tf.nn.moments(features, [0])
    return (features - mean) * tf.rsqrt(variance + EPSILON)


def _hinge(scores: tf.Tensor) -> JointEmbeddingLoss:
    own = tf.linalg.diag_part(scores)
    is_wrong = 1.0 - tf.eye(scores.shape.as_list()[0])
    text_loss = tf.reduce_mean(is_wrong * tf.nn.relu(MARGIN + scores - own[:, tf.newaxis]))
    image_loss = tf.reduce_mean(is_wrong * tf.nn.relu(MARGIN + scores - own[tf.newaxis, :]))
    return JointEmbeddingLoss(text_loss + image_loss, text_loss, image_loss)


def _cross_entropy(scores: tf.Tensor) -> JointEmbeddingLoss:
    own = tf.range(scores.shape.as_list()[0])
    text_loss, image_loss = [
        tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(logits=s, labels=own))
        for s in (scores, tf.transpose(scores))]
    return JointEmbeddingLoss(text_loss + image_loss, text_loss, image_loss)


def _scores(text: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """[B, B]: <image i, text j>.

    Not by a matrix product, which TensorFlow computes in bfloat16 on some CPUs, because what tells
    two captions apart may be less than its rounding: a grey crown from none at all.
    """
    if text.shape.ndims != 2 or text.shape.as_list() != image.shape.as_list():
        raise ValueError(f'text and image: shapes {text.shape} and {image.shape}, expected the '
                         'same two dimensions')
    return tf.reduce_sum(image[:, tf.newaxis] * text[tf.newaxis], 2)
