"""Precision and recall by k-nearest neighbours (Kynkäänniemi et al., 2019).

The manifold of a set is the union of balls around its features, each as large as the distance to
the k-th nearest other feature of the set. Precision is the share of generated images within the
manifold of the real ones; recall is the share of real images within that of the generated ones.
"""

from typing import Iterator

import numpy as np

K = 3
BLOCK = 512                # rows compared with all others at once
MAX_ROWS = 10000           # of a set: a random choice of more; time grows with the square


def share_within(
        features: np.ndarray,      # [n, D]
        manifold: np.ndarray,      # [m, D] features of the set that spans the balls; m > K
) -> float:
    """Share in [0, 1] of rows within the manifold. Needs memory for BLOCK * m distances.

    Raises ValueError for sets that are too small and for non-finite features.
    """
    if len(manifold) <= K or not len(features):
        raise ValueError(f'{len(features)} images against {len(manifold)}; at least 1 and {K + 1} '
                         'are needed')
    if not (np.isfinite(features).all() and np.isfinite(manifold).all()):
        raise ValueError('non-finite features')
    radii = np.concatenate([np.partition(block, K, axis=1)[:, K]        # 0 is the row itself
                            for block in _squared_distances(manifold, manifold)])
    within = [(block <= radii).any(axis=1) for block in _squared_distances(features, manifold)]
    return float(np.concatenate(within).mean())


def some_rows(
        features: np.ndarray,      # [n, D]
        seed: int,
) -> np.ndarray:
    """All rows, or a random choice of MAX_ROWS."""
    if len(features) <= MAX_ROWS:
        return features
    chosen = np.random.RandomState(seed).permutation(len(features))[:MAX_ROWS]
    return features[np.sort(chosen)]


def _squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
    """Yields [BLOCK, m] float64 for successive rows of x; exact zeros for equal rows."""
    y = y.astype(np.float64)
    centre = y.mean(axis=0)                    # near the origin, less is lost to rounding
    y = y - centre
    lengths = (y ** 2).sum(axis=1)
    for start in range(0, len(x), BLOCK):
        part = x[start:start + BLOCK].astype(np.float64) - centre
        block = (part ** 2).sum(axis=1)[:, np.newaxis] - 2 * (part @ y.T) + lengths
        yield np.where(block > 1e-12 * lengths.max(), block, 0.0)
