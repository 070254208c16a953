"""The noise of samples: seeds, truncation, ways between two; by formulas of their own."""

import math
import zlib

import numpy as np
import pytest
from toy import tiny_config

from stackgan.sampling.interpolation import lerp, positions, slerp
from stackgan.sampling.plans import (
    caption_path_plan,
    copies_plan,
    facts_of,
    noise_path_plan,
    seeds_plan,
)
from stackgan.sampling.sample_request import NoiseSource, SampleRequest, Truncation, noise_of

DIMS = tiny_config('model.noise_dim=100', 'model.condition_dim=128').model
CAPTIONS = ['caption %d' % number for number in range(400)]


def noise(source, captions=CAPTIONS):
    return noise_of(captions, [0] * len(captions), [source] * len(captions), DIMS)


def below(value, limit):
    """Share of a unit normal cut at `limit` that is below `value`."""
    def share(x):
        return 0.5 * (1 + math.erf(x / math.sqrt(2)))
    return (share(value) - share(-limit)) / (share(limit) - share(-limit))


def test_noise_is_that_of_numpy_s_stream():
    """What samples were generated with before there were seeds and ways: no bit may change."""
    random = np.random.RandomState([7, zlib.crc32(b'sample: a red bird') & 0xffffffff, 3])
    z = random.standard_normal(100).astype(np.float32)
    generated = noise_of(['a red bird'], [3], 7, DIMS)
    assert np.array_equal(generated.z[0], z)
    first = random.standard_normal(128)
    kept = np.abs(first) <= 2.0
    assert 100 < kept.sum() < 128
    assert np.array_equal(generated.noise1[0][kept], first[kept].astype(np.float32))
    listed = noise_of(['a red bird'], [3], [NoiseSource(7)], DIMS)
    assert all(np.array_equal(*pair) for pair in zip(generated, listed))


@pytest.mark.parametrize('limit', [0.05, 0.7, 1.5])
def test_truncated_values_have_the_cut_normal_s_distribution(limit):
    for values in (noise(NoiseSource(2, Truncation(z=limit))).z,
                   noise(NoiseSource(2, Truncation(noise=limit))).noise1):
        values = np.sort(values.ravel().astype(float))
        assert np.abs(values).max() <= limit + 1e-7
        shares = np.array([below(value, limit) for value in values[::50]])
        seen = np.arange(len(values))[::50] / float(len(values))
        assert np.abs(shares - seen).max() < 1.7 / math.sqrt(len(values))     # Kolmogorov, 1 %


def test_truncation_leaves_what_lies_within_and_the_other_noise():
    free, cut = noise(NoiseSource(1)), noise(NoiseSource(1, Truncation(z=0.9)))
    within = np.abs(free.z) <= 0.9
    assert 0.5 < within.mean() < 0.8
    assert np.array_equal(free.z[within], cut.z[within]) and np.abs(cut.z).max() <= 0.9
    assert np.array_equal(free.noise1, cut.noise1) and np.array_equal(free.noise2, cut.noise2)
    other = noise(NoiseSource(1, Truncation(noise=0.9)))
    assert np.array_equal(free.z, other.z) and np.abs(other.noise1).max() <= 0.9
    wide = noise(NoiseSource(1, Truncation(z=10.0, noise=2.0)))
    assert all(np.array_equal(*pair) for pair in zip(free, wide))


def test_truncation_at_0_is_no_noise():
    none = noise(NoiseSource(1, Truncation(z=0.0, noise=0.0)), CAPTIONS[:3])
    assert none.z.shape == (3, 100) and not any(each.any() for each in none)


def test_slerp_turns_evenly_in_the_plane_of_its_ends():
    random = np.random.RandomState(0)
    for lengths in ((1.0, 1.0), (3.0, 3.0)):
        first, other = random.standard_normal((2, 50))
        first, other = [(vector * length / np.linalg.norm(vector)).astype(np.float32)
                        for vector, length in zip((first, other), lengths)]
        angle = math.acos(float(first.dot(other)) / lengths[0] ** 2)
        across = other - first * first.dot(other) / first.dot(first)
        across *= lengths[0] / np.linalg.norm(across)
        for position in (0.0, 0.1, 0.5, 0.8, 1.0):
            turned = math.cos(position * angle) * first + math.sin(position * angle) * across
            assert np.allclose(slerp(first, other, position), turned, atol=1e-5)


def test_the_ends_of_ways_are_the_ends():
    random = np.random.RandomState(0)
    first, other = random.standard_normal((2, 100)).astype(np.float32)
    for way in (slerp, lerp):
        assert np.array_equal(way(first, other, 0.0), first)
        assert np.array_equal(way(first, other, 1.0), other)
    assert np.allclose(lerp(first, other, 0.25), 0.75 * first + 0.25 * other, atol=1e-6)
    assert positions(5) == [0, 0.25, 0.5, 0.75, 1] and positions(2) == [0, 1]


@pytest.mark.parametrize('first, other', [
    (np.zeros(5), np.zeros(5)), (np.ones(5), 3 * np.ones(5)), (np.ones(1), -np.ones(1)),
    (np.zeros(5), np.ones(5))])
def test_slerp_of_vectors_on_one_line_is_straight(first, other):
    for position in (0.0, 0.5, 1.0):
        assert np.allclose(slerp(first.astype(np.float32), other.astype(np.float32), position),
                           first + position * (other - first))


@pytest.mark.parametrize('position', [0.0, 0.25, 0.5, 0.9])
def test_the_variance_does_not_sink_on_the_way(position):
    """Straight ways would have 0.5 and 0.39 in the middle."""
    way, ends = noise(NoiseSource(1, other_seed=2, position=position)), noise(NoiseSource(1))
    assert abs(way.z.var() - 1.0) < 0.02
    assert abs(np.linalg.norm(way.z, axis=1).mean() - np.linalg.norm(ends.z, axis=1).mean()) < 0.15
    cut = 1 - 2 * 2.0 * math.exp(-2.0) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2.0))
    for values in (way.noise1, way.noise2):
        assert np.abs(values).max() <= 2.0 and cut - 0.025 < values.var() < cut + 0.01


def test_a_way_begins_and_ends_with_the_noise_of_its_seeds():
    for truncation in (Truncation(), Truncation(0.7, 0.3), Truncation(0.0, 0.0)):
        for position, seed in ((0.0, 4), (1.0, 9)):
            way = noise(NoiseSource(4, truncation, 9, position), CAPTIONS[:20])
            end = noise(NoiseSource(seed, truncation), CAPTIONS[:20])
            assert all(np.array_equal(*pair) for pair in zip(way, end))
    narrow = noise(NoiseSource(4, Truncation(0.7, 0.3), 9, 0.5), CAPTIONS[:20])
    assert np.abs(narrow.z).max() <= 0.7 + 1e-6 and np.abs(narrow.noise1).max() <= 0.3 + 1e-6


def wanted(*captions):
    return [SampleRequest(caption, np.full(4, number, np.float32), 0, {'image': 'x%d' % number})
            for number, caption in enumerate(captions)]


def test_plans_put_captions_into_rows_and_seeds_or_steps_into_columns():
    plan = seeds_plan(wanted('a', 'b'), [3, 1, 2])
    assert [(sample.request.caption, sample.source.seed) for sample in plan.samples] == [
        ('a', 3), ('a', 1), ('a', 2), ('b', 3), ('b', 1), ('b', 2)]
    assert plan.rows == [('a', [0, 1, 2]), ('b', [3, 4, 5])]
    assert plan.headings == ['seed 3', 'seed 1', 'seed 2']
    plan = noise_path_plan(wanted('a', 'b'), [3, 1], 3)
    assert [tuple(sample.source[2:]) for sample in plan.samples] == [
        (1, 0.0), (1, 0.5), (1, 1.0)] * 2
    assert plan.headings == ['0 %', '50 %', '100 %'] and plan.is_path
    plan = caption_path_plan(wanted('a', 'b'), [3, 8], 5)
    assert [sample.request.embedding[0] for sample in plan.samples] == [0, 0.25, 0.5, 0.75, 1] * 2
    assert [sample.source.seed for sample in plan.samples] == [3] * 5 + [8] * 5
    assert {sample.request.caption for sample in plan.samples} == {'a'}        # whose noise it is
    plan = copies_plan(wanted('a', 'b', 'a'), 5)
    assert plan.rows == [('a', [0, 2]), ('b', [1])]


def test_a_line_of_the_index_holds_all_that_it_takes_to_draw_it_again():
    truncation = Truncation(0.7, 1.2)
    embeddings = {each.caption: each.embedding for each in wanted('a', 'b')}
    for plan in (copies_plan(wanted('a', 'b'), 5), seeds_plan(wanted('a', 'b'), [3, 1], truncation),
                 noise_path_plan(wanted('a'), [3, 1], 4, truncation),
                 caption_path_plan(wanted('a', 'b'), [3], 4, truncation)):
        for sample in plan.samples:
            line = facts_of(sample)
            limits = Truncation(line.get('truncation_z'), line.get('truncation_noise'))
            source = NoiseSource(line['seed'], limits, line.get('other_seed'),
                                 line['position'] if 'other_seed' in line else 0.0)
            rebuilt = noise_of([line['caption']], [line['copy']], [source], DIMS)
            generated = noise_of([sample.request.caption], [sample.request.copy], [sample.source],
                                 DIMS)
            assert all(np.array_equal(*pair) for pair in zip(rebuilt, generated))
            embedding = embeddings[line['caption']]
            if 'other_caption' in line:
                embedding = lerp(embedding, embeddings[line['other_caption']], line['position'])
            assert np.array_equal(embedding, sample.request.embedding)
    assert facts_of(copies_plan(wanted('a'), 5).samples[0]) == {
        'image': 'x0', 'caption': 'a', 'seed': 5, 'copy': 0}
