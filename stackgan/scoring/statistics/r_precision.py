"""R-precision: is an image's own caption the nearest of 100? (Xu et al., 2018, with R = 1)

The other 99 captions are of other classes. Nearest by the cosine of the features.
"""

from typing import Sequence

import numpy as np

from stackgan.scoring.statistics import Score

OTHERS = 99


def other_captions(
        random: np.random.RandomState,  # RandomState
        own_class: int,
        class_of_caption: np.ndarray,   # [captions] int
) -> np.ndarray:
    """[OTHERS] different rows of captions of other classes; ValueError if there are fewer."""
    rows = np.flatnonzero(class_of_caption != own_class)
    if len(rows) < OTHERS:
        raise ValueError(f'{len(rows)} captions of other classes than {own_class}; at least '
                         f'{OTHERS} are needed')
    return rows[random.permutation(len(rows))[:OTHERS]]


def is_own_nearest(
        image: np.ndarray,     # [D] features of an image
        captions: np.ndarray,  # [1 + OTHERS, D] features of captions, its own first
) -> bool:
    """Whether the own caption has the largest cosine; a tie counts as a miss."""
    scores = captions @ image / np.maximum(np.linalg.norm(captions, axis=1), 1e-12)
    return bool(scores[0] > scores[1:].max())


def r_precision(
        hits: Sequence[bool],  # [n] bool
        folds: int,
        seed: int,             # of the shuffle
) -> Score:
    """`Score`: the share of hits, over shuffled folds."""
    hits = np.random.RandomState(seed).permutation(np.asarray(hits, np.float64))
    if len(hits) < folds:
        raise ValueError(f'{len(hits)} images for {folds} folds; each fold needs one')
    shares = [part.mean() for part in np.array_split(hits, folds)]
    return Score(float(np.mean(shares)), float(np.std(shares)), tuple(float(s) for s in shares))
