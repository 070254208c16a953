"""How well generated images match their captions, by an image encoder that stays as it is.

After the deep attentional multimodal similarity of AttnGAN (Xu et al., 2018, equations 10 to 13),
with one vector for the whole image and one for the whole sentence, and without words. The image
encoder is the one that was trained along with the text encoder.
"""

from typing import Any, Callable, Dict, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.losses import downsample
from stackgan.networks import stage1
from stackgan.networks.layers import TESTING
from stackgan.platforms.workers import Workers
from stackgan.text.encoder import ImageEncoder
from stackgan.text.image_encoder import image_encoder
from stackgan.text.joint_embedding import SHARPNESS, contrastive_loss


class MatchingTerms(NamedTuple):
    """Scalars."""

    contrast: Any       # -log softmax of the own partner, in both directions; at least 0
    distance: Any       # 1 - cosine of image and caption, in [0, 2]


Matching = Callable[..., MatchingTerms]      # (images, embeddings, workers or nothing) -> losses


def read_caption_matching(
        folder: str,           # of a text encoder that was trained here, with its image encoder
        platform: Any,         # the `platform` section
) -> Matching:
    """`caption_matching` by the image encoder in a folder. Raises InputError if it is damaged."""
    with ImageEncoder(folder, platform) as encoder:
        variables, options = encoder.variables(), encoder.options
    return lambda images, embeddings, workers=None: caption_matching(
        images, embeddings, variables, options, workers)


def caption_matching(
        images: tf.Tensor,         # [N, 64, 64, 3] or [N, 256, 256, 3] float32 in [-1, 1]
        embeddings: tf.Tensor,     # [N, embedding_dim] of their captions
        variables: Dict[str, np.ndarray],      # of the image encoder, by name
        options: Dict[str, Any],               # of its text encoder
        workers: Optional[Workers] = None,     # whose rows are in the batch too
) -> MatchingTerms:
    """-log softmax of an image's own caption among those of the batch, and the other way round.

    A scalar, at least 0; 2 log N where images have nothing to do with captions. The encoder's
    variables are local ones: no optimiser finds them and no checkpoint holds them. (Constants would
    do too, but with convolutions by constants TensorFlow 1.15 on CPUs makes gradients NaN.)
    """
    def local(getter: Callable[..., Any], name: str, **options: Any) -> Any:
        options.update(initializer=tf.constant_initializer(variables[name]), trainable=False,
                       collections=[tf.GraphKeys.LOCAL_VARIABLES])
        return getter(name, **options)

    small = images if images.shape.as_list()[1] == stage1.SIZE else downsample(images)
    with tf.variable_scope(tf.get_variable_scope(), custom_getter=local):
        features = image_encoder(small, options, TESTING)
    text, image = tf.nn.l2_normalize(embeddings, 1), tf.nn.l2_normalize(features, 1)
    captions, own = text * SHARPNESS, image
    if workers is not None:
        captions, own = workers.all_rows(captions), workers.all_rows(own)
    return MatchingTerms(contrastive_loss(captions, own).total,
                         1.0 - tf.reduce_mean(tf.reduce_sum(text * image, 1)))

