"""Counts of colours in the regions of images, and linear readers of them in closed form."""

from typing import Any

import numpy as np


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


def ridge(
        features: np.ndarray,    # [n, D + 1], the last one constant
        targets: np.ndarray,     # [n, K]
        strength: float,
) -> np.ndarray:
    """As `ridge_weights`; by the kernel of the rows where they are fewer than the features."""
    rows, width = features.shape
    if rows >= width:
        return ridge_weights(features.T @ features, features.T @ targets, rows, strength)
    kernel = features @ features.T
    penalty = strength * (np.trace(kernel) - rows) / (width - 1)      # the constant is penalised
    return features.T @ np.linalg.solve(kernel + penalty * np.eye(rows), targets)
