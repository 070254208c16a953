"""Interpolation between two points: linear for embeddings, on great circles for noise."""

from typing import List

import numpy as np

STRAIGHT = 1e-6            # sine of an angle below which a great circle is not defined


def positions(
        steps: int,  # at least 2
) -> List[float]:
    """Evenly spaced positions from 0 to 1, both included."""
    return [step / (steps - 1) for step in range(steps)]


def lerp(
        first: np.ndarray,  # [N] float32
        other: np.ndarray,  # [N] float32
        position: float,    # 0: first ... 1: other
) -> np.ndarray:
    """[N] float32, interpolated linearly; at 0 and 1 exactly the ends."""
    value = (1.0 - position) * first.astype(np.float64) + position * other.astype(np.float64)
    return value.astype(np.float32)


def slerp(
        first: np.ndarray,  # [N] float32
        other: np.ndarray,  # [N] float32
        position: float,    # 0: first ... 1: other
) -> np.ndarray:
    """[N] float32 on the great circle through both (Shoemake, 1985); at 0 and 1 exactly the ends.

    Lengths in between lie between those of the ends, provided that N is large enough for two
    normals to be nearly orthogonal. Parallel vectors and zeros have no such circle; they are
    interpolated linearly.
    """
    first, other = first.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(first) * np.linalg.norm(other)
    cosine = np.dot(first, other) / lengths if lengths else 1.0
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    if np.sin(angle) < STRAIGHT:
        value = (1.0 - position) * first + position * other
    else:
        value = (np.sin((1.0 - position) * angle) * first
                 + np.sin(position * angle) * other) / np.sin(angle)
    return value.astype(np.float32)
