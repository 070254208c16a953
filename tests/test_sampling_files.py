"""What a plan becomes: grids, animations, an index; by a sampler that needs no network."""

import json
import os

import numpy as np
import pytest
from digests import digest
from logged import logged
from PIL import Image, ImageSequence

from stackgan.files import files_below
from stackgan.sampling import animation, sheets
from stackgan.sampling.animation import END_MS, MAX_PIXELS, STEP_MS, write_gif
from stackgan.sampling.plans import (
    caption_path_plan,
    copies_plan,
    facts_of,
    noise_path_plan,
    seeds_plan,
)
from stackgan.sampling.sample_request import SampleRequest
from stackgan.sampling.writing import write_samples


class FakeSampler:
    """Flat images: red from the embedding, green from the seeds, blue from the position."""

    label, batch_size = 'fake', 3

    def __init__(self, stage=2, dies_after=None, is_noisy=False):
        self.stage, self.dies_after, self.is_noisy = stage, dies_after, is_noisy
        self.generated = []

    def generate(self, wanted, sources):
        if self.dies_after is not None and len(self.generated) >= self.dies_after:
            raise KeyboardInterrupt
        self.generated += [(each.caption, source.seed) for each, source in zip(wanted, sources)]
        return {side: np.stack([self._image(each, source, side)
                                for each, source in zip(wanted, sources)])
                for side in (64, 256)[:self.stage]}

    def _image(self, wanted, source, side):
        if self.is_noisy:
            return np.random.RandomState(len(self.generated)).randint(
                0, 256, (side, side, 3)).astype(np.uint8)
        colour = [int(wanted.embedding[0]), 20 * source.seed % 256, int(200 * source.position)]
        image = np.full((side, side, 3), colour, np.uint8)
        image[:side // 2, :, 2] = 250 if side == 256 else 0
        return image


def wanted(*captions):
    return [SampleRequest(caption, np.full(4, 60 * number, np.float32), 0, {})
            for number, caption in enumerate(captions)]


def write(folder, plan, **options):
    os.makedirs(str(folder), exist_ok=True)
    with logged() as said:
        write_samples(FakeSampler(**options), plan, str(folder))
    return said


def frames(path):
    with Image.open(str(path)) as image:
        assert image.info['loop'] == 0                                   # without end
        return [(frame.info['duration'], np.asarray(frame.convert('RGB')).astype(int))
                for frame in ImageSequence.Iterator(image)]


def test_an_animation_goes_forward_and_back(tmp_path):
    write(tmp_path, noise_path_plan(wanted('a red bird'), [1, 5], 4))
    assert os.listdir(str(tmp_path / 'animations')) == ['00000.gif']
    read = frames(tmp_path / 'animations' / '00000.gif')
    assert [time for time, _ in read] == [END_MS, STEP_MS, STEP_MS, END_MS, STEP_MS, STEP_MS]
    assert len({frame.shape for _, frame in read}) == 1
    for step in (1, 2):
        assert np.abs(read[step][1] - read[-step][1]).mean() < 1
    for step, (_, frame) in enumerate(read[:4]):
        height = 230                                     # in the lower half of the images
        for left, blue in ((100, 200 * step // 3), (400, 200 * step // 3)):
            assert np.abs(frame[height, left] - [0, 20, blue]).max() < 12
        assert frame[60, 100, 2] < 12 and abs(frame[60, 400, 2] - 250) < 12     # Stage-I, Stage-II
    assert (np.abs(read[0][1] - read[3][1]).max(axis=2) > 40).any()


def test_an_animation_keeps_soft_shades_and_small_spots(tmp_path):
    """Means of 16 x 16 pixels: 256 colours without dithering would be off by several values."""
    y, x = np.mgrid[0:256, 0:512] / 512.0
    sources = []
    for turn in (0.0, 1.0):
        image = np.stack([90 + 80 * x, 110 + 90 * y, 170 - 90 * x * turn], axis=2)
        image[100:116, 304:320] = (250, 200, 20)
        sources.append(np.rint(image).astype(np.uint8))
    write_gif(str(tmp_path / 'soft.gif'), [Image.fromarray(each) for each in sources])
    for (_, frame), source in zip(frames(tmp_path / 'soft.gif'), sources):
        off = (frame - source).reshape(16, 16, 32, 16, 3).mean(axis=(1, 3))
        assert np.sqrt(np.mean(off ** 2)) < 1.5
        assert np.abs(frame[108, 312] - (250, 200, 20)).max() < 16


def test_each_row_of_ways_has_an_animation_up_to_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(animation, 'ANIMATIONS', 3)
    said = write(tmp_path, noise_path_plan(wanted(*'abcde'), [1, 5], 2))
    assert sorted(os.listdir(str(tmp_path / 'animations'))) == [
        '0000%d.gif' % number for number in range(3)]
    assert 'animations/ (3 of 5 rows)' in said[0]


@pytest.mark.parametrize('stage, steps', [(1, 3), (2, 60)])
def test_the_size_of_an_animation_is_bounded(tmp_path, stage, steps):
    """Even of noise, which nothing packs."""
    write(tmp_path, caption_path_plan(wanted('a', 'b'), [1], steps), stage=stage, is_noisy=True)
    path = tmp_path / 'animations' / '00000.gif'
    with Image.open(str(path)) as image:
        assert image.n_frames == 2 * steps - 2
        assert image.n_frames * image.size[0] * image.size[1] < MAX_PIXELS
        assert image.size[0] > 256
    assert os.path.getsize(str(path)) < 1.2 * MAX_PIXELS


def test_the_nearer_caption_is_the_darker_one(tmp_path):
    write(tmp_path, caption_path_plan(wanted('first', 'second'), [1], 3))
    read = [frame for _, frame in frames(tmp_path / 'animations' / '00000.gif')]
    darkest = [[frame[top:top + 18, 12:80].min() for top in (296, 318)] for frame in read[:3]]
    assert darkest[0][0] < 60 < 130 < darkest[0][1]
    assert abs(darkest[1][0] - darkest[1][1]) < 20
    assert darkest[2][1] < 60 < 130 < darkest[2][0]


def test_a_grid_of_seeds(tmp_path):
    said = write(tmp_path, seeds_plan(wanted('a', 'b'), [1, 4]))
    with Image.open(str(tmp_path / 'grid.png')) as image:
        grid = np.asarray(image.convert('RGB')).astype(int)
    top = 12 + 2 * 19
    for row in range(2):
        for column in range(4):                                  # two seeds, two stages each
            pixel = grid[top + row * 240 + 150, 12 + column * 196 + 90]
            assert np.array_equal(pixel, [60 * row, (20, 80)[column // 2], 0]), (row, column)
    assert 'seeds 1, 4; listed in samples.jsonl, shown in grid.png' in said[0]
    assert (grid[6:20, 12:80] < 200).any()                       # headings
    assert 'of' not in said[0].split('grid.png')[1]


@pytest.mark.parametrize('plan, shown', [
    (seeds_plan(wanted(*['caption %d' % i for i in range(18)]), range(9)),
     'grid.png (16 of 18 rows and 8 of 9 columns)'),
    (noise_path_plan(wanted(*['caption %d' % i for i in range(9)]), [1, 2], 13),
     'grid.png (8 of 9 rows and 12 of 13 columns)')])
def test_grids_stay_of_a_size_to_look_at(tmp_path, monkeypatch, plan, shown):
    monkeypatch.setattr(animation, 'ANIMATIONS', 1)
    said = write(tmp_path, plan)
    assert shown in said[0]
    with Image.open(str(tmp_path / 'grid.png')) as image:
        assert image.size[0] <= 2300 and image.size[1] <= 3000
    assert len(os.listdir(str(tmp_path / '256'))) == len(plan.samples)


def test_a_long_caption_is_not_cut_under_few_images(tmp_path):
    heights = []
    for words in (5, 40):
        write(tmp_path, copies_plan(wanted('feather ' * words), 1))
        with Image.open(str(tmp_path / 'grid.png')) as image:
            heights.append(image.size[1])
            ends = np.asarray(image.convert('L'))[-30:].min()
    assert heights[1] >= heights[0] + 4 * 19 and ends < 60       # the last line is there


def test_a_grid_of_ways_has_both_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, 'PATH_COLUMNS', 3)
    write(tmp_path, noise_path_plan(wanted('a'), [1, 2], 6), stage=1)
    with Image.open(str(tmp_path / 'grid.png')) as image:
        grid = np.asarray(image.convert('RGB')).astype(int)
    line = grid[31 + 100]
    assert list(line[line[:, 1] == 20][::132, 2]) == [0, 80, 200]


def test_what_an_interrupted_process_drew_is_not_drawn_again(tmp_path):
    plan = noise_path_plan(wanted('a', 'b'), [1, 2], 5)
    write(tmp_path / 'straight', plan)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / 'resumed', plan, dies_after=6)
    os.unlink(str(tmp_path / 'resumed' / '256' / '00004.png'))           # of the second batch
    sampler = FakeSampler()
    write_samples(sampler, plan, str(tmp_path / 'resumed'))
    filling = [('a', 1)] * 2                                             # of the last batch
    assert sampler.generated == [('a', 1), ('a', 1), ('b', 1)] + [('b', 1)] * 4 + filling
    assert files_below(str(tmp_path / 'resumed')) == files_below(str(tmp_path / 'straight'))
    for name in files_below(str(tmp_path / 'straight')):
        assert digest(tmp_path / 'resumed' / name) == digest(tmp_path / 'straight' / name), name


def test_the_index_names_the_file_of_each_line(tmp_path):
    plan = copies_plan(wanted('a', 'b', 'c', 'd'), 5)
    write(tmp_path, plan)
    with open(str(tmp_path / 'samples.jsonl')) as stream:
        index = [json.loads(line) for line in stream]
    for number, (line, sample) in enumerate(zip(index, plan.samples)):
        files = line.pop('files')
        assert line == facts_of(sample) and set(files) == {'64', '256'}
        with Image.open(str(tmp_path / files['256'])) as image:
            assert image.getpixel((0, 200)) == (60 * number, 100, 0)
