"""What workers sum: batch norm of their own rows, penalties, overflows, by gRPC or NCCL."""

import numpy as np
import pytest
import small_networks
import tensorflow.compat.v1 as tf
from toy import tiny_config
from worker_toy import Alone, engines, session_options, together

from stackgan.networks.layers import batch_norm
from stackgan.platforms.loss_scale import LossScales, with_loss_scale
from stackgan.platforms.rendezvous import Place
from stackgan.platforms.session import Resolved, join_workers
from stackgan.platforms.workers import buckets
from stackgan.training.gan_pairs import training_mode
from stackgan.training.graph import _update


class Small:
    """A network of one batch norm, by each of several workers or by one."""

    def __init__(self, workers, rows):
        self.graph = tf.Graph()
        with self.graph.as_default(), tf.device(workers.engine.device if workers else None):
            self.statistics, options = [], session_options()
            x = tf.placeholder(tf.float32, [len(rows), 3])
            with tf.variable_scope('net'):
                y = batch_norm(x, training_mode(workers, self.statistics))
            fetches = self.make(workers, x, y)
            if workers:
                workers.engine.configure(options)
            self.session = tf.Session(workers.engine.target if workers else '', config=options)
            self.session.run(tf.global_variables_initializer())
            gamma = tf.global_variables('net/gamma')[0]
            gamma.load(np.float32([1.0, 2.0, 3.0]), self.session)
            self.variables = {v.op.name: v for v in tf.global_variables()}
            self.work = lambda: self.session.run(fetches, {x: rows})


class Updated(Small):
    """Gives the normalised rows, after an update."""

    def make(self, workers, x, y):
        update = _update(tf.reduce_mean(tf.square(y)), 'net', self.statistics, tf.constant(0.1),
                         tiny_config().train, lambda optimizer: optimizer, workers, 1)
        return [y, update]


class Penalised(Small):
    """Gives a gradient penalty and its gradient by gamma: a derivative of a derivative."""

    def make(self, workers, x, y):
        slope = tf.gradients(tf.reduce_sum(tf.tanh(y)), x)[0]
        penalty = tf.reduce_mean(tf.reduce_sum(tf.square(slope), 1))
        gradient = tf.gradients(penalty, tf.global_variables('net/gamma')[0])[0]
        if workers:
            penalty, gradient = workers.means([penalty, gradient])
        return [penalty, gradient]


ROWS = np.random.RandomState(0).randn(8, 3).astype(np.float32) * 2 + 1


def small(kind, synchronised=True, by_nccl=False):
    return [kind(workers, ROWS[2 * workers.rank:2 * workers.rank + 2])
            for workers in engines(4, synchronised, by_nccl)]


def test_own_statistics():
    """Each worker normalises by its own rows; the moving statistics are means over the workers."""
    found = small(Updated, synchronised=False)
    outputs = together([each.work for each in found])
    values = [each.session.run(each.variables) for each in found]
    assert np.allclose(values[0]['net/moving_mean'], 0.1 * ROWS.mean(0), atol=1e-5)
    for rows, _ in outputs:                                # two rows: one above, one below
        assert np.allclose(np.abs(rows), [[1, 2, 3]] * 2, rtol=1e-2)
    for name in ('net/moving_mean', 'net/moving_variance', 'net/beta', 'net/gamma'):
        assert np.array_equal(values[0][name], values[1][name])


def test_a_gradient_penalty_is_that_of_one_worker():
    want = Penalised(None, ROWS).work()
    for found in together([each.work for each in small(Penalised)]):
        assert np.allclose(found[0], want[0], rtol=1e-4)
        assert np.allclose(found[1], want[1], rtol=1e-3, atol=1e-4 * np.abs(want[1]).max())


class Scaled:
    """One weight with loss scaling, as float16 has it."""

    def __init__(self, workers):
        graph, options = tf.Graph(), session_options()
        with graph.as_default(), tf.device(workers.engine.device):
            factors, self.step = small_networks.two_networks(
                lambda optimizer: with_loss_scale(workers.reducing(optimizer, 1), None))
            workers.engine.configure(options)
            self.session = tf.Session(workers.engine.target, config=options)
            self.session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
            self.weight = tf.trainable_variables()[0]
        self.factors, self.scales = factors, LossScales(graph)

    def make(self, factor):
        self.session.run(self.step, {self.factors[0]: factor, self.factors[1]: 1.0})
        return self.session.run(self.weight), self.scales.state(self.session)['discriminator'][0]


def test_an_overflow_of_one_worker_is_one_of_all():
    first, second = [Scaled(workers) for workers in engines(2)]
    found = together([lambda: [first.make(1.0), first.make(1.0)],
                      lambda: [second.make(1e38), second.make(1.0)]])
    for each in found:
        assert each[0] == (1.0, 2.0 ** 14)                  # skipped, and the scale is halved
        assert abs(each[1][0] - 0.5) < 1e-6 and each[1][1] == 2.0 ** 14


def test_one_worker_has_no_operation_for_others():
    operations = Updated(None, ROWS).graph.get_operations()
    kinds = {each.type for each in operations}
    assert 'FusedBatchNormV3' in kinds
    assert not any('Collective' in kind for kind in kinds)


@pytest.mark.parametrize('device, sums, by_nccl', [
    ('gpu', 'nccl', True), ('gpu', 'grpc', False), ('cpu', 'nccl', False)])
def test_only_gpus_sum_by_nccl_and_only_where_asked_to(device, sums, by_nccl):
    channel = Alone(Place(0, 1, '127.0.0.1', 0), 60.0, '')
    channel.addresses = [f'127.0.0.1:{channel.hold_port()}']
    channel.gather = lambda: None
    workers = join_workers(channel, tiny_config(f'platform.worker_sums={sums}').platform,
                           Resolved(device, 1))
    options = session_options()
    workers.engine.configure(options)
    assert options.experimental.collective_nccl == by_nccl


def test_sums_are_the_same_in_the_order_that_nccl_needs():
    """TensorFlow without NCCL then sums over gRPC."""
    plain, ordered = [together([each.work for each in small(Penalised, by_nccl=by_nccl)])
                      for by_nccl in (False, True)]
    for found, want in zip(ordered, plain):
        assert all(np.array_equal(a, b) for a, b in zip(found, want))


def test_buckets_begin_with_the_last():
    assert buckets([4, 4, 4], 8) == [[2, 1], [0]]
    assert buckets([1, 9, 1, 1], 8) == [[3, 2], [1], [0]]
    assert buckets([], 8) == []
