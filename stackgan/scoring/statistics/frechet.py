"""Fréchet distance between Gaussians fitted to two sets of features (Heusel et al., 2017).

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2),    S with n - 1 in its denominator

With R R = S1, S1 S2 has the eigenvalues of the symmetric R S2 R, none of which is negative but
by rounding. So there is neither a square root of a matrix that is nearly singular nor an epsilon
added to its diagonal.
"""

import numpy as np


class Moments:
    """Mean and covariance of rows that come in blocks (Chan et al., 1979)."""

    def __init__(self):
        self.count, self.mean, self.scatter = 0, 0.0, 0.0

    def add(self, features):
        """Counts a block [n, D]. Raises ValueError for what is no finite number."""
        x = np.asarray(features, np.float64)
        if not np.isfinite(x).all():
            raise ValueError('features of rows %d to %d are not all finite numbers'
                             % (self.count, self.count + len(x) - 1))
        if len(x):
            total, mean = self.count + len(x), x.mean(0)
            off, centred = mean - self.mean, x - mean
            self.scatter = (self.scatter + centred.T @ centred
                            + np.outer(off, off) * (self.count * len(x) / total))
            self.mean = self.mean + off * (len(x) / total)
            self.count = total
        return self

    def covariance(self):
        """[D, D], with n - 1 in the denominator."""
        if self.count < 2:
            raise ValueError('a covariance of %d rows; at least 2 are needed' % self.count)
        return self.scatter / (self.count - 1)


def frechet_distance(
        one,               # Moments
        other,             # Moments
):
    """The distance, at least 0."""
    s1, s2 = one.covariance(), other.covariance()
    root = _root(s1)
    product = root @ s2 @ root
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0.0)).sum()
    distance = np.sum((one.mean - other.mean) ** 2) + np.trace(s1) + np.trace(s2) - 2 * shared
    return float(max(distance, 0.0))


def _root(matrix):
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
