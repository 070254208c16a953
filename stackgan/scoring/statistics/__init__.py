"""Features and predictions -> numbers. NumPy only, in float64, in blocks of rows."""

from typing import NamedTuple, Tuple


class Score(NamedTuple):
    """A score over parts of a set."""

    value: float                 # mean over the parts
    deviation: float             # population standard deviation over the parts
    parts: Tuple[float, ...]     # the score of each part
