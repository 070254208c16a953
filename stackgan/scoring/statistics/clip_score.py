"""CLIPScore (Hessel et al., 2021): 2.5 max(cos(image, caption), 0), the mean over images."""

import numpy as np

from stackgan.scoring.statistics import Score

WEIGHT = 2.5


def clip_score(
        images: np.ndarray,      # [n, D] embeddings of images
        captions: np.ndarray,    # [n, D] of the caption of each
        folds: int,
        seed: int,               # of the shuffle
) -> Score:
    """`Score` over shuffled folds; `shuffled` is that with the caption of another image."""
    images, captions = _unit(images), _unit(captions)
    if len(images) < max(folds, 2):
        raise ValueError(f'{len(images)} images for {folds} folds; each fold needs one, and at '
                         'least two are needed')
    order = np.random.RandomState(seed).permutation(len(images))
    own = _scores(images, captions)[order]
    others = np.empty_like(order)
    others[order] = np.roll(order, 1)
    parts = tuple(float(part.mean()) for part in np.array_split(own, folds))
    return Score(float(np.mean(parts)), float(np.std(parts)), parts,
                 {'shuffled': float(_scores(images, captions[others]).mean())})


def _scores(images: np.ndarray, captions: np.ndarray) -> np.ndarray:
    return WEIGHT * np.maximum((images * captions).sum(1), 0.0)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
