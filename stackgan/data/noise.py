"""Random numbers as functions of a seed and a position, the same in every lane and process.

Uses NumPy's legacy RandomState because its streams are frozen across versions.
"""

import zlib
from typing import Sequence, Union

import numpy as np

Shape = Union[int, Sequence[int]]


def random_state(
        seed: int,        # the run's seed
        purpose: str,     # what the numbers are for; streams of two purposes are independent
        *position: int,   # non-negative: step, epoch, ...
) -> np.random.RandomState:
    """The random generator of a purpose at a position."""
    return np.random.RandomState([seed, zlib.crc32(purpose.encode()) & 0xffffffff]
                                 + [int(each) for each in position])


def normal(rng: np.random.RandomState, shape: Shape) -> np.ndarray:
    """float32 samples of a unit normal."""
    return rng.standard_normal(shape).astype(np.float32)


def truncated_normal(rng: np.random.RandomState, shape: Shape) -> np.ndarray:
    """float32 samples of a unit normal truncated at 2 sigma: values beyond it are resampled."""
    return resampled(rng, rng.standard_normal(shape), 2.0).astype(np.float32)


def resampled(
        rng: np.random.RandomState,
        values: np.ndarray,    # samples of a unit normal
        limit: float,          # in sigmas, above 0; the time this takes grows as 1 / limit
) -> np.ndarray:
    """A copy of `values` in which those further than `limit` from 0 are resampled."""
    values = np.array(values)
    beyond = np.abs(values) > limit
    while beyond.any():
        values[beyond] = rng.standard_normal(int(beyond.sum()))
        beyond = np.abs(values) > limit
    return values
