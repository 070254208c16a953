"""What captions of painted birds ask for, the judge that reads it, and the accuracy."""

import numpy as np
import pytest
from PIL import Image

from stackgan.data.painted import VALUES, are_species, asked_by, true_of
from stackgan.data.painted.captions import captions_of
from stackgan.data.painted.drawing import paint
from stackgan.data.painted.scene import scene_of
from stackgan.data.painted.species import all_species
from stackgan.errors import StackganError
from stackgan.scoring import attribute_judge, attributes
from stackgan.scoring.attribute_judge import AttributeJudge
from stackgan.scoring.attributes import (
    ATTRIBUTES,
    OUTPUTS,
    SLICES,
    CaptionAttributes,
    attribute_accuracy,
    legible,
    read_by_judge,
)
from stackgan.scoring.colour_counts import kernel_ridge


def truth_of(scene):
    species = scene.species
    return {'body': species.body, 'wings': species.wing, 'crown': species.head,
            'beak': species.beak, 'scene': scene.background}


def test_captions_are_read_as_they_were_written():
    named = dict.fromkeys(ATTRIBUTES, 0)
    for number in range(400):
        scene = scene_of(1, number, 128)
        captions, truth = captions_of(scene), truth_of(scene)
        assert true_of(captions, scene.species.name) == truth
        for caption in captions:
            asked = asked_by(caption, scene.species.name)
            assert all(truth[name] == value for name, value in asked.items()), caption
            words = caption.replace('raised wings', '')
            assert [name in asked for name in ('wings', 'crown', 'beak')] == [
                any(word in words for word in words_of) for words_of in (
                    ('wing',), ('crown', ' cap'), ('beak', 'bill'))], caption
            for name in asked:
                named[name] += 1
    assert named['body'] == 4000 and min(named.values()) > 1500


def test_only_species_are_painted_birds():
    names = [species.name for species in all_species()]
    assert are_species(names) and are_species(names[:3])
    assert not are_species(names + ['001.Laysan_Albatross']) and not are_species([])


def test_a_judge_gives_a_score_for_each_value():
    logits = np.zeros((2, OUTPUTS))
    logits[0, SLICES['beak'].start + 2] = logits[1, SLICES['scene'].stop - 1] = 1
    read = read_by_judge(logits)
    assert read.tolist() == [[0, 0, 0, 2, 0], [0, 0, 0, 0, len(VALUES['scene']) - 1]]


VALUES_OF_CAPTIONS = np.array([[0, 1, 2, 3, 4], [1, 1, 2, 3, 4], [2, 0, 0, 0, 0]])
NAMED = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 1, 0], [1, 1, 1, 1, 1]], bool)
TRUTH = CaptionAttributes(VALUES_OF_CAPTIONS, NAMED)


def test_only_what_captions_name_counts():
    read = np.array([[0, 1, 9, 9, 9], [1, 9, 9, 0, 9], [2, 0, 0, 0, 9]])
    captions = np.arange(3)

    def accuracy(*names):
        score = attribute_accuracy([ATTRIBUTES.index(name) for name in names], read, TRUTH,
                                   captions, 0)
        return score.value, score.more['asked']

    assert accuracy('body') == (1.0, 3)
    assert accuracy('wings') == (1.0, 2)
    assert accuracy('crown') == (1.0, 1)
    assert accuracy('beak') == (0.5, 2)
    assert accuracy('scene') == (0.0, 1)
    assert accuracy('body', 'wings') == (1.0, 3)
    assert accuracy(*ATTRIBUTES) == (pytest.approx(1 / 3), 3)
    assert legible(read, TRUTH, captions, 0.95) == [0, 1, 2]


def test_with_shuffled_captions_chance_is_left():
    random = np.random.RandomState(0)
    values = random.randint(0, 4, (400, 5))
    truth = CaptionAttributes(values, np.ones((400, 5), bool))
    score = attribute_accuracy([0], values, truth, np.arange(400), 0)
    assert score.value == 1.0 and abs(score.more['shuffled'] - 0.25) < 0.02
    alike = np.zeros(400, int)                     # images that ignore their captions
    score = attribute_accuracy([0], values[alike], truth, np.arange(400), 0)
    assert score.more['shuffled'] == pytest.approx(score.value)


def test_shuffling_leaves_no_caption_in_its_place():
    found = attributes.others(np.arange(50), np.random.RandomState(1))
    assert sorted(found) == list(range(50)) and (found != np.arange(50)).all()


# The judge.

NAMES = [species.name for species in all_species()]


class Painted:
    """A split of painted birds, as data.prepared.Split, cropped to the bird."""

    def __init__(self, split, numbers):
        scenes = [scene_of(5, number, 128) for number in numbers]
        self.scenes = [scene for scene in scenes if scene.species.split == split]
        self.images = [self.crop(scene) for scene in self.scenes]

    def crop(self, scene):
        painting = paint(scene)
        x, y, width, height = painting.box
        half = int(0.75 * max(width, height))
        left, top = max(x + width // 2 - half, 0), max(y + height // 2 - half, 0)
        crop = painting.picture.crop((left, top, min(left + 2 * half, scene.picture[0]),
                                      min(top + 2 * half, scene.picture[1])))
        return np.asarray(crop.resize((304, 304), Image.BICUBIC))

    def __len__(self):
        return len(self.scenes)

    def image(self, index, side, top, lines):
        return self.images[index][top:top + lines]

    def items(self):
        return [{'class_id': scene.species.number - 1, 'captions': captions_of(scene)}
                for scene in self.scenes]

    def truth(self):
        return np.array([[VALUES[name].index(truth_of(scene)[name]) for name in ATTRIBUTES]
                         for scene in self.scenes])


def test_the_judge_reads_species_it_has_never_seen(monkeypatch):
    """From far fewer images than a dataset has and coarser at the bill, so less well."""
    monkeypatch.setattr(attribute_judge, 'CELLS', 5)
    judge = AttributeJudge(Painted('train', range(192)), NAMES, 'content')
    test = Painted('test', range(192, 480))
    shares = {}
    for name, side in (('whole', 256), ('as small as Stage-I', 64)):
        views = [Image.fromarray(image[24:280, 24:280]).resize((side, side), Image.BILINEAR)
                 for image in test.images]
        logits, none = judge.run([judge.prepare(np.asarray(view)) for view in views])
        assert none.shape == (len(test), 0) and (logits.sum(1) == len(ATTRIBUTES)).all()
        right = (read_by_judge(logits) == test.truth()).mean(0)
        shares[name] = dict(zip(ATTRIBUTES, right))
    for found in shares.values():
        assert min(found['body'], found['wings'], found['scene']) > 0.95, shares
        assert found['crown'] > 0.8 and found['beak'] > 0.8, shares


def test_kernel_ridge_regression_row_by_row():
    random = np.random.RandomState(3)
    rows, targets = random.normal(size=(30, 4)), random.normal(size=(30, 2))
    reader = kernel_ridge(rows, targets, 0.5)
    squares = [[sum((x - y) ** 2 for x, y in zip(a, b)) for b in rows] for a in rows]
    scale = np.median([squares[i][j] for i in range(30) for j in range(i)])
    kernel = np.exp(-np.array(squares) / scale)
    weights = np.linalg.inv(kernel + 0.5 * np.eye(30)) @ (targets - targets.mean(0))
    new = random.normal(size=(5, 4))
    expected = [targets.mean(0) + sum(np.exp(-((each - row) ** 2).sum() / scale) * weight
                                      for row, weight in zip(rows, weights)) for each in new]
    np.testing.assert_allclose(reader.scores(new), expected, atol=1e-9)


def test_a_kernel_reads_what_no_sum_of_counts_says():
    """Exclusive or: either count alone means 1, both or none mean 0."""
    rows = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], float)
    targets = np.array([[0], [1], [1], [0]], float)
    read = kernel_ridge(rows, targets, 0.01).scores(rows)
    assert np.abs(read - targets).max() < 0.05


def test_a_dataset_too_small_to_learn_from():
    with pytest.raises(StackganError, match='no training image with [a-z]+ [a-z]+; paint more'):
        AttributeJudge(Painted('train', range(3)), NAMES, 'content')
