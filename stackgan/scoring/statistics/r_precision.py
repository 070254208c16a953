"""R-precision: is an image's own caption the nearest of 100? (Xu et al., 2018, with R = 1)

The other 99 captions are of other classes. Nearest by the cosine of the features.
"""

import numpy as np

from stackgan.scoring.statistics import Score

OTHERS = 99


def other_captions(
        random,            # RandomState
        own_class,
        class_of_caption,  # [captions] int
):
    """Rows of OTHERS different captions of other classes. Raises ValueError if there are fewer."""
    rows = np.flatnonzero(class_of_caption != own_class)
    if len(rows) < OTHERS:
        raise ValueError('%d captions of other classes than %s; at least %d are needed'
                         % (len(rows), own_class, OTHERS))
    return rows[random.permutation(len(rows))[:OTHERS]]


def is_own_nearest(
        image,             # [D] features of an image
        captions,          # [1 + OTHERS, D] features of captions, its own first
):
    """Whether the own caption has the largest cosine; where another has the same, it has not."""
    scores = captions @ image / np.maximum(np.linalg.norm(captions, axis=1), 1e-12)
    return bool(scores[0] > scores[1:].max())


def r_precision(
        hits,              # [n] bool
        folds,
        seed,              # of the shuffle
):
    """`Score`: the share of hits, over shuffled folds."""
    hits = np.random.RandomState(seed).permutation(np.asarray(hits, np.float64))
    if len(hits) < folds:
        raise ValueError('%d images for %d folds; each fold needs one' % (len(hits), folds))
    shares = [part.mean() for part in np.array_split(hits, folds)]
    return Score(float(np.mean(shares)), float(np.std(shares)), tuple(float(s) for s in shares))
