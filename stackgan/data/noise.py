"""Random numbers as functions of a seed and a position, the same in every lane and process.

NumPy's legacy RandomState is used because its streams are frozen across versions.
"""

import zlib

import numpy as np


def random_state(
        seed,             # the run's seed
        purpose,          # what the numbers are for: streams of two purposes are unrelated
        *position,        # non-negative integers: step, epoch, ...
):
    """RandomState of a purpose at a position."""
    return np.random.RandomState([seed, zlib.crc32(purpose.encode()) & 0xffffffff]
                                 + [int(each) for each in position])


def normal(
        random,           # RandomState
        shape,
):
    """float32 from a unit normal."""
    return random.standard_normal(shape).astype(np.float32)


def truncated_normal(
        random,           # RandomState
        shape,
):
    """float32 from a unit normal cut at 2 sigma: values beyond are drawn again."""
    return resampled(random, random.standard_normal(shape), 2.0).astype(np.float32)


def resampled(
        random,           # RandomState
        values,           # from a unit normal
        limit,            # sigmas, above 0; the time this takes grows as 1 / limit
):
    """A copy of `values`; those further than `limit` from 0 are drawn again until they are not."""
    values = np.array(values)
    beyond = np.abs(values) > limit
    while beyond.any():
        values[beyond] = random.standard_normal(int(beyond.sum()))
        beyond = np.abs(values) > limit
    return values
