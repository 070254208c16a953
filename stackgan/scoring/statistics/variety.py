"""Variety: do several noises of one caption give several images?

The mean Euclidean distance between the features of two images of one caption, as a share of that
between two real images of one class. 0: every noise gives the same image; 1: images of one caption
differ as much as real images of one class.
"""

from typing import Any, List

import numpy as np

from stackgan.scoring.statistics import Score

MAX_MEMBERS = 64           # of a group; time and memory grow with the square


def distances_within(
        features: np.ndarray,      # [n, D]
        groups: Any,               # [n] int: the caption or class of each row
) -> List[float]:
    """The mean distance of two different rows of a group, for each group of at least two.

    Of a group with more than MAX_MEMBERS rows, the first ones count.
    """
    found, groups = [], np.asarray(groups)
    for group in np.unique(groups):
        members = features[groups == group][:MAX_MEMBERS].astype(np.float64)
        if len(members) > 1:
            apart = np.linalg.norm(members[:, np.newaxis] - members, axis=2)
            found.append(float(apart.sum() / (len(members) * (len(members) - 1))))
    return found


def variety(
        generated: List[float],    # `distances_within` captions
        real: List[float],         # `distances_within` classes
) -> Score:
    """`Score` over the captions. Raises ValueError where there is nothing to compare."""
    scale = float(np.mean(real)) if real else 0.0
    if not scale > 0 or not generated:
        raise ValueError('no two different real images of one class, or no two images of one '
                         'caption')
    shares = np.asarray(generated) / scale
    if not np.isfinite(shares).all():
        raise ValueError('non-finite features')
    return Score(float(shares.mean()), float(shares.std()), tuple(float(s) for s in shares))
