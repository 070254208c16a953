"""Sliced Wasserstein distance between two sets of images (Karras et al., 2018, section 5).

Patches of 7x7 pixels at each level of a Laplacian pyramid, normalised by channel, are projected
on random directions, sorted and compared. It needs no trained network, so training can use it
to tell good checkpoints from bad ones on any dataset. It does not compare across datasets.
"""

from typing import Iterator, Tuple

import numpy as np

PATCH = 7
PATCHES_AN_IMAGE = 64
DIRECTIONS = 256
SMALLEST = 16              # side of the last level

Places = Tuple[np.ndarray, np.ndarray, np.ndarray]     # (image, top, left), each [P] int


def sliced_wasserstein(
        generated: np.ndarray,  # [N, S, S, 3] uint8; S a power of two, at least 16
        real: np.ndarray,       # [N, S, S, 3] uint8
        seed: int = 0,          # of patches and directions
) -> float:
    """Mean distance over the levels, in units of 1e-3; 0 for equal sets.

    Differs from Karras et al.: both sets are normalised by the statistics of the real one, so
    that a set of the wrong colours or contrast is not made to look right.
    """
    if generated.shape != real.shape:
        raise ValueError(f'sets of shapes {generated.shape} and {real.shape}; they must be equal')
    random = np.random.RandomState(seed)
    distances = []
    for levels in zip(_pyramid(generated), _pyramid(real)):
        places = _places(random, levels[0].shape)
        patches = [_patches(level, places) for level in levels]
        mean, deviation = patches[1].mean(axis=(0, 1, 2)), patches[1].std(axis=(0, 1, 2))
        directions = random.standard_normal((PATCH * PATCH * 3, DIRECTIONS)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=0)
        projected = [np.sort(((each - mean) / np.maximum(deviation, 1e-6)).reshape(
            len(each), -1).dot(directions), axis=0) for each in patches]
        distances.append(np.mean(np.abs(projected[0] - projected[1])))
    return float(1e3 * np.mean(distances))


def _pyramid(images: np.ndarray) -> Iterator[np.ndarray]:
    """Laplacian levels, largest first, the last one the small image itself."""
    level = images.astype(np.float32)
    while level.shape[1] > SMALLEST:
        count, side = level.shape[:2]
        small = level.reshape(count, side // 2, 2, side // 2, 2, 3).mean(axis=(2, 4))
        yield level - small.repeat(2, axis=1).repeat(2, axis=2)
        level = small
    yield level


def _places(random: np.random.RandomState, shape: Tuple[int, ...]) -> Places:
    """Random places of patches."""
    count, side = shape[:2]
    images = np.repeat(np.arange(count), PATCHES_AN_IMAGE)
    corners = random.randint(0, side - PATCH + 1, (2, len(images)))
    return images, corners[0], corners[1]


def _patches(level: np.ndarray, places: Places) -> np.ndarray:
    """[P, 7, 7, 3] float32."""
    images, tops, lefts = places
    steps = np.arange(PATCH)
    return level[images[:, None, None], tops[:, None, None] + steps[:, None],
                 lefts[:, None, None] + steps]
