"""What loss scaling came to: the scales, and the steps that overflowed and were skipped."""

import logging
from typing import Dict

import tensorflow.compat.v1 as tf

from stackgan.errors import StackganError

logger = logging.getLogger(__name__)

MINIMUM_SCALE = 1.0                    # it falls no lower
STUCK_STEPS = 100                      # steps without an update after which a training stops
COUNTED = 'stackgan/loss_scaled'       # graph collection of optimisers, in the order of a step,
# each with `network` (its name), `scale`, `is_fixed`, `attempts` and `updates` (of this process)


class Overflows:
    """Reads loss scales and skipped steps of the networks of a graph, which may have none."""

    def __init__(
            self,
            graph: tf.Graph,
    ) -> None:
        self.scaled = graph.get_collection(COUNTED)
        self.before = [(0, 0)] * len(self.scaled)    # steps and updates at the last summary
        self.idle = [0] * len(self.scaled)           # steps since the last update

    def summary(
            self,
            session: tf.Session,
    ) -> Dict[str, float]:
        """loss_scale/<network> and skipped_steps/<network>, of the steps since the last summary.

        Raises StackganError for a network that cannot recover: its scale is fixed or at its
        minimum, and it has made no update for `STUCK_STEPS` steps.
        """
        if not self.scaled:
            return {}
        values: Dict[str, float] = {}
        now = session.run([(each.scale, each.attempts, each.updates)
                           for each in self.scaled])
        for i, (scale, attempts, updates) in enumerate(now):
            steps, made = int(attempts) - self.before[i][0], int(updates) - self.before[i][1]
            self.before[i] = int(attempts), int(updates)
            self.idle[i] = 0 if made else self.idle[i] + steps
            values[f'loss_scale/{self.scaled[i].network}'] = float(scale)
            values[f'skipped_steps/{self.scaled[i].network}'] = float(steps - made)
            self._judge(i, float(scale), steps - made, steps)
        return values

    def _judge(self, i: int, scale: float, skipped: int, steps: int) -> None:
        network, is_fixed = self.scaled[i].network, self.scaled[i].is_fixed
        if self.idle[i] >= STUCK_STEPS and (is_fixed or scale <= MINIMUM_SCALE):
            remedy = 'lower platform.loss_scale, or ' if is_fixed else ''
            raise StackganError(
                f'{network}: overflow in each of the last {self.idle[i]} steps at a loss scale of '
                f'{scale:g}, so nothing is learned; {remedy}train in float32 '
                '(platform.precision=float32)')
        if 2 * skipped > steps:
            logger.warning(f'{network}: {skipped} of {steps} steps overflowed and were skipped; '
                           f'the loss scale is {scale:g}')
