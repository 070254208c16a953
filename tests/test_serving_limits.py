"""What bounds `serve`: rates, the queue, images and models that are kept."""

import shutil
import threading

import pytest
from serve_toy import RUN
from serving_client import client_of, generate

from stackgan.serving.gallery import Gallery, GeneratedImage
from stackgan.serving.limits import Limits, Rates
from stackgan.serving.queue import GenerationQueue
from stackgan.serving.refusals import Refusal

pytestmark = pytest.mark.usefixtures('workers_end')


def test_rates_by_address():
    now = [0.0]
    rates = Rates(Limits(rate=2, rate_seconds=10, addresses=2), lambda: now[0])
    rates.admit('a')
    now[0] = 4.0
    rates.admit('a')
    rates.admit('b')
    with pytest.raises(Refusal, match='limit: 2 in 10 s.; try again in 6 s') as refused:
        rates.admit('a')
    assert (refused.value.status, refused.value.retry_after) == (429, 6)
    now[0] = 10.5
    rates.admit('a')                                            # its first is forgotten
    rates.admit('c')                                            # and with it all of b, the oldest
    assert set(rates._times) == {'a', 'c'}


def test_a_mistake_costs_nothing(volume):
    client = client_of(volume, rate=1)
    assert generate(client, caption='').status_code == 400
    assert client.post('/api/generate', json={'run': 'x', 'caption': 'a'}).status_code == 404
    assert generate(client).status_code == 200
    answer = generate(client)
    assert answer.status_code == 429 and 0 < int(answer.headers['Retry-After']) <= 60


class Gate:
    """A slow generating, named fake: waits until it is let through."""

    def __init__(self):
        self.began, self.open, self.generated = threading.Semaphore(0), threading.Event(), []

    def generate(self, asked):
        self.began.release()
        assert self.open.wait(30)
        self.generated.append(asked)
        return asked


def in_threads(call, values):
    """Starts `call` for each value; (threads, outcomes by value)."""
    outcomes = {}

    def run(value):
        try:
            outcomes[value] = call(value)
        except Refusal as refusal:
            outcomes[value] = refusal

    threads = [threading.Thread(target=run, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    return threads, outcomes


def test_the_queue_is_bounded_and_draws_one_at_a_time():
    gate = Gate()
    queue = GenerationQueue(gate.generate, Limits(queue=2, seconds=30))
    threads, outcomes = in_threads(queue.generate, ['first'])
    assert gate.began.acquire(timeout=30)
    more, more_outcomes = in_threads(queue.generate, ['second'])
    while len(queue) < 2:
        pass
    with pytest.raises(Refusal, match='Too many requests') as refused:
        queue.generate('third')
    assert refused.value.status == 503 and refused.value.retry_after
    assert not gate.began.acquire(blocking=False)                # the second has not begun
    gate.open.set()
    for thread in threads + more:
        thread.join()
    assert outcomes == {'first': 'first'} and more_outcomes == {'second': 'second'}
    assert gate.generated == ['first', 'second'] and len(queue) == 0


def test_what_takes_too_long_is_given_up():
    gate = Gate()
    queue = GenerationQueue(gate.generate, Limits(seconds=0.05))
    for caption in ('under way', 'waiting'):
        with pytest.raises(Refusal, match='longer than 0.05 seconds') as refused:
            queue.generate(caption)
        assert refused.value.status == 503
    gate.open.set()
    queue.close(30)
    assert gate.generated == ['under way']                           # the other was never begun


def test_closing_finishes_what_is_under_way_and_refuses_the_rest():
    gate = Gate()
    queue = GenerationQueue(gate.generate, Limits(seconds=30))
    threads, outcomes = in_threads(queue.generate, ['under way'])
    assert gate.began.acquire(timeout=30)
    waiting, waited = in_threads(queue.generate, ['waiting'])
    while len(queue) < 2:
        pass
    threading.Timer(0.1, gate.open.set).start()
    queue.close(30)
    for thread in threads + waiting:
        thread.join()
    assert outcomes == {'under way': 'under way'} and gate.generated == ['under way']
    assert waited['waiting'].status == 503
    with pytest.raises(Refusal, match='is stopping'):
        queue.generate('late')


def test_the_gallery_keeps_the_newest():
    gallery = Gallery(3)

    def images(names):
        return [GeneratedImage(name, RUN, 'a', 0, 0, {1: b''}) for name in names]

    gallery.add(images('ab'))
    assert [each.id for each in gallery.recent()] == ['a', 'b']
    gallery.add(images('c'))
    gallery.add(images('b'))                                   # sampled again: first again
    gallery.add(images('d'))
    assert [each.id for each in gallery.recent()] == ['d', 'b', 'c']
    assert gallery.get('a') is None and gallery.get('b').id == 'b'


def test_models_are_kept_for_a_few_runs(volume, tmp_path):
    for name in ('one', 'two', 'three'):
        shutil.copytree(str(volume / 'runs' / RUN), str(tmp_path / 'runs' / name))
    client = client_of(tmp_path, runs=2)
    for name in ('one', 'two', 'one', 'three', 'one', 'two'):
        assert client.post('/api/generate', json={'run': name, 'caption': 'a'}).status_code == 200
    assert [line.split(':')[0] for line in client.lines] == [
        'loaded one', 'loaded two', 'loaded three', 'loaded two']
