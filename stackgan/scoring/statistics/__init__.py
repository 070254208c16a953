"""Features and predictions -> numbers. NumPy only, in float64, in blocks of rows."""

from typing import Any, Dict, NamedTuple, Optional, Tuple


class Score(NamedTuple):
    """A score of a set, or its mean over parts of the set."""

    value: float
    deviation: Optional[float]   # population standard deviation over the parts; None: no parts
    parts: Tuple[float, ...]     # the score of each part
    more: Dict[str, Any] = {}    # further keys of the line
