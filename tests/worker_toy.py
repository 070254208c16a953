"""Several workers in one process, for tests: each a thread with a server of its own."""

import threading

import tensorflow.compat.v1 as tf

from stackgan.platforms.rendezvous import Place
from stackgan.platforms.worker_channel import Channel
from stackgan.platforms.workers import Collectives, Workers


class Alone(Channel):
    """The end of a line that leads nowhere: all workers are in one process."""

    def compare(self, step, names, digests):
        self.digests = digests

    def share_step(self, step):
        return step


def session_options():
    return tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)


def engines(size, synchronised=True, by_nccl=False):
    """[Workers] by rank, all in this process."""
    channels = [Alone(Place(rank, size, '127.0.0.1', 0), 60.0, '') for rank in range(size)]
    addresses = [f'127.0.0.1:{each.hold_port()}' for each in channels]
    for each in channels:
        each.release_port()
    return [Workers(each, Collectives(addresses, each.rank, session_options(), by_nccl),
                    synchronised)
            for each in channels]


def together(works):
    """Does all at once; returns their results."""
    results = [None] * len(works)

    def work(i):
        results[i] = works[i]()

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert None not in results
    return results
