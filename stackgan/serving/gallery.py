"""The recent images, in memory."""

import threading
from collections import OrderedDict
from typing import Dict, NamedTuple


class GeneratedImage(NamedTuple):
    """A generated image."""

    id: str                 # by what it depends on: an image sampled again has the same
    run: str
    caption: str
    seed: int
    copy: int
    stages: Dict[int, bytes]    # stage -> its PNG


class Gallery:
    """The last images, newest first. For any number of threads."""

    def __init__(
            self,
            size,             # images kept
    ):
        self._size = size
        self._lock = threading.Lock()
        self._images = OrderedDict()

    def add(
            self,
            images,         # [Image], the first of which is shown first
    ):
        with self._lock:
            for image in reversed(images):
                self._images[image.id] = image
                self._images.move_to_end(image.id)
            while len(self._images) > self._size:
                self._images.popitem(last=False)

    def get(self, id):
        """The `Image`, or None where it is not there or no more."""
        with self._lock:
            return self._images.get(id)

    def recent(self):
        """[Image], newest first."""
        with self._lock:
            return list(reversed(self._images.values()))
