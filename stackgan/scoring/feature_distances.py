"""FID and KID of two sets of features, for callers outside of scoring."""

from typing import Dict

import numpy as np

from stackgan.errors import InputError
from stackgan.scoring.statistics.frechet import Moments, frechet_distance
from stackgan.scoring.statistics.kernel_distance import kernel_distance


def feature_distances(
        generated: np.ndarray,  # [N, D] float32
        real: np.ndarray,       # [M, D] float32
        seed: int,              # of the subsets of KID
) -> Dict[str, float]:
    """{'fid', 'kid'}. Raises InputError for sets that are too small and non-finite features."""
    try:
        return {'fid': frechet_distance(Moments().add(generated), Moments().add(real)),
                'kid': kernel_distance(generated, real, seed).value}
    except ValueError as error:
        raise InputError(f'score: {error}')
