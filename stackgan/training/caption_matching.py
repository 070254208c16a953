"""How well generated images match their captions, by an image encoder that stays as it is.

After the deep attentional multimodal similarity of AttnGAN (Xu et al., 2018, equations 10 to 13),
with one vector for the whole image and one for the whole sentence, and without words. The image
encoder is the one that was trained along with the text encoder.
"""

from typing import Any, Callable, Dict

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.losses import downsample
from stackgan.networks import stage1
from stackgan.networks.layers import BATCH_NORM_EPSILON, TESTING
from stackgan.text.encoder import ImageEncoder
from stackgan.text.image_encoder import image_encoder
from stackgan.text.joint_embedding import SHARPNESS, contrastive_loss

FOLDED = TESTING._replace(folded=True)
Matching = Callable[[Any, Any], Any]      # (images, embeddings) -> the loss


def read_caption_matching(
        folder: str,           # of a text encoder that was trained here, with its image encoder
        platform: Any,         # the `platform` section
) -> Matching:
    """`caption_matching` by the image encoder in a folder. Raises InputError if it is damaged."""
    with ImageEncoder(folder, platform) as encoder:
        variables, options = encoder.variables(), encoder.options
    return lambda images, embeddings: caption_matching(images, embeddings, variables,
                                                       options['image_filters'])


def caption_matching(
        images: tf.Tensor,         # [N, 64, 64, 3] or [N, 256, 256, 3] float32 in [-1, 1]
        embeddings: tf.Tensor,     # [N, embedding_dim] of their captions
        variables: Dict[str, np.ndarray],      # of the image encoder, by name
        filters: int,              # its width
) -> tf.Tensor:
    """-log softmax of an image's own caption among those of the batch, and the other way round.

    A scalar, at least 0; 2 log N where images have nothing to do with captions. The encoder's
    variables are constants in the graph: no optimiser finds them and no checkpoint holds them.
    """
    weights = folded(variables)

    def constant(getter: Callable[..., Any], name: str, *arguments: Any, **options: Any) -> Any:
        return tf.constant(weights[name])

    small = images if images.shape.as_list()[1] == stage1.SIZE else downsample(images)
    with tf.variable_scope(tf.get_variable_scope(), custom_getter=constant):
        features = image_encoder(small, filters, embeddings.shape.as_list()[1], FOLDED)
    return contrastive_loss(tf.nn.l2_normalize(embeddings, 1) * SHARPNESS,
                            tf.nn.l2_normalize(features, 1)).total


def folded(
        variables: Dict[str, np.ndarray],      # of the image encoder
) -> Dict[str, np.ndarray]:
    """The same encoder with batch norm in the weights, and an offset left of it.

    TensorFlow 1.15 on CPUs has wrong gradients of a batch norm with fixed statistics, and this is
    faster. After the convolutions it scales their outputs; in `largest` the inputs of `project`.
    """
    weights = dict(variables)
    for scope in sorted({name.rpartition('/')[0] for name in variables
                         if name.endswith('/moving_mean')}):
        gamma, beta, mean, variance = [variables[f'{scope}/{name}'] for name in (
            'gamma', 'beta', 'moving_mean', 'moving_variance')]
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        if scope + '/weights' in weights:
            weights[scope + '/weights'] = weights[scope + '/weights'] * scale
            weights[scope + '/offset'] = beta - mean * scale
        else:
            project = scope.rpartition('/')[0] + '/project'
            weights[scope + '/offset'] = np.zeros_like(beta)
            weights[project + '/biases'] = (weights[project + '/biases']
                                            + (beta - mean * scale).dot(
                                                weights[project + '/weights']))
            weights[project + '/weights'] = (weights[project + '/weights']
                                             * scale[:, np.newaxis])
    return weights
