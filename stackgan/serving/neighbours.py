"""The training images nearest to a generated one, by pixels at 64 px as in `sample --nearest`.

They are found by the worker, which reads the prepared dataset only when a visitor asks, and kept in
memory for a few images.
"""

import threading
from collections import OrderedDict
from typing import List, NamedTuple, Optional

COUNT = 4                  # that are shown
KEPT = 20                  # images whose neighbours are kept: 10 MB


class Neighbour(NamedTuple):
    """A training image."""

    name: str              # of its file in the dataset
    caption: str           # its first
    distance: float        # see stackgan.sampling.nearest; 0: the same pixels
    mirrored: bool         # whether its mirror image is the nearer one; the PNG is mirrored too
    png: bytes


class NearestRequest(NamedTuple):
    """What the worker is asked."""

    prepared: str          # folder of the prepared dataset
    png: bytes             # of the generated image


class KeptNeighbours:
    """The neighbours of the images that were asked about last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: 'OrderedDict[str, List[Neighbour]]' = OrderedDict()

    def get(
            self,
            id: str,       # of the generated image
    ) -> Optional[List[Neighbour]]:
        with self._lock:
            return self._found.get(id)

    def add(self, id: str, found: List[Neighbour]) -> None:
        with self._lock:
            self._found[id] = found
            self._found.move_to_end(id)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
