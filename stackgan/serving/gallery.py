"""The recent pictures, in memory."""

import threading
from collections import OrderedDict
from typing import Dict, NamedTuple


class Picture(NamedTuple):
    """A drawn picture."""

    id: str                 # by what it depends on: a picture drawn again has the same
    run: str
    caption: str
    seed: int
    copy: int
    stages: Dict[int, bytes]    # stage -> its PNG


class Gallery:
    """The last pictures, newest first. For any number of threads."""

    def __init__(
            self,
            size,             # pictures kept
    ):
        self._size = size
        self._lock = threading.Lock()
        self._pictures = OrderedDict()

    def add(
            self,
            pictures,         # [Picture], the first of which is shown first
    ):
        with self._lock:
            for picture in reversed(pictures):
                self._pictures[picture.id] = picture
                self._pictures.move_to_end(picture.id)
            while len(self._pictures) > self._size:
                self._pictures.popitem(last=False)

    def get(self, id):
        """The `Picture`, or None where it is not there or no more."""
        with self._lock:
            return self._pictures.get(id)

    def recent(self):
        """[Picture], newest first."""
        with self._lock:
            return list(reversed(self._pictures.values()))
