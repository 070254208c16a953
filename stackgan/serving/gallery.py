"""Recent images, kept in memory."""

import threading
from collections import OrderedDict
from typing import Any, Dict, List, NamedTuple, Optional, Sequence


class GeneratedImage(NamedTuple):
    """A generated image."""

    id: str                 # a digest of all it depends on: generating it again gives the same
    run: str
    caption: str
    seed: int
    copy: int
    stages: Dict[int, bytes]    # stage -> its PNG
    more: Dict[str, Any] = {}   # what was asked besides: other ends, position, truncation


class Gallery:
    """The newest images, newest first. Thread-safe."""

    def __init__(
            self,
            size: int,  # images kept
    ) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._images: 'OrderedDict[str, GeneratedImage]' = OrderedDict()

    def add(
            self,
            images: Sequence[GeneratedImage],  # the first of them is shown first
    ) -> None:
        with self._lock:
            for image in reversed(images):
                self._images[image.id] = image
                self._images.move_to_end(image.id)
            while len(self._images) > self._size:
                self._images.popitem(last=False)

    def get(self, id: str) -> Optional[GeneratedImage]:
        """The image, or None where it is not kept."""
        with self._lock:
            return self._images.get(id)

    def recent(self) -> List[GeneratedImage]:
        """Newest first."""
        with self._lock:
            return list(reversed(self._images.values()))
