"""Fréchet distance between Gaussians fitted to two sets of features (Heusel et al., 2017).

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2),    S with n - 1 in its denominator

With R R = S1, S1 S2 has the eigenvalues of the symmetric R S2 R, which are negative only by
rounding. So no square root of a nearly singular matrix is needed, and no epsilon on its diagonal.
"""

from typing import Any

import numpy as np


class Moments:
    """Mean and covariance of rows that arrive in blocks (Chan et al., 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0        # [D] from the first block on
        self.scatter: Any = 0.0     # [D, D]

    def add(self, features: np.ndarray) -> 'Moments':
        """Adds a block [n, D]. Raises ValueError for non-finite values."""
        x = np.asarray(features, np.float64)
        if not np.isfinite(x).all():
            raise ValueError(f'non-finite features in rows {self.count} to '
                             f'{self.count + len(x) - 1}')
        if len(x):
            total, mean = self.count + len(x), x.mean(0)
            off, centred = mean - self.mean, x - mean
            self.scatter = (self.scatter + centred.T @ centred
                            + np.outer(off, off) * (self.count * len(x) / total))
            self.mean = self.mean + off * (len(x) / total)
            self.count = total
        return self

    def covariance(self) -> np.ndarray:
        """[D, D], with n - 1 in the denominator."""
        if self.count < 2:
            raise ValueError(f'a covariance of {self.count} rows; at least 2 are needed')
        return self.scatter / (self.count - 1)


def frechet_distance(one: Moments, other: Moments) -> float:
    """The distance, at least 0."""
    s1, s2 = one.covariance(), other.covariance()
    root = _root(s1)
    product = root @ s2 @ root
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0.0)).sum()
    distance = np.sum((one.mean - other.mean) ** 2) + np.trace(s1) + np.trace(s2) - 2 * shared
    return float(max(distance, 0.0))


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
