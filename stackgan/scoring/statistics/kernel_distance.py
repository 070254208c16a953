"""Kernel inception distance (Binkowski et al., 2018): an unbiased squared MMD.

    k(x, y) = (x.y / D + 1)^3
    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

The mean and the deviation over random subsets. With at least 2,000 images in each set, the subsets
have 1,000 images as in the paper; smaller sets give subsets of half their size.
"""

import numpy as np

from stackgan.scoring.statistics import Score

SUBSETS = 100
SUBSET_SIZE = 1000


def kernel_distance(
        one: np.ndarray,       # [n, D] features
        other: np.ndarray,     # [m, D]
        seed: int,             # of the subsets
) -> Score:
    """`Score` over the subsets; 0 on average for two samples of one distribution.

    With the same seed and subset size, torch-fidelity draws the same subsets. Raises ValueError
    for sets that are too small and for non-finite features.
    """
    size = min(SUBSET_SIZE, len(one) // 2, len(other) // 2)
    if size < 2:
        raise ValueError(f'{len(one)} and {len(other)} images; at least 4 of each are needed')
    for features in (one, other):
        if not np.isfinite(features).all():
            raise ValueError('non-finite features')
    random = np.random.RandomState(seed)
    distances = []
    for _ in range(SUBSETS):
        x = one[random.choice(len(one), size, replace=False)].astype(np.float64)
        y = other[random.choice(len(other), size, replace=False)].astype(np.float64)
        distances.append(_unbiased(x, y))
    return Score(float(np.mean(distances)), float(np.std(distances)),
                 tuple(float(each) for each in distances))


def _unbiased(x: np.ndarray, y: np.ndarray) -> float:
    """MMD^2 of two samples of one size, [m, D] float64 each."""
    count = len(x)
    within = [kernel.sum() - np.trace(kernel) for kernel in (_kernel(x, x), _kernel(y, y))]
    return sum(within) / (count * (count - 1)) - 2 * _kernel(x, y).mean()


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3
