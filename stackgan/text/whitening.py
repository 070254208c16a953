"""A linear map that makes all that captions say of an image count alike.

The embeddings of captions vary most along what most captions name: on painted birds two thirds of
the variance is the body's colour, while wings and crown are in directions of little variance,
which a cosine, or a dense layer that learns from small weights, hardly sees. Within-class
covariance normalisation (Hatch et al., 2006), with images for classes: directions are scaled by
how much the captions of one image differ along them, then those that tell images apart get the
same variance, the others little.
"""

from typing import NamedTuple

import numpy as np

NOISE = 0.01         # of the mean variance, added to that of one image's captions
WEAK = 1.0           # ratio of signal to noise at which a direction counts half


class Affine(NamedTuple):
    """x -> (x - mean) matrix."""

    mean: np.ndarray        # [D]
    matrix: np.ndarray      # [D, D]

    def of(self, rows: np.ndarray) -> np.ndarray:
        """[N, D] of rows [N, D]."""
        return (rows - self.mean).dot(self.matrix)


def whitening(
        captions: np.ndarray,      # [N, D], embeddings
        image_of: np.ndarray,      # [N], whole numbers: which image each is a caption of
) -> Affine:
    """What whitens embeddings: their variance is 1 on the mean of the dimensions."""
    captions = captions.astype(np.float64)
    mean, dimensions = captions.mean(0), captions.shape[1]
    scale = captions.std(0)
    scale[scale <= 1e-6 * np.abs(captions).max()] = 1.0              # rounding of a constant
    rows = (captions - mean) / scale
    means, own = image_means(rows, image_of)
    within = rows - means[own]
    noise = within.T.dot(within) / max(len(rows) - len(means), 1)
    narrow = _power(noise + NOISE * np.square(rows).mean() * np.eye(dimensions), -0.5)
    signal = narrow.dot(means.T.dot(means) / len(means)).dot(narrow)
    strength, directions = np.linalg.eigh(signal)
    strength = np.maximum(strength, 0.0)
    size = strength / ((strength + WEAK) * np.sqrt(strength + 1.0))
    matrix = narrow.dot(directions * size).dot(directions.T)
    matrix /= np.sqrt(np.square(rows.dot(matrix)).mean())
    return Affine(mean, matrix / scale[:, np.newaxis])


def image_means(
        rows: np.ndarray,          # [N, D]
        image_of: np.ndarray,      # [N]
) -> tuple:
    """(the mean row of each image [M, D], which of them is each row's [N])."""
    _, own, counts = np.unique(image_of, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, own, rows)
    return sums / counts[:, np.newaxis], own


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values ** exponent).dot(vectors.T)
