"""What captions of painted birds ask for, the judge that reads it, and the accuracy."""

import numpy as np
import pytest

from stackgan.data.painted import VALUES, are_species, asked_by, true_of
from stackgan.data.painted.captions import captions_of
from stackgan.data.painted.scene import scene_of
from stackgan.data.painted.species import all_species
from stackgan.scoring import attributes
from stackgan.scoring.attributes import (
    ATTRIBUTES,
    OUTPUTS,
    SLICES,
    CaptionAttributes,
    attribute_accuracy,
    legible,
    read_by_judge,
)


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
