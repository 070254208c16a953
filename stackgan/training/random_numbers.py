"""Random numbers of a step, which follow from the graph's seed and the number of steps done."""

from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.training.steps_done import steps_done

Draw = Callable[[List[int], tf.Tensor], tf.Tensor]       # (shape, seed)


class RandomNumbers:
    """Drawn within the graph."""

    def seed(
            self,
            stream: int,      # another one gives other numbers, and so does a seed + a number
    ) -> Any:
        """What `uniform` and `normal` take."""
        return _seed(stream, steps_done())

    def uniform(self, shape: List[int], seed: Any) -> tf.Tensor:
        """float32 in [0, 1)."""
        return tf.random.stateless_uniform(shape, seed)

    def normal(self, shape: List[int], seed: Any) -> tf.Tensor:
        """float32 from a unit normal."""
        return tf.random.stateless_normal(shape, seed)

    def feed(
            self,
            step: int,        # the number of steps before it
    ) -> Dict[Any, np.ndarray]:
        """{placeholder: value} of a step."""
        return {}


class FedNumbers(RandomNumbers):
    """The same numbers, drawn on the host and fed.

    For an NPU: its adapter does not have these operations, and all that a step computes has to
    be in one piece on the card.
    """

    def __init__(self) -> None:
        self.host = tf.Graph()
        self.steps: Optional[tf.Tensor] = None                 # placeholder of the host
        self.draws: List[Tuple[tf.Tensor, tf.Tensor]] = []     # (placeholder, what it is fed)
        self.session: Optional[tf.Session] = None

    def seed(self, stream: int) -> 'FedSeed':
        steps_done()          # counted all the same: a CPU may go on from this checkpoint
        return FedSeed(stream, tf.get_default_graph().seed)

    def uniform(self, shape: List[int], seed: 'FedSeed') -> tf.Tensor:
        return self._fed(tf.random.stateless_uniform, shape, seed)

    def normal(self, shape: List[int], seed: 'FedSeed') -> tf.Tensor:
        return self._fed(tf.random.stateless_normal, shape, seed)

    def _fed(self, draw: Draw, shape: List[int], seed: 'FedSeed') -> tf.Tensor:
        with self.host.as_default():
            tf.set_random_seed(seed.of_graph)
            if self.steps is None:
                self.steps = tf.placeholder(tf.int64, [])
            drawn = draw(shape, _seed(seed.stream, self.steps) + seed.shift)
        holder = tf.placeholder(tf.float32, shape, f'random_numbers{len(self.draws)}')
        self.draws.append((holder, drawn))
        return holder

    def feed(self, step: int) -> Dict[Any, np.ndarray]:
        if not self.draws:
            return {}
        if self.session is None:
            self.session = tf.Session(graph=self.host, config=tf.ConfigProto(
                device_count={'GPU': 0}))
        holders, drawn = zip(*self.draws)
        return dict(zip(holders, self.session.run(drawn, {self.steps: step})))


class FedSeed:
    """A seed of `FedNumbers`."""

    def __init__(self, stream: int, of_graph: Optional[int], shift: int = 0) -> None:
        self.stream, self.of_graph, self.shift = stream, of_graph, shift

    def __add__(self, more: int) -> 'FedSeed':
        return FedSeed(self.stream, self.of_graph, self.shift + more)


def _seed(stream: int, steps: tf.Tensor) -> tf.Tensor:
    first = (tf.get_default_graph().seed or 0) + 1000003 * stream
    return tf.stack([first, tf.cast(steps, tf.int32)])
