"""Sampling: determinism, independence of the batch, files, what held-out captions are generated."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from toy import NeverStop, make_embeddings, make_prepared, tiny_config

from stackgan.data.prepared import ArrayFile, Split, open_dataset
from stackgan.errors import InputError
from stackgan.sampling.held_out import held_out_captions
from stackgan.sampling.plans import copies_plan
from stackgan.sampling.sample_request import (
    NoiseSource,
    SampleRequest,
    Truncation,
    noise_of,
    to_uint8,
)
from stackgan.sampling.sampler import Sampler
from stackgan.sampling.writing import write_samples
from stackgan.training.stages import train_stage

CONFIG = ['stage1.epochs=1', 'stage2.epochs=0.3', 'train.ema_decay=0.5']


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """(prepared, embeddings, stage1, stage2): folders of a tiny run."""
    folder = tmp_path_factory.mktemp('trained')
    prepared = make_prepared(folder / 'prepared')
    embeddings = make_embeddings(folder / 'embeddings', prepared)
    stages = [str(folder / name) for name in ('stage1', 'stage2')]
    for stage in (1, 2):
        os.makedirs(stages[stage - 1])
        train_stage(stage, tiny_config(*CONFIG), prepared, embeddings, stages[stage - 1],
                    NeverStop(), *([stages[0]] if stage == 2 else []))
    return [prepared, embeddings] + stages


def wanted(*captions):
    rows = np.random.RandomState(3).standard_normal((50, 16)).astype(np.float32)
    return [SampleRequest(caption, rows[len(caption)], copy, {}) for caption, copy in captions]


def sampler(trained, batch_size=3):
    return Sampler(trained[3], 'last', batch_size, tiny_config().platform)


def test_an_image_does_not_depend_on_the_others_of_its_batch(trained):
    captions = [('a red bird', 0), ('a small blue bird', 0), ('green', 1), ('green', 2), ('b', 0)]
    with sampler(trained) as one:
        together = one.generate(wanted(*captions), seed=7)
        for i, caption in enumerate(captions):
            alone = one.generate(wanted(caption), seed=7)
            for side in (64, 256):
                assert np.array_equal(together[side][i], alone[side][0])
        backwards = one.generate(wanted(*captions[::-1]), seed=7)
        assert np.array_equal(together[256], backwards[256][::-1])


def test_seed_and_copy_change_the_image(trained):
    with sampler(trained) as one:
        first, copy = one.generate(wanted(('green', 0), ('green', 1)), seed=7)[64]
        other = one.generate(wanted(('green', 0)), seed=8)[64][0]
    assert not np.array_equal(first, copy) and not np.array_equal(first, other)


def test_noise_depends_on_caption_copy_and_seed_alone():
    dims = tiny_config().model
    pair = noise_of(['a', 'b'], [0, 3], 5, dims)
    alone = noise_of(['b'], [3], 5, dims)
    for both, one in zip(pair, alone):
        assert np.array_equal(both[1], one[0]) and both.dtype == np.float32
    assert np.abs(pair.noise1).max() <= 2.0


def test_files_and_index(trained, tmp_path):
    captions = [('a red bird', 0), ('a red bird', 1), ('a blue one', 0), ('a blue one', 1)]
    with sampler(trained) as one:
        index = write_samples(one, copies_plan(wanted(*captions), 7), str(tmp_path))
        generated = one.generate(wanted(*captions), 7)
    with open(str(tmp_path / 'samples.jsonl')) as stream:
        assert [json.loads(line) for line in stream] == index
    for i, line in enumerate(index):
        assert (line['caption'], line['copy'], line['seed']) == captions[i] + (7,)
        for side in (64, 256):
            image = np.asarray(Image.open(str(tmp_path / line['files'][str(side)])))
            assert np.array_equal(image, generated[side][i])
    assert sorted(os.listdir(str(tmp_path))) == ['256', '64', 'grid.png', 'samples.jsonl']
    assert Image.open(str(tmp_path / 'grid.png')).size[0] > 4 * 192


def test_stage1_alone_gives_the_same_small_images(trained):
    """Stage-II froze the averaged Stage-I, so both generate the same 64x64 image."""
    with sampler(trained) as both, \
            Sampler(trained[2], 'last', 3, tiny_config().platform) as first:
        captions = wanted(('a red bird', 0), ('b', 1))
        small = first.generate(captions, 7)
        assert list(small) == [64]
        assert np.array_equal(small[64], both.generate(captions, 7)[64])


def test_held_out_captions_cover_the_test_images(trained):
    split = Split(open_dataset(trained[0]), 'test')
    rows = ArrayFile(trained[1] + '/test.npy')
    chosen = held_out_captions(split, rows, 30, 0)
    assert len(chosen) == 30
    names = [each.facts['image'] for each in chosen]
    assert len(set(names[:12])) == 12 and len(set(names[12:24])) == 12      # all, then again
    all_rows, items = np.load(trained[1] + '/test.npy'), split.items()
    for each in chosen:
        image = [item['name'] for item in items].index(each.facts['image'])
        number = items[image]['captions'].index(each.caption)
        assert np.array_equal(each.embedding, all_rows[split.caption_starts[image] + number])
    assert len({(each.caption, each.copy) for each in chosen}) == 30        # no image twice
    assert [each.caption for each in held_out_captions(split, rows, 30, 1)] != \
        [each.caption for each in chosen]


def test_a_folder_without_checkpoints_is_named(tmp_path):
    with pytest.raises(InputError, match='no checkpoint there; train that stage first'):
        Sampler(str(tmp_path), 'last', 2, tiny_config().platform)


def test_to_uint8():
    assert to_uint8(np.array([-1.0, 1.0, 0.0, -2.0, 2.0])).tolist() == [0, 255, 128, 0, 255]


def test_images_of_several_seeds_in_one_batch_are_those_of_each(trained):
    with sampler(trained) as one:
        captions = wanted(('a red bird', 0), ('green', 1))
        apart = [one.generate(captions, seed) for seed in (7, 8)]
        mixed = one.generate(captions + captions, [NoiseSource(seed) for seed in (7, 7, 8, 8)])
    for side in (64, 256):
        assert np.array_equal(mixed[side], np.concatenate([each[side] for each in apart]))


def test_without_noise_seeds_are_alike(trained):
    sources = [NoiseSource(7, Truncation(0.0, 0.0)), NoiseSource(8, Truncation(0.0, 0.0)),
               NoiseSource(8)]
    with sampler(trained) as one:
        images = one.generate(wanted(*[('green', 0)] * 3), sources)[64]
    assert np.array_equal(images[0], images[1]) and not np.array_equal(images[1], images[2])
