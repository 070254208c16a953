"""Training of one network by one loss, with Adam along a half cosine: text encoder, scorer."""

from contextlib import closing
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import tensorflow.compat.v1 as tf

from stackgan.networks.layers import BATCH_NORM_DECAY
from stackgan.platforms.session import on_host, open_session
from stackgan.prefetch import prefetch
from stackgan.training.loop import run
from stackgan.training.schedule import half_cosine
from stackgan.training.trainable import Feeds, Plan, Trainable

LOG_EVERY_STEPS = 10
KEPT_CHECKPOINTS = 2
PREFETCHED = 2               # batches made ahead


class Network(NamedTuple):
    """A step as a graph."""

    graph: tf.Graph
    learning_rate: Any       # placeholder, scalar
    loss: Any                # of the batch before the update
    update: Any              # one step of Adam and of the batch norms' moving statistics


def network_of(
        loss: Any,                             # scalar, in the default graph
        statistics: List[Tuple[Any, Any]],     # of the `ForwardMode` through the network
) -> Network:
    """`Network` that minimises a loss."""
    rate = tf.placeholder(tf.float32, [], 'learning_rate')
    update = tf.group(
        tf.train.AdamOptimizer(rate).minimize(loss),
        *[moving.assign_sub((1.0 - BATCH_NORM_DECAY) * (moving - value))
          for moving, value in statistics])
    return Network(tf.get_default_graph(), rate, loss, update)


class SingleLoss(Trainable):
    """A network and the batches it learns from."""

    def __init__(
            self,
            plan: Plan,
            network: Network,
            learning_rate: float,                       # at the start
            feed: Callable[[int], Dict[Any, Any]],      # step (0-based) -> its batch, to be fed
    ) -> None:
        self.plan, self.network = plan, network
        self.initial_rate, self.feed = learning_rate, feed
        self.update, self.losses = network.update, {'loss': network.loss}
        self.last_loss = 0.0

    def feeds(self, first: int) -> Feeds:
        feeds = prefetch((self.feed(step) for step in range(first, self.plan.steps)),
                         PREFETCHED)
        with closing(feeds):
            for step, feed in enumerate(feeds, first):
                feed[self.network.learning_rate] = self._rate(step)
                yield feed

    def _rate(self, step: int) -> float:
        return half_cosine(self.initial_rate, step, self.plan.steps)

    def count(self, losses: Dict[str, float]) -> None:
        self.last_loss = losses['loss']

    def note(self, losses: Dict[str, float]) -> str:
        return f"loss {losses['loss']:.4f}"

    def summary(self, step: int, rate: float) -> Dict[str, float]:
        return {'loss': self.last_loss, 'learning_rate': self._rate(step - 1),
                f'{self.plan.unit}_per_second': round(rate, 1)}

    def facts(self) -> Dict[str, Any]:
        return {'loss': self.last_loss}


def plan_of(
        label: str,          # of the progress bar
        unit: str,           # what a batch is made of, plural
        section: str,        # of the configuration
        settings: Any,       # that section
        batch_size: int,
        images: int,         # that are learned from
) -> Plan:
    """The `Plan` of a training by a section's `steps` and `checkpoint_every_steps`."""
    return Plan(label, unit, batch_size, settings.steps, -(-images // batch_size), LOG_EVERY_STEPS,
                None, settings.checkpoint_every_steps, KEPT_CHECKPOINTS,
                f'{section}.steps={settings.steps}', f'Lower {section}.learning_rate')


def train(
        trainable: SingleLoss,
        folder: str,         # gets stats.jsonl and checkpoints/; may hold an unfinished training
        platform: Any,       # the `platform` section
        stop: Any,           # `deferred()` and `requested`, as jobs.engine.signals.Stop
) -> str:
    """Trains to the end and returns the path of the last checkpoint. Raises as `loop.run`."""
    graph = trainable.network.graph
    with graph.as_default(), open_session(on_host(platform), graph) as session:
        return run(trainable, folder, session, stop)
