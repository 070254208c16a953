"""Batches: order, wrong images, crops, embeddings, noise."""

import os

import numpy as np
import pytest
from toy import make_embeddings, make_prepared, tiny_config

from stackgan.data.batches import Batches, WrongImages
from stackgan.data.noise import random_state, truncated_normal
from stackgan.data.prepared import HIGH, LOW, ArrayFile, Split, open_dataset
from stackgan.errors import InputError


@pytest.fixture
def parts(tmp_path):
    prepared = make_prepared(tmp_path / 'prepared', images=10)
    embeddings = make_embeddings(tmp_path / 'embeddings', prepared)
    return Split(open_dataset(prepared), 'train'), ArrayFile(embeddings + '/train.npy')


def batches(parts, stage=1, size=4, averaged=2, seed=3):
    return Batches(parts[0], parts[1], stage, size, tiny_config().model, averaged, seed)


def test_every_epoch_shows_every_image_once(parts):
    row = np.concatenate([batches(parts).indices(step) for step in range(15)])    # six epochs
    for epoch in range(6):
        assert sorted(row[epoch * 10:(epoch + 1) * 10]) == list(range(10))
    assert list(row[:10]) != list(row[10:20])


def test_order_does_not_depend_on_the_batch_size(parts):
    small = np.concatenate([batches(parts, size=2).indices(step) for step in range(30)])
    large = np.concatenate([batches(parts, size=12).indices(step) for step in range(5)])
    assert np.array_equal(small, large)


def test_a_batch_is_a_function_of_seed_and_step(parts):
    first, again, other = (batches(parts).make(7), batches(parts).make(7),
                           batches(parts, seed=4).make(7))
    for a, b, c in zip(first[:-1], again, other):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)
    prefetched = next(batches(parts).stream(7))
    assert prefetched[0] == 7
    assert np.array_equal(prefetched[1].images, first.images)


def test_wrong_images_are_always_of_another_class():
    class_ids = np.array([2, 0, 2, 2, 1, 2, 2, 0, 2, 2])           # one class has most images
    wrong, rng = WrongImages(class_ids), np.random.RandomState(0)
    sampled = np.array([wrong.sample(rng, np.arange(10)) for _ in range(3000)])
    assert (class_ids[sampled] != class_ids).all()
    for image in (0, 1, 4):                                        # each other image alike
        counts = np.bincount(sampled[:, image], minlength=10)[class_ids != class_ids[image]]
        assert counts.min() > 0.8 * counts.mean() and counts.max() < 1.2 * counts.mean()


def test_of_several_candidates_the_most_similar_class_is_wrong(parts):
    """Against the distances between classes, computed here; own classes never occur."""
    split, embeddings = parts
    rows = np.load(embeddings.path)
    image_of = np.repeat(np.arange(len(split)), np.diff(split.caption_starts))
    means = np.stack([rows[split.class_ids[image_of] == number].mean(0) for number in range(4)])
    means -= rows.mean(0)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    likeness = means.dot(means.T) - 3 * np.eye(4)
    some = Batches(split, embeddings, 1, 4, tiny_config().model, 2, 3, wrong_candidates=50)
    found = [some.wrong.sample(np.random.RandomState(seed), np.arange(10)) for seed in range(20)]
    assert (split.class_ids[np.array(found)] == likeness.argmax(1)[split.class_ids]).all()
    assert len(np.unique(found)) > 3                               # any image of that class
    two = Batches(split, embeddings, 1, 4, tiny_config().model, 2, 3, wrong_candidates=2)
    assert len(np.unique(split.class_ids[two.wrong.sample(np.random.RandomState(0),
                                                          np.zeros(50, int))])) > 1


def test_one_class_is_refused():
    with pytest.raises(InputError, match='all of one class'):
        WrongImages(np.zeros(5, int))


@pytest.mark.parametrize('stage, side, crop', [(1, LOW, 64), (2, HIGH, 256)])
def test_images_are_crops_of_the_stored_ones(parts, stage, side, crop):
    made = batches(parts, stage)
    batch = made.make(1)
    assert batch.images.shape == (4, crop, crop, 3) and batch.images.dtype == np.uint8
    for image, index in zip(batch.images, made.indices(1)):
        stored = parts[0].image(index, side)
        assert any(np.array_equal(stored[top:top + crop, left:left + crop][:, ::turn], image)
                   for top in range(side - crop + 1) for turn in (1, -1)
                   for left in range(side - crop + 1)
                   if np.array_equal(stored[top, left:left + crop][::turn], image[0]))


def test_crops_reach_all_corners_and_half_are_mirrored(parts, monkeypatch):
    ramp = np.zeros((LOW, LOW, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(LOW)[:, None], np.arange(LOW)
    monkeypatch.setattr(parts[0], 'image', lambda index, side, top, lines:
                        ramp[top:top + lines])
    made = batches(parts, size=10)
    images = np.concatenate([made.make(step).images for step in range(100)])
    tops, lefts = images[:, 0, 0, 0], images[:, 0, :, 1].min(axis=1)
    assert set(tops) == set(lefts) == set(range(13))
    mirrored = images[:, 0, 0, 1] > images[:, 0, -1, 1]
    assert 0.45 < mirrored.mean() < 0.55


def test_embeddings_are_means_of_the_image_s_own_captions(parts):
    split, embeddings = parts
    made = batches(parts, averaged=2)
    rows = np.load(embeddings.path)
    for mean, index in zip(made.make(2).embeddings, made.indices(2)):
        own = rows[split.caption_starts[index]:split.caption_starts[index + 1]]
        pairs = [(own[a] + own[b]) / 2 for a in range(3) for b in range(a)]
        assert min(np.abs(pair - mean).max() for pair in pairs) < 1e-6
    all_of_them = batches(parts, averaged=99).make(2).embeddings[0]
    index = made.indices(2)[0]
    start, end = split.caption_starts[index:index + 2]
    assert np.allclose(all_of_them, rows[start:end].mean(axis=0), atol=1e-6)


def test_one_caption_an_image_works(tmp_path):
    prepared = make_prepared(tmp_path / 'p', images=8, captions=1)
    embeddings = make_embeddings(tmp_path / 'e', prepared)
    parts = Split(open_dataset(prepared), 'train'), ArrayFile(embeddings + '/train.npy')
    assert batches(parts, averaged=4).make(0).embeddings.shape == (4, 16)


def test_noise_is_that_of_the_paper_s_code():
    values = truncated_normal(random_state(0, 'test'), (200, 100))
    assert values.dtype == np.float32 and np.abs(values).max() <= 2.0
    assert abs(values.std() - 0.8796) < 0.01           # of a normal cut at 2 sigma
    assert not np.array_equal(random_state(0, 'a').rand(3), random_state(0, 'b').rand(3))


def test_embeddings_of_another_dataset_are_refused(parts, tmp_path):
    other = make_prepared(tmp_path / 'other', images=6)
    wrong = ArrayFile(make_embeddings(tmp_path / 'we', other) + '/train.npy')
    with pytest.raises(InputError, match='18 embeddings for 30 captions'):
        batches((parts[0], wrong))
    short = ArrayFile(make_embeddings(tmp_path / 'se', parts[0].folder[:-6], dim=8) + '/train.npy')
    with pytest.raises(InputError, match='size 8, but model.embedding_dim is 16; use --set '
                                         'model.embedding_dim=8'):
        batches((parts[0], short))


def test_an_error_in_the_thread_reaches_the_reader(parts, monkeypatch):
    made = batches(parts)
    monkeypatch.setattr(made, 'make', lambda step: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        next(made.stream(0))


def test_memory_does_not_grow_with_what_is_read(tmp_path):
    path = str(tmp_path / 'rows.npy')
    rows = np.lib.format.open_memmap(path, 'w+', np.uint8, (400, HIGH, HIGH, 3))   # 111 MB
    rows[:] = 7
    del rows
    file = ArrayFile(path)
    before = resident_bytes()
    assert all(file.read(i, 10, 256)[0, 0, 0] == 7 for i in range(400))
    assert resident_bytes() - before < 20e6


def resident_bytes():
    with open('/proc/self/statm') as stream:
        return int(stream.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
