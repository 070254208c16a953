"""How well generated images match their captions, by an image encoder that stays as it is.

After the deep attentional multimodal similarity of AttnGAN (Xu et al., 2018, equations 10 to 13),
with one vector for the whole image and one for the whole sentence, and without words. The image
encoder is the one that was trained along with the text encoder.
"""

from typing import Any, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from stackgan.losses import downsample
from stackgan.networks import stage1
from stackgan.platforms.workers import Workers
from stackgan.text.joint_embedding import SHARPNESS, contrastive_loss
from stackgan.training.frozen_image_encoder import FrozenImageEncoder


class MatchingTerms(NamedTuple):
    """Scalars."""

    contrast: Any       # -log softmax of the own partner, in both directions; at least 0
    distance: Any       # 1 - cosine of image and caption, in [0, 2]


def caption_matching(
        images: tf.Tensor,         # [N, 64, 64, 3] or [N, 256, 256, 3] float32 in [-1, 1]
        embeddings: tf.Tensor,     # [N, embedding_dim] of their captions
        encoder: FrozenImageEncoder,
        workers: Optional[Workers] = None,     # whose rows are in the batch too
) -> MatchingTerms:
    """-log softmax of an image's own caption among those of the batch, and the other way round.

    The former is at least 0; 2 log N where images have nothing to do with captions.
    """
    small = images if images.shape.as_list()[1] == stage1.SIZE else downsample(images)
    features = encoder.features(small)
    text, image = tf.nn.l2_normalize(embeddings, 1), tf.nn.l2_normalize(features, 1)
    captions, own = text * SHARPNESS, image
    if workers is not None:
        captions, own = workers.all_rows(captions), workers.all_rows(own)
    return MatchingTerms(contrastive_loss(captions, own).total,
                         1.0 - tf.reduce_mean(tf.reduce_sum(text * image, 1)))
