"""Nearest training images against every pair looked at one by one."""

import json
import os

import numpy as np
import pytest
from logged import logged
from PIL import Image
from toy import make_prepared

from stackgan.data.prepared import Split, open_dataset
from stackgan.files import digest_of_file, files_below, write_json_lines
from stackgan.sampling import nearest as module
from stackgan.sampling.nearest import nearest
from stackgan.sampling.nearest_sheet import COMPARED, ROWS, add_nearest


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    return make_prepared(tmp_path_factory.mktemp('nearest') / 'prepared', images=37)


@pytest.fixture
def split(prepared):
    return Split(open_dataset(prepared), 'train')


def stored(prepared, side=76):
    folder = os.path.join(prepared, 'train')
    return np.concatenate([np.load(os.path.join(folder, 'images-%03d-0000%d.npy' % (side, shard)))
                           for shard in range(2)])


def brute_force(image, others):
    """[(distance, image, is mirrored)] to all, by differences, the nearest first."""
    found = []
    for number, other in enumerate(others):
        middle = other[6:70, 6:70].astype(float)
        distances = [np.sqrt(np.mean((image - each) ** 2)) for each in (middle, middle[:, ::-1])]
        found.append((min(distances), number, distances[1] < distances[0]))
    return sorted(found)


def samples(count, seed=0):
    random = np.random.RandomState(seed)
    return random.randint(0, 256, (count, 64, 64, 3)).astype(np.uint8)


@pytest.mark.parametrize('block', [5, 37, 128])
def test_neighbours_are_those_of_every_pair(prepared, split, monkeypatch, block):
    monkeypatch.setattr(module, 'BLOCK', block)
    blurred = [np.clip(pixels[6:70, 6:70].astype(int)[:, ::1 - 2 * (number % 2)] + 9, 0, 255)
               for number, pixels in enumerate(stored(prepared)[:6])]
    images = np.concatenate([samples(7), np.array(blurred, np.uint8)])
    seen = []
    found = nearest(images, split, 4, advance=seen.append)
    assert sum(seen) == 37
    for row, pixels in enumerate(images):
        truth = brute_force(pixels, stored(prepared))[:4]
        assert list(found.images[row]) == [image for _, image, _ in truth]
        assert np.allclose(found.distances[row], [distance for distance, _, _ in truth])
        assert list(found.mirrored[row]) == [turned for _, _, turned in truth]
    assert found.mirrored[7 + 1, 0] and not found.mirrored[7, 0]
    assert list(found.images[7:, 0]) == list(range(6))


def test_a_copy_has_distance_0_also_mirrored(prepared, split):
    middle = stored(prepared)[20][6:70, 6:70]
    found = nearest(np.stack([middle, middle[:, ::-1]]), split, 2)
    assert list(found.images[:, 0]) == [20, 20] and not found.distances[:, 0].any()
    assert list(found.mirrored[:, 0]) == [False, True] and (found.distances[:, 1] > 1).all()


def test_more_neighbours_than_images(split):
    assert nearest(samples(2), split, 50).images.shape == (2, 37)


@pytest.mark.parametrize('block', [2, 128])
def test_of_equal_distances_the_earlier_image_is_nearer(tmp_path, monkeypatch, block):
    folder = make_prepared(tmp_path / 'twins', images=70)
    for shard in range(2):
        path = os.path.join(folder, 'train', 'images-076-0000%d.npy' % shard)
        twins = np.load(path)
        twins[:] = 100
        twins[shard:len(twins):3] = 90                    # images 0, 3, 6, ... and 37, 40, ...
        np.save(path, twins)
    monkeypatch.setattr(module, 'BLOCK', block)
    found = nearest(twins[1:2, 6:70, 6:70], Split(open_dataset(folder), 'train'), 16)
    assert list(found.images[0]) == list(range(0, 36, 3)) + [37, 40, 43, 46]
    assert not found.distances.any()


def test_an_image_is_not_its_own_neighbour(prepared, split, monkeypatch):
    monkeypatch.setattr(module, 'BLOCK', 5)
    chosen = np.array([0, 11, 36])
    found = nearest(stored(prepared)[chosen][:, 6:70, 6:70], split, 2, chosen)
    for row, number in enumerate(chosen):
        truth = [each for each in brute_force(stored(prepared)[number][6:70, 6:70],
                                              stored(prepared)) if each[1] != number]
        assert list(found.images[row]) == [image for _, image, _ in truth[:2]]
        assert np.allclose(found.distances[row], [distance for distance, _, _ in truth[:2]])


def write_samples(folder, images, stage):
    """A folder as `sample` writes it, before its neighbours are sought."""
    index = []
    for number, pixels in enumerate(images):
        files = {}
        for side in (64, 256)[:stage]:
            os.makedirs(str(folder / str(side)), exist_ok=True)
            files[str(side)] = '%d/%05d.png' % (side, number)
            image = Image.fromarray(pixels if side == len(pixels) else samples(1, number)[0])
            image.resize((side, side)).save(str(folder / files[str(side)]))
        index.append({'caption': 'caption %d' % number, 'seed': 3, 'copy': number, 'files': files})
    write_json_lines(str(folder / 'samples.jsonl'), index)
    return index


@pytest.mark.parametrize('stage', [1, 2])
def test_what_is_written(prepared, split, tmp_path, stage):
    """Stage-II's images count where they are; real ones are in nearest.png alone."""
    if stage == 1:
        images = [pixels[6:70, 6:70] for pixels in stored(prepared)[:ROWS + 2]]
    else:
        images = [np.kron(pixels[6:70, 6:70], np.ones((4, 4, 1), np.uint8))
                  for pixels in stored(prepared)[:ROWS + 2]]
    index = write_samples(tmp_path, images, stage)
    before = {name: digest_of_file(str(tmp_path / name)) for name in files_below(str(tmp_path))
              if name.endswith('.png')}
    with logged() as said:
        add_nearest(str(tmp_path), index, split, 3)
    after = {name: digest_of_file(str(tmp_path / name)) for name in files_below(str(tmp_path))
             if name.endswith('.png') and name != 'nearest.png'}
    assert before == after
    with open(str(tmp_path / 'samples.jsonl')) as stream:
        lines = [json.loads(line) for line in stream]
    names = [item['name'] for item in split.items()]
    for number, line in enumerate(lines):
        assert [line[key] for key in ('caption', 'copy', 'files')] == [
            index[number][key] for key in ('caption', 'copy', 'files')]
        first = line['nearest'][0]
        assert len(line['nearest']) == 3 and first['image'] == names[number]
        assert first['distance'] == 0 if stage == 1 else first['distance'] < 8
    truth = [min(each for each in brute_force(pixels[6:70, 6:70], stored(prepared))
                 if each[1] != number)[0] for number, pixels in enumerate(stored(prepared))]
    with open(str(tmp_path / 'nearest.json')) as stream:
        facts = json.load(stream)
    assert facts['compared'] == ('Stage-I', 'Stage-II')[stage - 1]
    others = facts['training_to_nearest_other']
    assert others['count'] == 37 < COMPARED
    assert abs(others['median'] - np.median(truth)) < 1e-3
    assert abs(others['least'] - min(truth)) < 1e-3
    assert facts['samples']['median'] == np.median([line['nearest'][0]['distance']
                                                    for line in lines]).round(3)
    assert 'nearest.png shows %d of %d samples' % (ROWS, ROWS + 2) in said[0]
    with Image.open(str(tmp_path / 'nearest.png')) as image:
        assert 4 * 160 < image.size[0] < 800 and image.size[1] < 3500


def test_the_sheet_shows_the_images_that_were_compared(prepared, split, tmp_path):
    """The sample, and right of it the middle of the 304 px image, mirrored where that is nearer."""
    index = write_samples(tmp_path, [stored(prepared)[9][6:70, 6:70][:, ::-1]], 1)
    add_nearest(str(tmp_path), index, split, 1)
    with Image.open(str(tmp_path / 'nearest.png')) as image:
        sheet = np.asarray(image).astype(int)
    middle = stored(prepared, 304)[9][24:280, 24:280][:, ::-1]
    expected = np.asarray(Image.fromarray(middle).resize((160, 160), Image.LANCZOS)).astype(int)
    tops = [top for top in range(40, 120)
            if np.abs(sheet[top:top + 160, 12 + 164:12 + 164 + 160] - expected).max() == 0]
    assert len(tops) == 1
