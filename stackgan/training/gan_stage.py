"""A stage of the GAN as the training loop sees it: feeds, losses, samples, checkpoints' facts."""

from contextlib import closing
from typing import Any, Callable, Dict, List, Optional

import tensorflow.compat.v1 as tf

from stackgan.config.loading import to_dict
from stackgan.data.batches import Batches
from stackgan.platforms.loss_scale import LossScales
from stackgan.platforms.overflows import Overflows
from stackgan.training.observer import Observer
from stackgan.training.schedule import ema_decay, learning_rate, total_steps
from stackgan.training.trainable import Feeds, Plan, Trainable
from stackgan.types import Batch, TrainingGraph

Fill = Callable[[Any], None]        # (session): fills what comes from an earlier stage


class GanStage(Trainable):
    """Stage-I or Stage-II in training."""

    def __init__(
            self,
            stage: int,                # 1 or 2
            config: Any,               # Config
            graph: TrainingGraph,      # in the default graph
            batches: Batches,
            observer: Observer,
            warm_start: Optional[Fill],
    ) -> None:
        self.stage, self.config, self.graph = stage, config, graph
        self.settings = config.stage1 if stage == 1 else config.stage2
        self.batches, self.observer, self.warm_start = batches, observer, warm_start
        self.images, self.batch_size = len(batches.split), batches.batch_size
        self.update, self.losses = graph.step, graph.losses
        self.plan = self._plan()
        self.initial: Optional[Callable[[], Dict[str, Any]]] = None     # {name: value}, if others
        self.sums: Dict[str, float] = {}       # of the losses since the last summary
        self.counted = 0
        self.overflows = Overflows(tf.get_default_graph())
        self.loss_scales = LossScales(tf.get_default_graph())

    def _plan(self) -> Plan:
        train, epochs = self.config.train, self.settings.epochs
        return Plan(
            f'train-stage{self.stage}', 'images', self.batch_size,
            total_steps(epochs, self.images, self.batch_size),
            total_steps(1, self.images, self.batch_size),
            train.log_every_steps, train.sample_every_steps, train.checkpoint_every_steps,
            train.keep_checkpoints, f'stage{self.stage}.epochs={epochs:.6g}',
            'Lower the learning rates (train.*_learning_rate) or raise the batch size')

    def initialise(self, session: Any) -> None:
        super().initialise(session)
        if self.initial is not None:
            values = self.initial()
            variables = tf.global_variables()      # all at once: each run of a graph has its costs
            session.run([each.initializer for each in variables],
                        {each.initializer.inputs[1]: values[each.op.name] for each in variables})

    def fill(self, session: Any) -> None:
        if self.warm_start is not None:
            self.warm_start(session)
        session.run(self.graph.start_ema)

    def feeds(self, first: int) -> Feeds:
        with closing(self.batches.stream(first)) as batches:
            for step, batch in batches:
                yield self._feed(step, batch)

    def _feed(self, step: int, batch: Batch) -> Dict[Any, Any]:
        graph = self.graph
        feed = {placeholder: value for placeholder, value in zip(graph.batch, batch)
                if placeholder is not None}
        feed[graph.generator_learning_rate], feed[graph.discriminator_learning_rate] = \
            self._rates(step)
        if self.config.train.ema_decay is not None:
            feed[graph.ema_decay] = ema_decay(self.config.train.ema_decay, step)
        feed.update(graph.random_numbers(step))
        return feed

    def _rates(self, step: int) -> List[float]:
        settings = self.settings
        return [learning_rate(base, step, self.batch_size, self.images,
                              settings.learning_rate_half_life_epochs)
                for base in (settings.generator_learning_rate,
                             settings.discriminator_learning_rate)]

    def count(self, losses: Dict[str, float]) -> None:
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.counted += 1

    def note(self, losses: Dict[str, float]) -> str:
        parts = [losses[f'stage{self.stage}/{name}']
                 for name in ('discriminator', 'generator_fake', 'kl')]
        return 'D {:.2f}  G {:.2f}  KL {:.3f}'.format(*parts)

    def summary(self, step: int, rate: float) -> Dict[str, float]:
        """Mean losses since the last summary, learning rates, epoch, images a second.

        With loss scaling also the scale and the skipped steps of each network.
        """
        values = {name: total / self.counted for name, total in self.sums.items()}
        rates = self._rates(step - 1)
        values.update({
            'learning_rate/generator': rates[0], 'learning_rate/discriminator': rates[1],
            'epoch': step * self.batch_size / self.images, 'images_per_second': rate})
        self.sums, self.counted = {}, 0
        values.update(self.overflows.summary(tf.get_default_session()))
        return values

    def sample(self, session: Any) -> Callable[[str], None]:
        return self.observer.grid(session)

    def distance(self, session: Any) -> Callable[[], float]:
        return self.observer.distance(session)

    def facts(self) -> Dict[str, Any]:
        found = {'stage': self.stage, 'model': to_dict(self.config.model),
                 'unlogged': [dict(self.sums), self.counted]}
        scales = self.loss_scales.state(tf.get_default_session())
        return dict(found, loss_scale=scales) if scales else found

    def resume(self, facts: Dict[str, Any]) -> None:
        """So that the first summary after it misses no step, and float16 goes on at its scales."""
        self.sums, self.counted = facts['unlogged']
        self.loss_scales.restore(tf.get_default_session(), facts.get('loss_scale', {}))
