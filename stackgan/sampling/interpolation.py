"""Ways between two points: straight ones for embeddings, great circles for noise."""

import numpy as np

STRAIGHT = 1e-6            # sine of an angle below which a great circle is not defined


def positions(
        steps,            # at least 2
):
    """[steps] floats from 0 to 1, both included, evenly spaced."""
    return [step / float(steps - 1) for step in range(steps)]


def lerp(
        first,            # [N] float32
        other,            # [N] float32
        position,         # 0: first ... 1: other
):
    """[N] float32 on the straight way; at 0 and 1 the ends to the bit."""
    value = (1.0 - position) * first.astype(np.float64) + position * other.astype(np.float64)
    return value.astype(np.float32)


def slerp(
        first,            # [N] float32
        other,            # [N] float32
        position,         # 0: first ... 1: other
):
    """[N] float32 on the great circle through both (Shoemake, 1985); the ends to the bit.

    Lengths in between are between those of the ends, as far as N is large enough for two
    normals to be nearly orthogonal. Vectors on one line, and zeros, have no such circle: the way
    between them is straight.
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
