"""Several workers that train together, each on its rows of every batch: what the graph needs.

One worker has no `Workers` (None): its graph then has no operation more than without this module.
With several, losses are means over the workers' losses. So a gradient is the sum over workers of
each one's gradient of the sum of all losses, divided by their number; that holds for whatever
reaches the others through `sum` as well.
"""

import atexit
import itertools
import zlib
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.platforms.loss_scale import LossScales
from stackgan.platforms.worker_channel import Channel

BUCKET_BYTES = 16 << 20          # of gradients that are summed together
OWN_STEP = 0                     # `network` of what is no gradient


class Engine:
    """What sums tensors over workers."""

    target = ''                  # of tf.Session
    device: Optional[str] = None     # for the whole graph; None: TensorFlow's choice

    def all_reduce(
            self,
            x: tf.Tensor,        # of one shape on all workers, at least one-dimensional
            network: int,        # of whose gradients it is: 1, 2, ...; 0: it is no gradient
    ) -> tf.Tensor:
        """The sum over workers, the same bits on each."""
        raise NotImplementedError

    def broadcast(
            self,
            variables: Sequence[Any],
    ) -> tf.Operation:
        """Gives the variables the values that they have on worker 0."""
        raise NotImplementedError

    def configure(self, config: tf.ConfigProto) -> None:
        """Adds to the options of a session what this needs."""


class Collectives(Engine):
    """TensorFlow's collective operations, over gRPC or by NCCL.

    CollectiveReduce of version 1 is in TensorFlow 1.15 as in 2.21.
    """

    def __init__(
            self,
            addresses: Sequence[str],      # host:port of each worker, by rank
            rank: int,
            config: tf.ConfigProto,        # of the session
            by_nccl: bool = False,         # tensors on GPUs; TensorFlow then starts sums in one
                                           # order on all workers, without which NCCL would hang
    ) -> None:
        self.rank, self.size, self.by_nccl = rank, len(addresses), by_nccl
        self.device = f'/job:worker/task:{rank}'
        self._keys = itertools.count(1)    # the order of building is the same on every worker
        self.configure(config)
        self.server = tf.train.Server({'worker': list(addresses)}, 'worker', rank, config=config)
        self.target = self.server.target
        atexit.register(self.close)        # else it complains when Python itself is torn down

    def close(self) -> None:
        """Lets go of the server, which ends with the process."""
        self.server = None

    def configure(self, config: tf.ConfigProto) -> None:
        config.isolate_session_state = True
        config.device_filters.append(f'/job:worker/task:{self.rank}')
        config.experimental.collective_group_leader = '/job:worker/replica:0/task:0'
        config.experimental.collective_nccl = self.by_nccl

    def all_reduce(self, x: tf.Tensor, network: int) -> tf.Tensor:
        return tf.raw_ops.CollectiveReduce(
            input=x, group_size=self.size, group_key=1, instance_key=next(self._keys),
            merge_op='Add', final_op='Id', subdiv_offsets=[0], wait_for=[],
            communication_hint='auto')

    def broadcast(self, variables: Sequence[Any]) -> tf.Operation:
        """As a sum of which all others' parts are zero, which changes no value."""
        updates = []
        for each in variables:
            value = tf.reshape(each.read_value(), [-1])
            own = value if self.rank == 0 else tf.zeros_like(value)
            updates.append(each.assign(tf.reshape(self.all_reduce(own, OWN_STEP), each.shape)).op)
        return tf.group(*updates)


class Workers:
    """This worker among the others."""

    def __init__(
            self,
            channel: Channel,              # to the others; all have begun
            engine: Engine,
            synchronised: bool = True,     # batch norm over the global batch
            check_every_steps: int = 1000,     # steps between comparisons of the parameters
    ) -> None:
        self.channel, self.engine = channel, engine
        self.rank, self.size = channel.rank, channel.size
        self.synchronised, self.check_every_steps = synchronised, check_every_steps
        self.stops = False                 # whether a worker had a stop request before this step
        self._stop: Any = None             # placeholder
        self._totals: Any = None
        self._names: List[str] = []

    # The graph.

    def device(self) -> Any:
        """The scope in which the graph is built."""
        return tf.device(self.engine.device)

    def sum(self, x: tf.Tensor) -> tf.Tensor:
        """The sum over workers. Its gradient is the sum of theirs, and can be derived again."""
        def total(value: tf.Tensor) -> Tuple[tf.Tensor, Any]:
            return self.engine.all_reduce(value, OWN_STEP), self.sum

        return tf.custom_gradient(total)(x)

    def mean(self, x: tf.Tensor) -> tf.Tensor:
        """The mean over workers, with its gradient; of scalars too."""
        return tf.reshape(self.sum(tf.reshape(x, [-1])) / self.size, x.shape)

    def gather(
            self,
            x: tf.Tensor,        # [...]
    ) -> tf.Tensor:
        """[workers, ...]: each worker's, with its gradient."""
        flat = tf.reshape(x, [1, -1])            # TensorFlow 1.15 pads six dimensions at most
        everyones = self.sum(tf.pad(flat, [[self.rank, self.size - 1 - self.rank], [0, 0]]))
        return tf.reshape(everyones, [self.size] + x.shape.as_list())

    def all_rows(
            self,
            x: tf.Tensor,        # [N, ...]: this worker's rows
    ) -> tf.Tensor:
        """[N * workers, ...]: the rows of the global batch."""
        shape = x.shape.as_list()
        return tf.reshape(self.gather(x), [self.size * shape[0]] + shape[1:])

    def own_rows(
            self,
            x: tf.Tensor,        # [N * workers, ...]
    ) -> tf.Tensor:
        """[N, ...]: those of this worker."""
        count = x.shape.as_list()[0] // self.size
        return x[self.rank * count:(self.rank + 1) * count]

    def means(
            self,
            tensors: Sequence[tf.Tensor],
    ) -> List[tf.Tensor]:
        """The mean over workers of each, without gradients, by one operation."""
        if not tensors:
            return []
        flat = tf.concat([tf.reshape(each, [-1]) for each in tensors], 0)
        return _unpacked(self.engine.all_reduce(flat, OWN_STEP) / self.size, tensors)

    def reducing(
            self,
            optimizer: tf.train.Optimizer,
            network: int,        # a number of its own for each network: 1, 2, ...
    ) -> tf.train.Optimizer:
        """The optimiser with gradients averaged over workers."""
        return _Reducing(optimizer, self, network)

    def mean_gradients(self, gradients: List[tf.Tensor], network: int) -> List[tf.Tensor]:
        """In buckets: the last layers' gradients, which come first, travel while others are made.
        """
        found: List[Any] = [None] * len(gradients)
        for bucket in buckets([_bytes(each) for each in gradients], BUCKET_BYTES):
            chosen = [gradients[i] for i in bucket]
            flat = tf.concat([tf.reshape(each, [-1]) for each in chosen], 0)
            mean = self.engine.all_reduce(flat, network) / self.size
            for i, value in zip(bucket, _unpacked(mean, chosen)):
                found[i] = value
        return found

    def averaged(self, losses: Dict[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
        """The losses averaged over workers; whether one is to stop travels with them."""
        self._names = sorted(losses)
        self._stop = tf.placeholder(tf.float32, [], 'stop_request')
        self._totals = self.engine.all_reduce(
            tf.stack([losses[name] for name in self._names] + [self._stop]), OWN_STEP)
        return {name: self._totals[i] / self.size for i, name in enumerate(self._names)}

    # The session.

    def align(self, session: tf.Session, step: int) -> int:
        """Gives every worker the variables of worker 0 and its step, which is returned.

        Loss scales too, which worker 0 has from its checkpoint: with different ones the sum of
        gradients would be nobody's.
        """
        scales = [each for scaled in LossScales(tf.get_default_graph()).scaled
                  for each in (scaled.scale, scaled.good_steps)]
        self._run(session, self.engine.broadcast(
            sorted(tf.global_variables(), key=lambda each: each.op.name) + scales), {})
        return self.channel.share_step(step)

    def step(self, session: tf.Session, update: tf.Operation, feed: Dict[Any, Any],
             stop_requested: bool) -> Dict[str, float]:
        """Makes a step and returns the losses; sets `stops`."""
        _, totals = self._run(session, [update, self._totals],
                              {**feed, self._stop: float(stop_requested)},
                              (tf.errors.ResourceExhaustedError,))      # the loop explains it
        self.stops = bool(totals[-1] > 0)
        return {name: float(value) / self.size for name, value in zip(self._names, totals)}

    def compare(self, session: tf.Session, step: int) -> None:
        """Raises StackganError, on worker 0, where workers have parameters that differ in a bit."""
        variables = sorted(tf.global_variables(), key=lambda each: each.op.name)
        digests = [zlib.crc32(np.ascontiguousarray(value)) & 0xffffffff
                   for value in session.run([each.read_value() for each in variables])]
        self.channel.compare(step, [each.op.name for each in variables], digests)

    def _run(self, session: tf.Session, fetches: Any, feed: Dict[Any, Any],
             passed: Tuple[Any, ...] = ()) -> Any:
        self.channel.advance()
        try:
            return session.run(fetches, feed)
        except passed:
            raise
        except tf.errors.OpError as error:
            self.channel.explain(error)
        finally:
            self.channel.advance()


class _Reducing(tf.train.Optimizer):
    """Another optimiser, with gradients averaged over workers between computing and applying."""

    def __init__(self, inner: tf.train.Optimizer, workers: Workers, network: int) -> None:
        super().__init__(use_locking=False, name='reducing')
        self.inner, self.workers, self.network = inner, workers, network

    def compute_gradients(self, *arguments: Any, **options: Any) -> List[Tuple[Any, Any]]:
        pairs = self.inner.compute_gradients(*arguments, **options)
        means = self.workers.mean_gradients([gradient for gradient, _ in pairs], self.network)
        return [(mean, variable) for mean, (_, variable) in zip(means, pairs)]

    def apply_gradients(self, pairs: List[Tuple[Any, Any]], global_step: Any = None,
                        name: Optional[str] = None) -> tf.Operation:
        return self.inner.apply_gradients(pairs, global_step, name)

    def _create_slots(self, variables: List[Any]) -> None:
        self.inner._create_slots(variables)


def buckets(
        sizes: Sequence[int],    # of tensors, in the order in which they are used
        limit: int,              # of a bucket; one that is larger has a bucket of its own
) -> List[List[int]]:
    """Indices of tensors to put together, the last ones first."""
    found: List[List[int]] = []
    room = 0
    for i in reversed(range(len(sizes))):
        if not found or sizes[i] > room:
            found.append([])
            room = limit
        found[-1].append(i)
        room -= sizes[i]
    return found


def _bytes(x: tf.Tensor) -> int:
    return x.shape.num_elements() * x.dtype.size


def _unpacked(flat: tf.Tensor, like: Sequence[tf.Tensor]) -> List[tf.Tensor]:
    parts = tf.split(flat, [each.shape.num_elements() for each in like])
    return [tf.reshape(part, each.shape) for part, each in zip(parts, like)]
