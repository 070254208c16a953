"""A set of images with its features."""

from typing import Any, Dict, NamedTuple, Union

import numpy as np

from stackgan.data.prepared import ArrayFile
from stackgan.scoring.clip import ClipCaptions
from stackgan.scoring.features import Features
from stackgan.scoring.image_sets import ImageSet


class Captions(NamedTuple):
    """The test captions, for R-precision."""

    embeddings: Union[ArrayFile, ClipCaptions]     # one row per caption
    classes: np.ndarray      # [captions] int


class ScoredSet(NamedTuple):
    images: ImageSet
    features: Dict[str, Features]      # by extractor
    seconds: float                     # to make the images and compute the features

    def rows(self, network: str) -> np.ndarray:
        """[readable images, D] float32: the features that a network gives."""
        return self.features[network].rows_of('features')


def readable(features: Any) -> int:
    """Number of images that could be read."""
    return sum(len(rows) for rows in features.good_blocks())
