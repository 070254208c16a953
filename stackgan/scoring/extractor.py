"""A network that looks at images: what it wants to see, and what it gives."""

from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.config.schema import Platform
from stackgan.platforms.session import on_host, open_session, resolve
from stackgan.scoring.scorer_network import ClassifierOutputs

BATCH = 16                 # images a network sees at once; more are slower on CPUs
Fill = Callable[[tf.Session], None]      # fills the variables of the session's graph


class Extractor:
    """What all extractors have. Use as a context manager."""

    name: str                  # unique among those of a record
    classes: int               # width of the logits; 0: it is no classifier
    dim: int                   # width of the features; 0: it gives classes alone
    facts: Dict[str, Any]      # everything that changes what it gives

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """What `run` takes of an image [H, W, 3] uint8; any thread may call it."""
        raise NotImplementedError

    def run(
            self,
            prepared: List[np.ndarray],    # N images, each as `prepare` gives it
    ) -> Tuple[np.ndarray, np.ndarray]:
        """(logits [N, classes] float32, features [N, dim] float32)."""
        raise NotImplementedError

    def close(self) -> None:
        """Gives back what it holds."""

    def __enter__(self) -> 'Extractor':
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self.close()


class GraphExtractor(Extractor):
    """A network on a TensorFlow session of its own."""

    def __init__(
            self,
            name: str,
            prepare: Callable[[np.ndarray], np.ndarray],
                                           # an image [H, W, 3] uint8 -> what `images` takes of it
            images: tf.Tensor,             # placeholder [BATCH, ...]
            outputs: ClassifierOutputs,    # logits is None where the network is no classifier
            fill: Fill,
            platform: Platform,
            facts: Dict[str, Any],         # all else that changes what it gives
    ) -> None:
        self.name, self.preprocess, self.images, self.outputs = name, prepare, images, outputs
        self.classes = outputs.logits.shape.as_list()[1] if outputs.logits is not None else 0
        self.dim = outputs.features.shape.as_list()[1]
        platform = on_host(platform)       # in the precision that the record names
        self.facts = dict(facts, extractor=name, precision=resolve(platform).graph_dtype)
        self.session = open_session(platform, images.graph)
        try:
            fill(self.session)
        except BaseException:
            self.session.close()
            raise

    def close(self) -> None:
        self.session.close()

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return self.preprocess(pixels)

    def run(self, prepared: List[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
        logits = np.empty((len(prepared), self.classes), np.float32)
        features = np.empty((len(prepared), self.dim), np.float32)
        for start in range(0, len(prepared), BATCH):
            part = prepared[start:start + BATCH]
            count = len(part)
            feed = {self.images: np.stack(part + [part[0]] * (BATCH - count))}
            wanted = [tensor for tensor in self.outputs if tensor is not None]
            done = self.session.run(wanted, feed)
            features[start:start + count] = done[-1][:count]
            if self.classes:
                logits[start:start + count] = done[0][:count]
        return logits, features
