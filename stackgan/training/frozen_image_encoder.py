"""The image encoder of a finished text encoder within the graph of a GAN, where it stays as it is.

Its variables are local ones: no optimiser finds them and no checkpoint holds them. (Constants would
do too, but with convolutions by constants TensorFlow 1.15 on CPUs makes gradients NaN.)
"""

from typing import Any, Callable, Dict, List

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.networks.casting import cast
from stackgan.networks.layers import TESTING
from stackgan.text.encoder import ImageEncoder
from stackgan.text.image_encoder import feature_maps, image_encoder


class FrozenImageEncoder:
    """What a trained image encoder makes of images, with gradients for the images."""

    def __init__(
            self,
            variables: Dict[str, np.ndarray],      # of the image encoder, by name
            options: Dict[str, Any],               # of its text encoder
    ) -> None:
        self.variables, self.options = variables, options

    def features(
            self,
            images: tf.Tensor,     # [N, 64, 64, 3] float32 in [-1, 1]
    ) -> tf.Tensor:
        """[N, embedding_dim] float32, comparable with captions by their cosine."""
        with self._scope():
            return image_encoder(images, self.options, TESTING)

    def maps(
            self,
            images: tf.Tensor,     # [N, 64, 64, 3] in [-1, 1]
            dtype: Any,            # to compute in
    ) -> List[tf.Tensor]:
        """Features of sides 16, 8 and 4, of the given type.

        Those of 32 are left out: a discriminator that sees them teaches a pattern of dots.
        """
        with self._scope():
            return feature_maps(cast(images, dtype), self.options, TESTING)[1:]

    def _scope(self) -> Any:
        def local(getter: Callable[..., Any], name: str, **options: Any) -> Any:
            options.update(initializer=tf.constant_initializer(self.variables[name]),
                           trainable=False, collections=[tf.GraphKeys.LOCAL_VARIABLES])
            return getter(name, **options)

        return tf.variable_scope(tf.get_variable_scope(), custom_getter=local)


def read_image_encoder(
        folder: str,           # of a text encoder that was trained here, with its image encoder
        platform: Any,         # the `platform` section
) -> FrozenImageEncoder:
    """The image encoder in a folder. Raises InputError if it is damaged."""
    with ImageEncoder(folder, platform) as encoder:
        return FrozenImageEncoder(encoder.variables(), encoder.options)
