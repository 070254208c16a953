"""The judge of body colours and its report."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter

from stackgan.data.painted.drawing import paint
from stackgan.data.painted.scene import scene_of
from stackgan.data.painted.species import BODY_COLOURS, all_species
from stackgan.errors import InputError, StackganError
from stackgan.scoring.colour import colour_report, read_body_colours, train_judge


def _prepared(numbers):
    """Images (n, 76, 76, 3) uint8 cropped as for training, and their labels (n,)."""
    images, labels = [], []
    for number in numbers:
        scene = scene_of(5, number, 128)
        painting = paint(scene)
        x, y, width, height = painting.box
        half = int(0.75 * max(width, height))
        middle = x + width // 2, y + height // 2
        left, top = (max(at - half, 0) for at in middle)
        right, bottom = (min(at + half, side) for at, side in zip(middle, scene.picture))
        crop = painting.picture.crop((left, top, right, bottom)).resize((76, 76), Image.BICUBIC)
        images.append(np.asarray(crop))
        labels.append(BODY_COLOURS.index(scene.species.body))
    return np.stack(images), np.array(labels)


@pytest.fixture(scope='module')
def judge():
    is_train = [species.split == 'train' for species in all_species()]
    images, labels = _prepared([n for n in range(288) if is_train[n % 96]])
    return train_judge(images, labels, BODY_COLOURS)


@pytest.fixture(scope='module')
def test_split():
    """Images of species that the judge has not seen."""
    is_test = [species.split == 'test' for species in all_species()]
    return _prepared([n for n in range(576) if is_test[n % 96]])


def _blurred(images):
    return np.stack([np.asarray(Image.fromarray(each).filter(ImageFilter.GaussianBlur(1.5)))
                     for each in images])


def _noisy(images):
    noise = np.random.RandomState(0).normal(0, 15, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize('change,least', [
    (lambda images: images, 0.97),
    (_blurred, 0.97),
    (_noisy, 0.95),
    (lambda images: _noisy(_blurred(images)), 0.95),
    (lambda images: (images * 0.8).astype(np.uint8), 0.95),
    (lambda images: images[:, 12:, 12:], 0.93),
], ids=['clean', 'blurred', 'noisy', 'blurred and noisy', 'darker', 'shifted'])
def test_judge_knows_body_colours_of_unseen_species(judge, test_split, change, least):
    images, labels = test_split
    assert judge.accuracy(change(images), labels) >= least


def test_judge_agrees_on_an_image_at_every_side(judge, test_split):
    stored = test_split[0][:16]
    views = stored[:, 6:70, 6:70]
    labels = judge.predict(views)
    assert len(set(labels)) == 8
    for same in (stored, views.repeat(4, axis=1).repeat(4, axis=2),
                 stored.repeat(4, axis=1).repeat(4, axis=2)):
        assert np.array_equal(judge.predict(same), labels)
    with pytest.raises(ValueError, match='multiple of 64 or 76'):
        judge.predict(stored[:, :70, :70])


def test_judge_does_not_mind_which_way_a_bird_faces(judge):
    collages = np.random.RandomState(1).randint(0, 256, (200, 8, 8, 3)).astype(np.uint8)
    collages = collages.repeat(8, axis=1).repeat(8, axis=2)
    assert np.array_equal(judge.predict(collages), judge.predict(collages[:, :, ::-1]))


def test_shuffled_captions_drop_to_chance(judge, test_split):
    images, labels = test_split
    predicted = judge.predict(images)
    report = colour_report(predicted, labels, BODY_COLOURS, judge.accuracy(images, labels))
    assert report['accuracy'] >= 0.97 and report['count'] == 144
    assert abs(report['shuffled_accuracy'] - report['chance']) < 0.05
    assert report['chance'] == 0.125
    assert json.loads(json.dumps(report)) == report


def test_report_of_a_case_worked_by_hand():
    report = colour_report(predicted=[0, 0, 1, 1], asked=[0, 1, 1, 1],
                           names=('red', 'blue', 'green'), real_accuracy=0.9)
    assert report['accuracy'] == 0.75 and report['count'] == 4
    assert report['per_colour'] == {'red': 1.0, 'blue': pytest.approx(2 / 3), 'green': None}
    assert report['real_accuracy'] == 0.9 and report['chance'] == pytest.approx(1 / 3)


def test_shuffling_gives_no_image_its_own_caption():
    labels = np.arange(6)
    report = colour_report(labels, labels, list('abcdef'), 1.0)
    assert report['accuracy'] == 1.0 and report['shuffled_accuracy'] == 0.0


def test_a_judge_that_fails_on_real_images_may_not_judge():
    with pytest.raises(StackganError, match='accuracy 79.0 % on real test images'):
        colour_report([0, 1], [0, 1], ('red', 'blue'), real_accuracy=0.79)
    assert colour_report([0, 1], [0, 1], ('red', 'blue'), real_accuracy=0.8)['accuracy'] == 1.0


@pytest.mark.parametrize('predicted,asked', [([0], [0]), ([0, 1, 1], [0, 1]), ([], [])])
def test_too_few_or_unpaired_images_are_refused(predicted, asked):
    with pytest.raises(StackganError, match='%d images for %d captions' % (
            len(predicted), len(asked))):
        colour_report(predicted, asked, ('red', 'blue'), real_accuracy=1.0)


def test_a_colour_without_training_images_is_refused():
    with pytest.raises(StackganError, match='no training image of green'):
        train_judge(np.zeros((2, 76, 76, 3), np.uint8), [0, 1], ('red', 'blue', 'green'))


def test_body_colours_are_read_by_image(tmp_path):
    path = tmp_path / 'attributes.jsonl'
    path.write_text('{"name": "001.A/A_0001", "body": "red", "wing": "blue"}\n')
    assert read_body_colours(str(path)) == {'001.A/A_0001': 'red'}
    path.write_text('{"name": "001.A/A_0001"}\n')
    with pytest.raises(InputError, match='attributes.jsonl'):
        read_body_colours(str(path))
