"""The line between workers: who is missing, silent, slow or different, and how all end."""

import random
import socket
import threading
import time

import pytest

from stackgan.errors import InputError, StackganError
from stackgan.platforms.rendezvous import Place, first_node, from_environment
from stackgan.platforms.worker_channel import Channel, Follower
from stackgan.platforms.worker_leader import Leader

SLURM = {'SLURM_STEP_ID': '0', 'SLURM_PROCID': '3', 'SLURM_NTASKS': '8', 'SLURM_JOB_ID': '12345',
         'SLURM_JOB_NODELIST': 'gpu[07-08],login1', 'SLURM_TASKS_PER_NODE': '4(x2)',
         'SLURM_LOCALID': '3'}
OWN = {'STACKGAN_WORKERS': '4', 'STACKGAN_WORKER_ADDRESS': 'train-0.train:20000'}


@pytest.mark.parametrize('environ, place', [
    ({}, None),
    (dict(OWN, JOB_COMPLETION_INDEX='2'), Place(2, 4, 'train-0.train', 20000)),
    (dict(OWN, STACKGAN_WORKER_RANK='1', JOB_COMPLETION_INDEX='2', STACKGAN_WORKERS_HERE='4',
          STACKGAN_WORKER_LOCAL_RANK='1'), Place(1, 4, 'train-0.train', 20000, '', 4, 1)),
    ({'STACKGAN_WORKERS': '1'}, None),
    (SLURM, Place(3, 8, 'gpu07', 20000 + 2345, '12345', 4, 3)),
    (dict(SLURM, SLURM_NTASKS='1', SLURM_PROCID='0'), None),
    ({name: SLURM[name] for name in SLURM if name != 'SLURM_STEP_ID'}, None)])    # of sbatch
def test_place_in_the_environment(environ, place):
    assert from_environment(environ) == place


@pytest.mark.parametrize('environ, text', [
    (dict(OWN, STACKGAN_WORKER_RANK='4'), "STACKGAN_WORKER_RANK is '4'; must be .* 0 to 3"),
    (dict(OWN, STACKGAN_WORKER_RANK='0', STACKGAN_WORKER_ADDRESS='here'), 'must be HOST:PORT'),
    (OWN, "JOB_COMPLETION_INDEX is ''"),
    ({'STACKGAN_WORKERS': '-1'}, "STACKGAN_WORKERS is '-1'"),
    (dict(SLURM, SLURM_JOB_NODELIST='[1-2]'), 'must be a list of nodes')])
def test_an_environment_that_contradicts_itself(environ, text):
    with pytest.raises(InputError, match=text):
        from_environment(environ)


@pytest.mark.parametrize('nodes, name', [
    ('n1', 'n1'), ('n1,n2', 'n1'), ('node[01-04,07]', 'node01'), ('a-[9,11]-b,c', 'a-9-b')])
def test_first_node(nodes, name):
    assert first_node(nodes) == name


class Ended:
    """What `leave` is called with, in the place of the end of the process."""

    def __init__(self):
        self.calls, self.event = [], threading.Event()

    def __call__(self, text, code):
        self.calls.append((text, code))
        self.event.set()

    def wait(self):
        assert self.event.wait(10)
        return self.calls[0]


class Three:
    """Three workers in one process."""

    def __init__(self, timeout=20.0, settings=('a', 'a')):
        self.ends = [Ended() for _ in range(3)]
        self.leader = Leader(Place(0, 3, '127.0.0.1', 0, 'secret'), timeout, 'a', self.ends[0])
        self.followers = [
            Follower(Place(rank, 3, '127.0.0.1', self.leader.port, 'secret'), timeout, each,
                     self.ends[rank]) for rank, each in enumerate(settings, 1)]

    def gather(self):
        self.leader.gather()
        for each in self.followers:
            each.gather()
        return self


@pytest.fixture
def three():
    found = Three().gather()
    yield found
    found.leader.end(0)


def test_all_know_all_addresses_and_the_step(three):
    addresses = three.leader.addresses
    assert len(set(addresses)) == 3 and all(each.startswith('127.0.0.1:') for each in addresses)
    assert [each.addresses for each in three.followers] == [addresses] * 2
    three.leader.share_step(7)
    assert [each.share_step(0) for each in three.followers] == [7, 7]


def test_the_end_of_worker_0_is_that_of_all(three):
    three.leader.end(130)
    assert [each.wait() for each in three.ends[1:]] == [('', 130)] * 2


def test_nobody_is_accepted_after_the_end():
    """A worker may look for the worker 0 of the next job while this process is still there."""
    leader = Leader(Place(0, 2, '127.0.0.1', 0), 20.0, 'a')
    leader.end(0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(('127.0.0.1', leader.port))


def test_one_that_comes_when_nothing_was_to_do_ends_as_well():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    leader, end = Leader(Place(0, 2, '127.0.0.1', port), 20.0, 'a'), Ended()
    threading.Timer(0.5, lambda: Follower(Place(1, 2, '127.0.0.1', port), 20.0, 'a', end)).start()
    leader.end(0)
    assert end.wait() == ('', 0)


@pytest.mark.parametrize('phase, code', [(2, 0), (4, 1)])
def test_one_of_another_job_of_the_chain(phase, code):
    """Late ones go on to the next job; one that is ahead begins again."""
    leader, end = Leader(Place(0, 2, '127.0.0.1', 0, phase=3), 5.0, 'a'), Ended()
    Follower(Place(1, 2, '127.0.0.1', leader.port, phase=phase), 5.0, 'b', end)
    assert end.wait()[1] == code
    assert not leader.peers and not leader.refused
    leader.end(0)


def unused_port():
    """Below those that the kernel gives away, so that no other process takes it meanwhile."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as free:
            if free.connect_ex(('127.0.0.1', port)) != 0:
                return port


def test_the_port_for_gradients_can_be_chosen(three):
    port = unused_port()
    found = Channel(Place(1, 2, '127.0.0.1', 1, own_port=port), 1.0, '')
    assert found.hold_port() == port
    with pytest.raises(StackganError, match=f'cannot listen on port {port}: Address already'):
        with socket.socket() as other:
            found.release_port()
            other.bind(('', port))
            other.listen(1)
            found.hold_port()


def test_a_lost_worker_is_named_and_ends_the_others(three):
    three.followers[1].line.close()
    text, code = three.ends[0].wait()
    assert text.startswith('worker 2 on ') and 'is gone' in text and code == 1
    assert three.ends[1].wait() == ('', 1)


def test_a_lost_worker_0_is_named_once(three):
    for peer in three.leader.peers.values():
        peer.line.close()
    found = sorted(each.wait() for each in three.ends[1:])
    assert found[0] == ('', 1) and found[1][0].startswith('worker 0 on 127.0.0.1 is gone')


def test_a_failure_is_told_with_its_exit_code(three):
    threading.Thread(target=three.followers[0].fail, args=('no such file', 2), daemon=True).start()
    text, code = three.ends[0].wait()
    assert text.startswith('worker 1 on ') and text.endswith(': no such file') and code == 2


def test_a_silent_worker_is_named():
    three = Three(timeout=1.0).gather()
    three.followers[0].is_over = True                  # it sends no more beats
    text, _ = three.ends[0].wait()
    assert text.startswith('worker 1 on ') and 'has not answered for 1 s' in text


def test_a_worker_that_the_others_wait_for_is_named():
    three = Three(timeout=1.5).gather()
    three.leader.share_step(0)
    for each in (three.leader, three.followers[0]):
        each.advance()
    text, _ = three.ends[0].wait()
    assert text.startswith('worker 2 on ') and 'made no progress for 1.5 s' in text


def test_no_progress_is_expected_before_and_after_the_steps():
    three = Three(timeout=1.0).gather()
    time.sleep(2.0)
    three.leader.share_step(0)
    three.leader.rest()
    time.sleep(2.0)
    assert not any(each.calls for each in three.ends)
    three.leader.end(0)


def test_other_parameters_are_named_with_the_step(three):
    names = ['a', 'b']
    three.followers[0].compare(5, names, [1, 2])
    three.followers[1].compare(5, names, [1, 2])
    three.leader.compare(5, names, [1, 2])
    three.followers[0].compare(6, names, [1, 2])
    three.followers[1].compare(6, names, [1, 3])
    with pytest.raises(StackganError, match=r'worker 2 on .* at step 6: 1 of 2 .* the first is b'):
        three.leader.compare(6, names, [1, 2])


def test_another_configuration_is_refused():
    three = Three(settings=('a', 'b'))
    with pytest.raises(InputError, match='worker 2 on .* has another configuration'):
        three.leader.gather()
    three.leader.end(2)


def test_a_stranger_is_not_admitted():
    leader = Leader(Place(0, 2, '127.0.0.1', 0, 'secret'), 1.0, 'a')
    end = Ended()
    Follower(Place(1, 2, '127.0.0.1', leader.port, 'guess'), 5.0, 'a', end)
    with pytest.raises(StackganError, match=r'1 of 2 workers have not come within 1 s .*: 1;'):
        leader.gather()
    assert end.wait()[1] == 1
    leader.end(1)


def test_a_worker_0_that_is_not_there_is_named():
    with pytest.raises(StackganError, match='cannot reach worker 0 at 127.0.0.1:9 within 0.3 s'):
        Follower(Place(1, 2, '127.0.0.1', 9), 0.3, 'a')
