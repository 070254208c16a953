"""Counts of colours in the regions of images, and readers of them in closed form."""

from typing import Any, NamedTuple

import numpy as np

MEDIAN_OF = 500          # rows whose distances a kernel's width is the median of


def soft_counts(
        images: np.ndarray,      # [n, H, W, 3] in [0, 255]
        region: np.ndarray,      # [H, W] int: the region of each pixel
        bins: int,               # of each channel
) -> np.ndarray:
    """[n, regions * bins^3]: a pixel counts for the eight bins around its colour."""
    n, regions = len(images), int(region.max()) + 1
    position = np.asarray(images, np.float32) * ((bins - 1) / 255.0)
    low = np.minimum(position.astype(np.int64), bins - 2)
    share = position - low
    start = (np.arange(n)[:, np.newaxis, np.newaxis] * regions + region) * bins ** 3
    counts = np.zeros(n * regions * bins ** 3)
    for corner in np.ndindex(2, 2, 2):
        index = start
        weight: Any = 1.0
        for channel, is_high in enumerate(corner):
            part = share[..., channel] if is_high else 1 - share[..., channel]
            index = index + (low[..., channel] + is_high) * bins ** channel
            weight = weight * part
        counts += np.bincount(index.ravel(), weight.ravel(), len(counts))
    return counts.reshape(n, -1)


def as_features(
        counts: np.ndarray,      # [n, D]
        pixels: float,           # of a region
) -> np.ndarray:
    """[n, D + 1]: square roots of the shares, and a constant."""
    return np.concatenate([np.sqrt(counts / pixels), np.ones((len(counts), 1))], axis=1)


def ridge_weights(
        squares: np.ndarray,     # [D + 1, D + 1]: features^T features
        products: np.ndarray,    # [D + 1, K]: features^T targets
        rows: int,
        strength: float,         # of the penalty, relative to the mean square of a feature
) -> np.ndarray:
    """[D + 1, K]: weights of ridge regression; the last feature is constant and left free."""
    penalty = np.full(len(squares), strength * np.trace(squares[:-1, :-1]) / (len(squares) - 1))
    penalty[-1] = 1e-6 * rows
    return np.linalg.solve(squares + np.diag(penalty), products)


class KernelReader(NamedTuple):
    """Reads scores from features by a sum over the rows it has learned from."""

    rows: np.ndarray         # [M, D + 1]: their features
    weights: np.ndarray      # [M, K]
    means: np.ndarray        # [K], of the targets
    scale: float             # squared distance at which a row counts 1 / e

    def scores(
            self,
            features: np.ndarray,      # [n, D + 1]
    ) -> np.ndarray:
        """[n, K]."""
        return self.means + _kernel(features, self.rows, self.scale) @ self.weights


def kernel_ridge(
        features: np.ndarray,    # [M, D + 1]
        targets: np.ndarray,     # [M, K]
        strength: float,         # of the penalty; a row's kernel with itself is 1
) -> KernelReader:
    """Ridge regression with a Gaussian kernel as wide as the median distance of the rows.

    What a linear reader cannot: that of two colours in one region each says how the other counts.
    """
    some = features[np.linspace(0, len(features) - 1, min(len(features), MEDIAN_OF)).astype(int)]
    distances = _squared_distances(some, some)[np.triu_indices(len(some), 1)]
    scale = float(np.median(distances))
    means = targets.mean(axis=0)
    kernel = _kernel(features, features, scale)
    kernel[np.diag_indices(len(kernel))] += strength
    return KernelReader(features, np.linalg.solve(kernel, targets - means), means, scale)


def _kernel(a: np.ndarray, b: np.ndarray, scale: float) -> np.ndarray:
    return np.exp(-_squared_distances(a, b) / scale)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = np.square(a).sum(axis=1)[:, np.newaxis] + np.square(b).sum(axis=1)
    return np.maximum(squares - 2.0 * (a @ b.T), 0.0)
