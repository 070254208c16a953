"""The embedded dataset: its layout, and that what it says about its pictures is true."""

import collections
import itertools
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from logged import logged
from PIL import Image

from stackgan.data.painted import make_dataset
from stackgan.data.painted.captions import captions_of
from stackgan.data.painted.drawing import paint
from stackgan.data.painted.scene import scene_of
from stackgan.data.painted.species import (
    BEAKS,
    BODY_COLOURS,
    CROWNS,
    FAINT,
    PALETTE,
    WINGS_BY_BODY,
    all_species,
    images_for_all,
    species_of,
)
from stackgan.errors import InputError
from stackgan.files import digest_of_file, files_below, read_json_lines

IMAGES, SIDE, SEED = 104, 128, 3
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('painted'))
    with logged() as lines:
        make_dataset(folder, IMAGES, SIDE, SEED, workers=1)
    assert len(lines) == 1 and '104 pictures of 96 species' in lines[0]
    return folder


def _numbered(folder, name):
    with open(os.path.join(folder, 'CUB_200_2011', name)) as stream:
        rows = [line.split() for line in stream]
    return {int(row[0]): row[1:] for row in rows}


def _unpickled(folder, split, name):
    with open(os.path.join(folder, split, name + '.pickle'), 'rb') as stream:
        data = stream.read()
    assert data[:2] == b'\x80\x02'                       # protocol 2
    return pickle.loads(data)


def test_lists_of_the_layout_agree(dataset):
    images, labels = _numbered(dataset, 'images.txt'), _numbered(dataset, 'image_class_labels.txt')
    boxes, classes = _numbered(dataset, 'bounding_boxes.txt'), _numbered(dataset, 'classes.txt')
    truth = read_json_lines(os.path.join(dataset, 'attributes.jsonl'))
    assert list(images) == list(labels) == list(boxes) == list(range(1, IMAGES + 1))
    assert list(classes) == list(range(1, 97))
    for number, record in enumerate(truth, 1):
        assert images[number] == [record['name'] + '.jpg']
        assert record['name'].split('/')[0] == record['class'] == classes[int(labels[number][0])][0]
        assert [float(value) for value in boxes[number]] == record['box']
    for split in ('train', 'test'):
        members = [record for record in truth if record['split'] == split]
        names, numbers = (_unpickled(dataset, split, n) for n in ('filenames', 'class_info'))
        assert names == [record['name'] for record in members] and members
        assert [classes[number][0] for number in numbers] == [r['class'] for r in members]


def test_every_picture_and_its_captions_are_there_and_nothing_else(dataset):
    truth = read_json_lines(os.path.join(dataset, 'attributes.jsonl'))
    pictures = ['CUB_200_2011/images/{}.jpg'.format(record['name']) for record in truth]
    texts = ['text_c10/{}.txt'.format(record['name']) for record in truth]
    lists = [f'CUB_200_2011/{name}.txt' for name in (
        'images', 'image_class_labels', 'bounding_boxes', 'classes')]
    lists += [f'{split}/{name}.pickle' for split in ('train', 'test')
              for name in ('filenames', 'class_info')]
    assert files_below(dataset) == sorted(pictures + texts + lists + ['attributes.jsonl'])
    for record, picture, text in zip(truth, pictures, texts):
        with Image.open(os.path.join(dataset, picture)) as image:
            assert image.mode == 'RGB' and list(image.size) == record['picture']
            assert max(image.size) == SIDE
        x, y, width, height = record['box']
        assert min(x, y) >= 0 and width > 0 and height > 0
        assert x + width <= record['picture'][0] and y + height <= record['picture'][1]
        with open(os.path.join(dataset, text)) as stream:
            assert len(stream.read().splitlines()) == 10


def test_a_smaller_dataset_of_the_same_seed_is_the_beginning(dataset, tmp_path):
    """In another process, with several workers and without TensorFlow."""
    code = ('import sys; from stackgan.data.painted import make_dataset; '
            'make_dataset(sys.argv[1], 96, %d, %d, workers=2); '
            'assert "tensorflow" not in sys.modules' % (SIDE, SEED))
    subprocess.run([sys.executable, '-c', code, str(tmp_path)], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    smaller = read_json_lines(str(tmp_path / 'attributes.jsonl'))
    assert smaller == read_json_lines(os.path.join(dataset, 'attributes.jsonl'))[:96]
    for record in smaller:
        for path in ('CUB_200_2011/images/%s.jpg', 'text_c10/%s.txt'):
            path = path % record['name']
            assert digest_of_file(str(tmp_path / path)) == digest_of_file(
                os.path.join(dataset, path)), path


def test_another_seed_draws_other_pictures():
    first, second = (np.asarray(paint(scene_of(seed, 0, 96)).picture) for seed in (3, 4))
    assert first.shape != second.shape or np.any(first != second)


def test_fewer_pictures_than_species_are_refused(tmp_path):
    with pytest.raises(InputError, match='95 pictures for 96 species'):
        make_dataset(str(tmp_path), 95, SIDE, SEED)
    assert not os.listdir(str(tmp_path))


def test_held_out_species_combine_colours_seen_apart():
    species = all_species()
    train = [each for each in species if each.split == 'train']
    test = [each for each in species if each.split == 'test']
    assert len({each.name for each in species}) == 96
    assert sorted(each.body for each in test) == sorted(BODY_COLOURS * 3)
    assert not {e[2:6] for e in train} & {e[2:6] for e in test}        # body, wing, head, beak
    assert {e.split for e in species[:72]} == {'train'}
    for part in ('body', 'wing', 'head', 'beak'):
        seen = {getattr(each, part) for each in train}
        assert {getattr(each, part) for each in test} <= seen


def test_body_and_wing_colours_do_not_give_each_other_away():
    train = [each for each in all_species() if each.split == 'train']
    assert len({each[2:6] for each in all_species()}) == 96           # each combination once
    wings, bodies = collections.defaultdict(set), collections.defaultdict(set)
    for each in train:
        wings[each.body].add(each.wing)
        bodies[each.wing].add(each.body)
        assert len({each.body, each.wing, each.head}) == 3
        assert each.beak not in (each.body, each.head)
    assert min(map(len, wings.values())) >= 3 and min(map(len, bodies.values())) >= 6
    assert set(collections.Counter(each.body for each in train).values()) == {9}


def test_all_combinations_but_those_of_held_out_wings_and_crowns():
    every = all_species(True)
    train = [each for each in every if each.split == 'train']
    test = [each for each in every if each.split == 'test']
    assert every == tuple(train + test) and len({each.name for each in every}) == len(every)
    assert not {each.name for each in every} & {each.name for each in all_species()}
    assert collections.Counter(each.body for each in test) == dict.fromkeys(BODY_COLOURS, 3)
    possible = {(body, wing, head, beak) for body in BODY_COLOURS for wing in WINGS_BY_BODY[body]
                for head in CROWNS if head not in (body, wing) and (body, head) not in FAINT
                for beak in BEAKS if beak not in (body, head)}
    held_out = {each[2:5] for each in test}
    assert {each[2:6] for each in train} == {
        each for each in possible if each[:3] not in held_out}
    assert {each[2:6] for each in test} <= possible
    for two in itertools.combinations(range(2, 6), 2):        # any two parts are seen together
        seen = {tuple(each[part] for part in two) for each in train}
        assert {tuple(each[part] for part in two) for each in test} <= seen
    for part, values in (('wing', 4), ('head', 6), ('beak', 4)):
        counts = collections.Counter(getattr(each, part) for each in test)
        assert len(counts) == values and max(counts.values()) <= min(counts.values()) + 2


@pytest.mark.parametrize('every', [False, True])
def test_images_of_species(every):
    """Three quarters are for training. All have their turn, of any body colour as often."""
    species = all_species(every)
    least = images_for_all(species)
    owns = [species_of(number, species) for number in range(2 * least)]
    assert len({own.name for own, _ in owns[:least]}) == len(species)
    assert len({own.name for own, _ in owns[:least - 1]}) == len(species) - 1
    assert len({(own.name, among) for own, among in owns}) == 2 * least        # as their files are
    for number, (own, among) in enumerate(owns):
        few, turn = all_species()[number % 96], number // 96
        assert (own.split, own.body) == (few.split, few.body)
        if not every:
            assert (own, among) == (few, turn)


def _changed(scene, **colours):
    """Mask (height, width) of the pixels that depend on some of the bird's colours."""
    other = scene._replace(species=scene.species._replace(**colours))
    before, after = (np.asarray(paint(each).picture, int) for each in (scene, other))
    return np.abs(before - after).max(axis=2)


def _another(colour):
    return 'green' if PALETTE[colour][1] < 120 else 'black'


@pytest.mark.parametrize('number', range(0, 96, 5))
def test_parts_have_the_colours_that_are_said_and_the_body_is_the_largest(number):
    scene = scene_of(SEED, number, 160)
    pixels = np.asarray(paint(scene).picture, float)
    areas = {}
    for part in ('body', 'wing', 'head', 'beak'):
        said = getattr(scene.species, part)
        changed = _changed(scene, **{part: _another(said)}) > 40
        areas[part] = changed.sum()
        shown = np.median(pixels[changed], axis=0)
        distances = {name: np.linalg.norm(shown - value) for name, value in PALETTE.items()}
        assert distances[said] < 75 and said == min(distances, key=distances.get), (part, shown)
    assert areas['body'] == max(areas.values())
    assert areas['body'] > 0.35 * sum(areas.values())


@pytest.mark.parametrize('number', range(1, 96, 7))
def test_box_is_the_smallest_around_the_bird(number):
    scene = scene_of(SEED, number, 160)
    painting = paint(scene)
    x, y, width, height = painting.box
    mask = np.asarray(painting.mask)
    inside = mask[y:y + height, x:x + width]
    assert inside.sum() == mask.sum()
    assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
    colours = {part: _another(getattr(scene.species, part))
               for part in ('body', 'wing', 'head', 'beak')}
    rows, columns = np.nonzero(_changed(scene, **colours) > 6)
    assert abs(columns.min() - x) <= 1 and abs(columns.max() - (x + width - 1)) <= 1
    assert abs(rows.min() - y) <= 1
    if scene.pose == 'flying':                  # elsewhere legs or a reflection are below
        assert abs(rows.max() - (y + height - 1)) <= 1


@pytest.mark.parametrize('number', range(2, 96, 11))
def test_bird_faces_where_it_is_said(number):
    scene = scene_of(SEED, number, 160)
    centres = {part: np.nonzero(_changed(scene, **{part: _another(getattr(scene.species, part))})
                                > 40)[1].mean() for part in ('beak', 'body')}
    assert (centres['beak'] < centres['body']) == (scene.facing == 'left')


COLOUR = '({})'.format('|'.join(PALETTE))
CLAIMS = {
    'body': (COLOUR + r' (?:bird|body|breast)\b', COLOUR + '-bodied', 'body is ' + COLOUR,
             r'most of this \w+ bird is ' + COLOUR, f'bird, {COLOUR} from'),
    'wing': (COLOUR + ' wing', '(?:wings|wing feathers) are ' + COLOUR),
    'head': (COLOUR + ' (?:crown|cap)', '(?:crown|cap) is ' + COLOUR),
    'beak': (COLOUR + ' (?:beak|bill)', '(?:beak|bill) of this [a-z ]+ bird is ' + COLOUR),
}


def test_captions_are_true_well_formed_and_different():
    stated = collections.Counter()
    for number in range(240):
        scene = scene_of(SEED, number, 96)
        captions = captions_of(scene)
        assert len(captions) == len(set(captions)) == 10
        for caption in captions:
            assert re.match(r"^[a-z][a-z ,;-]+[a-z]$", caption) and len(caption) <= 180, caption
            assert not re.search(r'\ba [aeiou]|\ban [^aeiou]|  | ,|\b(\w+) \1\b', caption), caption
            words = 0
            for part, patterns in CLAIMS.items():
                claims = [claim for pattern in patterns for claim in re.findall(pattern, caption)]
                assert set(claims) <= {getattr(scene.species, part)}, (part, caption)
                words += len(claims)
                stated[part] += bool(claims)
            assert words == len(re.findall(rf'\b{COLOUR}\b', caption)), caption
            assert not re.search(r'\b(left|right)\b', caption)
    assert stated['body'] == 2400
    assert min(stated.values()) > 0.55 * 2400, stated


def test_articles_follow_the_sound():
    assert any('an orange' in caption for number in (1, 9) for caption in captions_of(
        scene_of(SEED, number, 96)))


def test_every_attribute_has_its_share():
    scenes = [scene_of(SEED, number, 96) for number in range(480)]
    for name, least, values in (('pose', 0.08, 4), ('background', 0.05, 7), ('build', 0.4, 2),
                                ('facing', 0.4, 2)):
        counts = collections.Counter(getattr(scene, name) for scene in scenes)
        assert len(counts) == values and min(counts.values()) > least * len(scenes), counts
    assert len({scene.picture for scene in scenes}) >= 5
