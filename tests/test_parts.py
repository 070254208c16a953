"""Parts of a job's work by several workers: the same files as of one, or none.

The workers are threads of this process, on real lines between them.
"""

import os
import threading
import time

import numpy as np
import pytest
from digests import digest
from test_sampling_files import FakeSampler, wanted
from toy import make_prepared

from stackgan.files import files_below, remove_unfinished
from stackgan.platforms.parts import Parts, part_path
from stackgan.platforms.rendezvous import Place
from stackgan.platforms.worker_channel import Follower
from stackgan.platforms.worker_leader import Leader
from stackgan.sampling.plans import copies_plan
from stackgan.sampling.writing import write_samples
from stackgan.scoring.extractor import BATCH, Extractor
from stackgan.scoring.features import extract, extract_parts
from stackgan.scoring.image_sets import ImageSet, LoadedImage
from stackgan.text import encoder

CAPTIONS = 36                # of each split of the dataset
MADE = {}                    # {thread: captions that its encoder embedded}


def files_of(folder):
    return {name: digest(os.path.join(str(folder), name)) for name in files_below(str(folder))}


class Ended:
    """What `leave` is called with, in the place of the end of the process."""

    def __init__(self):
        self.event = threading.Event()

    def __call__(self, *call):
        self.call = call
        self.event.set()


class Three:
    """Three workers, with what they have in hand."""

    def __init__(self):
        self.ends = [Ended() for _ in range(3)]
        self.leader = Leader(Place(0, 3, '127.0.0.1', 0, 'secret'), 20.0, 'a', self.ends[0])
        self.followers = [
            Follower(Place(rank, 3, '127.0.0.1', self.leader.port, 'secret'), 20.0, 'a',
                     self.ends[rank]) for rank in (1, 2)]

    def start(self, work):
        """Lets the other workers than worker 0 work."""
        def follow(channel):
            channel.gather()
            work(Parts(channel))

        for each in self.followers:
            threading.Thread(target=follow, args=(each,), daemon=True).start()

    def run(self, work):
        self.start(work)
        found = work(Parts(self.leader))
        assert not any(each.event.is_set() for each in self.ends)
        return found


@pytest.fixture
def three():
    found = Three()
    yield found
    found.leader.end(0)


def test_shares_are_all_batches_in_order():
    class Place:
        size = 3

        def __init__(self, rank):
            self.rank = rank

    for count in (0, 1, 2, 7, 9):
        shares = [list(Parts(Place(rank)).share(count)) for rank in range(3)]
        assert sum(shares, []) == list(range(count))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert list(Parts().share(4)) == [0, 1, 2, 3]


class FakeEncoder:
    """An embedding is told by its caption, the first one of its batch and the batch's size."""

    AT_ONCE = 5
    options = {'embedding_dim': 4, 'kind': 'fake'}

    def __init__(self, *arguments):
        self.thread = threading.get_ident()
        MADE.setdefault(self.thread, 0)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def embed(self, captions):
        MADE[self.thread] += len(captions)
        return np.array([[hash(captions[0]) % 999, hash(caption) % 999, len(captions), i]
                         for i, caption in enumerate(captions)], np.float32)


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    MADE.clear()
    monkeypatch.setattr(encoder, 'open_text_encoder', FakeEncoder)
    return make_prepared(tmp_path / 'prepared')


def test_embeddings(three, prepared, tmp_path):
    one, several = str(tmp_path / 'one'), str(tmp_path / 'several')
    os.makedirs(one), os.makedirs(several)
    encoder.embed_dataset(prepared, '', one, None)
    MADE.clear()
    three.run(lambda parts: encoder.embed_dataset(prepared, '', several, None, parts))
    assert files_of(several) == files_of(one)
    assert sum(MADE.values()) == 2 * CAPTIONS and len(MADE) == 3 and min(MADE.values()) > 15


def test_a_lost_worker_leaves_no_file(three, prepared, tmp_path):
    folder = str(tmp_path)

    def work(parts):
        if parts.rank == 1:
            while len(MADE) < 2:                       # until the others are at work
                time.sleep(0.01)
            three.followers[0].line.close()            # as if it were killed
            three.ends[0].event.wait()
        else:
            encoder.embed_dataset(prepared, '', folder, None, parts)

    three.start(work)
    threading.Thread(target=work, args=(Parts(three.leader),), daemon=True).start()
    assert three.ends[0].event.wait(10)
    text, code = three.ends[0].call
    assert text.startswith('worker 1 on ') and text.endswith('run the same command to resume')
    assert code == 1
    # What the job does first when it is started again.
    remove_unfinished(folder)
    assert os.listdir(folder) == ['prepared']


def test_images(three, tmp_path):
    plan = copies_plan(wanted(*map(str, range(19))), 7)
    one, several = tmp_path / 'one', tmp_path / 'several'
    os.makedirs(str(one)), os.makedirs(str(several))
    index = write_samples(FakeSampler(), plan, str(one))
    samplers = [FakeSampler() for _ in range(3)]

    def work(parts):
        parts.begin()
        return write_samples(samplers[parts.rank], plan, str(several), parts)

    assert three.run(work) == index
    assert files_of(several) == files_of(one)
    assert [len(each.generated) for each in samplers] == [9, 6, 6]       # the last is padded


class FakeExtractor(Extractor):
    """Features are told by an image and by the first one of its batch."""

    name, classes, dim, facts = 'fake', 0, 2, {'weights': 'none'}

    def __init__(self):
        self.seen = 0

    def prepare(self, pixels):
        return pixels[0, 0, 0]

    def run(self, prepared):
        self.seen += len(prepared)
        return None, np.array([[prepared[0], value] for value in prepared], np.float32)


class FakeImages(ImageSet):
    """Each of another colour."""

    name = column = 'fake'
    count = 8 * BATCH + 3
    facts = {'set': 'fake'}

    def readers(self, first):
        for index in range(first, self.count):
            yield lambda index=index: LoadedImage(np.full((2, 2, 3), index, np.uint8), 1.0)


class Interruption(Exception):
    pass


class FailsAfter(FakeImages):
    def readers(self, first):
        for index, read in enumerate(super().readers(first), first):
            if index == 2 * BATCH:
                raise Interruption
            yield read


def test_features(three, tmp_path):
    """Of a job that was interrupted after two batches."""
    one, several = str(tmp_path / 'one'), str(tmp_path / 'several')
    want = extract(FakeImages(), [FakeExtractor()], one, 'x')['fake']
    with pytest.raises(Interruption):
        extract(FailsAfter(), [FakeExtractor()], several, 'x')
    extractors = [FakeExtractor() for _ in range(3)]

    def work(parts):
        if parts.rank:
            extract_parts([FakeImages()], {'fake': extractors[parts.rank]}, several, parts)
        return extract(FakeImages(), extractors[:1], several, 'x', parts=parts)['fake']

    found = three.run(work)
    assert found.done == found.count == want.count
    assert files_of(several) == files_of(one)
    assert sum(each.seen for each in extractors) == want.count - 2 * BATCH
    assert min(each.seen for each in extractors) >= 2 * BATCH
    # Nothing is left to do: the others are not asked.
    assert three.leader.parts_begun == 1
    extract(FakeImages(), extractors[:1], several, 'x', parts=Parts(three.leader))
    assert three.leader.parts_begun == 1


def test_a_part_that_is_left_is_removed(tmp_path):
    with open(part_path(str(tmp_path / 'train.npy'), 3), 'wb'):
        pass
    remove_unfinished(str(tmp_path))
    assert files_below(str(tmp_path)) == []
