"""Scores of images in arrays or folders."""

import os
from typing import Dict, Optional, Union

import numpy as np

from stackgan.data.image_kinds import is_image
from stackgan.data.images import BadImage, read_image
from stackgan.data.walking import walk
from stackgan.errors import InputError
from stackgan.scoring.sliced_wasserstein import sliced_wasserstein
from stackgan.scoring.views import resized

Images = Union[str, np.ndarray]         # a folder, or [N, H, W, 3] uint8


def images_of(
        folder: str,
        side: int = 64,     # in pixels; images are stretched to squares
) -> np.ndarray:
    """[N, side, side, 3] uint8: all readable images below a folder, in the order of their paths.

    Raises InputError where there is none.
    """
    found = []
    for name in sorted(walk(folder).files):
        path = os.path.join(folder, name)
        if is_image(path):
            try:
                found.append(resized(np.asarray(read_image(path)), side))
            except BadImage:
                continue
    if not found:
        raise InputError(f'{folder}: no image there that can be read')
    return np.stack(found)


def score(
        generated: Images,
        real: Images,
        judge: Optional[str] = None,        # an .onnx or .tflite that gives features; None: none
        judge_range: str = '-1..1',         # what it takes pixels as, as score.judge_range
        seed: int = 0,                      # of patches and subsets
) -> Dict[str, float]:
    """Distances between two sets of images; 0 for equal ones, and lower is better.

    Without a judge {'sliced_wasserstein'} at 64 px, of as many images as the smaller set has: it
    needs no network and no TensorFlow. With one {'fid', 'kid'} of its features. They compare only
    with scores of the same judge, images and numbers of images; `python -m jobs score` has the
    protocols of papers.
    """
    if judge is None:
        first, second = _pixels(generated, 64), _pixels(real, 64)
        count = min(len(first), len(second))
        return {'sliced_wasserstein': sliced_wasserstein(first[:count], second[:count], seed)}
    from stackgan.config.schema import Platform, Score
    from stackgan.scoring.feature_distances import feature_distances
    from stackgan.scoring.judge import Judge
    network = Judge(judge, Score(judge=judge, judge_range=judge_range), Platform())
    features = [network.run(list(_pixels(each, network.side)))[1] for each in (generated, real)]
    return feature_distances(features[0], features[1], seed)


def _pixels(images: Images, side: int) -> np.ndarray:
    if isinstance(images, str):
        return images_of(images, side)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or not len(images):
        raise InputError(f'score: images have shape {images.shape} and type {images.dtype}, '
                         'expected [N, H, W, 3] uint8')
    return np.stack([resized(each, side) for each in images])
