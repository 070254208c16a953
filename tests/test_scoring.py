"""Scores of sets: order of good and bad sets, cache, resume, foreign folders, refusals."""

import copy
import json
import os
import shutil

import numpy as np
import pytest
from clip_toy import make_towers
from logged import logged
from PIL import Image
from test_scorer import SCORER, train
from toy import COLOURS, NeverStop, draw_image, make_embeddings, make_prepared, tiny_config

from stackgan.data.prepared import ArrayFile, Split, open_dataset
from stackgan.errors import InputError, StackganError
from stackgan.sampling.held_out import held_out_captions
from stackgan.sampling.sampler import Sampler
from stackgan.scoring import features
from stackgan.scoring.extractors import open_scorer
from stackgan.scoring.features import Features, extract
from stackgan.scoring.image_sets import FolderImages, GeneratedImages, RealImages
from stackgan.scoring.protocol_scores import minimum_images
from stackgan.scoring.protocols import Network, near_chance, protocols_of, try_score
from stackgan.scoring.running import CheckpointToScore, Digests, score_checkpoints, score_folder
from stackgan.scoring.scored_set import Captions, ScoredSet
from stackgan.scoring.statistics.kernel_distance import kernel_distance
from stackgan.scoring.statistics.neighbours import share_within
from stackgan.scoring.table import table
from stackgan.scoring.views import real_image
from stackgan.training.stages import train_stage

SETTINGS = SCORER + ['score.images=24', 'score.splits=2', 'score.seed=3', 'scorer.steps=100',
                     'stage1.epochs=1', 'train.checkpoint_every_steps=2',
                     'train.keep_checkpoints=3']
DIGESTS = Digests('prepared', 'embeddings')
MATCH = Network('match', has_classes=False)
ALL_COLOURS = tuple(COLOURS.values())


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """{name: folder} of a tiny run: prepared, embeddings, stage1, scorer."""
    folder = tmp_path_factory.mktemp('run')
    found = {'prepared': make_prepared(folder / 'prepared', images=40, captions=5)}
    found['embeddings'] = make_embeddings(folder / 'embeddings', found['prepared'])
    for name in ('stage1', 'scorer'):
        found[name] = str(folder / name)
        os.makedirs(found[name])
    train(found['scorer'], found['prepared'], 'scorer.steps=100')
    train_stage(1, tiny_config(*SETTINGS), found['prepared'], found['embeddings'],
                found['stage1'], NeverStop())
    return found


def real_images(run):
    return RealImages(Split(open_dataset(run['prepared']), 'test'), 'prepared', 3)


def lines_of(folder):
    with open(os.path.join(str(folder), 'scores.jsonl')) as stream:
        return [json.loads(line) for line in stream]


def value(lines, protocol, name):
    return [line['value'] for line in lines
            if (line['protocol'], line['set']) == (protocol, name)][-1]


def save(folder, images):
    os.makedirs(str(folder))
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(str(folder / ('%03d.png' % number)))
    return str(folder)


def good_images(count, colours=ALL_COLOURS, seed=9):
    random = np.random.RandomState(seed)
    return [draw_image(random, colours[i % len(colours)], 256) for i in range(count)]


def score(images, run, folder, *settings):
    os.makedirs(str(folder))
    with logged() as lines:
        score_folder(images, run, str(folder), [], tiny_config(*(SETTINGS + list(settings))),
                     DIGESTS)
    return lines_of(folder), lines


def test_sets_come_out_in_their_order(run, tmp_path):
    """As good as real, one kind alone, noise: the scores tell which is which."""
    noise = np.random.RandomState(0).randint(0, 256, (24, 256, 256, 3)).astype(np.uint8)
    sets = {'good': good_images(24), 'collapsed': good_images(24, [COLOURS['red']]),
            'noise': list(noise)}
    found = {}
    for name, images in sets.items():
        folder = save(tmp_path / name, images)
        lines, _ = score(folder, run, tmp_path / (name + '-scores'))
        found[name] = [value(lines, protocol, 'folder')
                       for protocol in ('inception_score/scorer/full', 'fid/scorer')]
        real = value(lines, 'inception_score/scorer/full', 'real')
    assert found['good'][0] > 0.7 * real > 2 and found['collapsed'][0] < 1.5
    assert found['noise'][0] < 1.5
    assert found['good'][1] < 0.3 * min(found['collapsed'][1], found['noise'][1])


def test_a_line_says_what_the_score_is_of(run, tmp_path):
    images = save(tmp_path / 'images', good_images(20))
    lines, said = score(images, run, tmp_path / 'scores')
    assert [(line['protocol'], line['set']) for line in lines] == [
        (protocol, name) for protocol in (
            'inception_score/scorer/full', 'fid/scorer', 'kid/scorer', 'precision/scorer',
            'recall/scorer') for name in ('folder', 'real')] + [('variety/scorer', 'real')]
    line = lines[0]
    assert line['images'] == 20 and line['seed'] == 3 and len(line['splits']) == 2
    assert line['value'] == np.mean(line['splits']) and line['deviation'] == np.std(line['splits'])
    assert line['scorer_accuracy'] > 0.8 and len(line['weights']) == 64 and line['seconds'] > 0
    assert lines[2]['splits'] == [] and lines[2]['deviation'] is None
    assert lines[3]['value'] > 0                         # between two halves of the real images
    assert said[-7].split() == ['protocol', 'folder', 'real']
    assert said[-6].startswith('inception_score/scorer/full  {:.4g}'.format(line['value']))


def test_scores_are_those_of_the_features(run, tmp_path):
    """What is written equals the definitions on what the network gives for each image."""
    images = good_images(21)
    lines, _ = score(save(tmp_path / 'images', images), run, tmp_path / 'scores')
    with open_scorer(run['scorer'], tiny_config().platform) as network:
        logits, seen = network.run([network.prepare(each) for each in images])
        test = Split(open_dataset(run['prepared']), 'test')
        real = network.run([network.prepare(test.image(i, 304)[24:280, 24:280])
                            for i in range(40)])[1]
    p = np.exp(logits.astype(float))
    p = (p / p.sum(1, keepdims=True))[np.random.RandomState(3).permutation(21)]
    parts = [p[:10], p[10:]]
    expected = [np.exp((q * np.log(q / q.mean(0))).sum(1).mean()) for q in parts]
    assert np.allclose(lines[0]['splits'], expected, rtol=1e-5)
    s1, s2 = [np.cov(x.astype(float), rowvar=False) for x in (seen, real)]
    roots = np.sqrt(np.linalg.eigvals(s1.dot(s2)).astype(complex)).real.sum()
    distance = (((seen.mean(0) - real.mean(0)) ** 2).sum() + np.trace(s1) + np.trace(s2)
                - 2 * roots)
    assert value(lines, 'fid/scorer', 'folder') == pytest.approx(distance, rel=1e-3)
    assert value(lines, 'kid/scorer', 'folder') == pytest.approx(
        kernel_distance(seen, real, 3).value, rel=1e-3)
    assert value(lines, 'precision/scorer', 'folder') == share_within(seen, real)
    assert value(lines, 'recall/scorer', 'folder') == share_within(real, seen)
    assert value(lines, 'variety/scorer', 'real') == pytest.approx(1.0)


# Generated images.

def checkpoints(run, *names):
    folder = os.path.join(run['stage1'], 'checkpoints')
    return [CheckpointToScore(os.path.join(folder, name), 'runs/' + name, int(name), 1,
                              {'checkpoint': name}) for name in names]


def score_steps(run, folder, *names, **more):
    os.makedirs(str(folder), exist_ok=True)
    score_checkpoints(checkpoints(run, *names), run, str(folder), more.get('earlier', []),
                      tiny_config(*(SETTINGS + more.get('settings', []))), DIGESTS)
    return lines_of(folder)


def test_generated_images_are_those_of_the_sampler(run):
    test = Split(open_dataset(run['prepared']), 'test')
    rows = ArrayFile(run['embeddings'] + '/test.npy')

    def open_sampler():
        return Sampler(run['stage1'], 'last', 4, tiny_config().platform)

    images = GeneratedImages(open_sampler, test, rows, 90, 3, {})
    generated = [read().pixels for read in images.readers(0)]
    later = [read().pixels for read in images.readers(77)]
    assert len(generated) == 90 and generated[0].shape == (64, 64, 3)
    assert len(later) == 13 and all(np.array_equal(a, b) for a, b in zip(generated[77:], later))
    wanted = held_out_captions(test, rows, 90, 3)
    with open_sampler() as sampler:
        assert np.array_equal(sampler.generate(wanted[40:44], 3)[64], np.stack(generated[40:44]))
    captions = images.captions()
    embeddings = np.load(run['embeddings'] + '/test.npy')
    assert all(np.array_equal(embeddings[row], each.embedding)
               for row, each in zip(captions, wanted))


def test_checkpoints_are_scored_once_and_stay_in_the_record(run, tmp_path, monkeypatch):
    first = score_steps(run, tmp_path / 'first', '00000010')
    assert {line['step'] for line in first if line['set'] == 'generated'} == {10}
    generated = []
    readers = GeneratedImages.readers
    monkeypatch.setattr(GeneratedImages, 'readers', lambda self, start: generated.append(
        self.facts['checkpoint']) or readers(self, start))
    both = score_steps(run, tmp_path / 'both', '00000008', '00000010',
                       earlier=[str(tmp_path / 'first')])
    assert generated == ['00000008'] * 2                 # and for variety
    steps = [line['step'] for line in both if line['set'] == 'generated'
             and line['protocol'] == 'fid/scorer']
    assert steps == [8, 10]
    assert [line for line in both if line['step'] == 10] == [
        line for line in first if line['step'] == 10]
    later = score_steps(run, tmp_path / 'later', '00000010', earlier=[str(tmp_path / 'both')])
    assert later == both                                 # that of step 8 is comparable and stays
    assert generated == ['00000008'] * 2                 # and for variety
    score_steps(run, tmp_path / 'splits', '00000010', earlier=[str(tmp_path / 'later')],
                settings=['score.splits=3'])
    assert generated == ['00000008'] * 2                     # what was seen serves other splits too
    other = score_steps(run, tmp_path / 'other', '00000010', earlier=[str(tmp_path / 'both')],
                        settings=['score.images=20'])
    assert [line['step'] for line in other if line['protocol'] == 'fid/scorer'
            and line['set'] == 'generated'] == [10]              # and here it is not


def test_events(run, tmp_path):
    lines = score_steps(run, tmp_path / 'scores', '00000008', '00000010')
    import tensorflow.compat.v1 as tf
    folder = str(tmp_path / 'scores' / 'events')
    found = {}
    for name in os.listdir(folder):
        for event in tf.train.summary_iterator(os.path.join(folder, name)):
            for each in event.summary.value:
                found[each.tag, event.step] = each.simple_value
    for line in lines:
        if line['step']:
            stored = found['scores/' + line['protocol'], line['step']]
            assert stored == pytest.approx(line['value'], rel=1e-6)
    assert ('scores_of_real_images/fid/scorer', 10) in found


def test_a_scorer_that_has_not_learned_is_refused(run, tmp_path):
    weak = dict(run, scorer=str(tmp_path / 'weak'))
    shutil.copytree(run['scorer'], weak['scorer'])
    facts = json.load(open(weak['scorer'] + '/scorer.json'))
    json.dump(dict(facts, accuracy=0.3), open(weak['scorer'] + '/scorer.json', 'w'))
    assert score_steps(weak, tmp_path / 'scores', '00000010') == []
    refused = json.load(open(str(tmp_path / 'scores' / 'refused.json')))
    assert {each['protocol'] for each in refused} > {'inception_score/scorer/full', 'fid/scorer'}
    assert 'accuracy of 30.0 % on held-out real images' in refused[0]['reason']
    with pytest.raises(StackganError, match='accuracy of 30.0 %'):
        score(save(tmp_path / 'images', good_images(4)), weak, tmp_path / 'folder')


def test_networks_like_clip_score_each_checkpoint_beside_real_images(run, tmp_path):
    pytest.importorskip('tokenizers', reason="the extra `sentences` is not installed (pip install "
                                             "'stackgan[sentences]')")
    with_clip = dict(run, clip=make_towers(tmp_path / 'towers'))
    lines = score_steps(with_clip, tmp_path / 'scores', '00000010')
    found = {(line['protocol'].split('/')[0], line['set']): line for line in lines
             if '/clip-' in line['protocol']}
    assert set(found) == {(name, kind) for name in ('clip_score', 'r_precision')
                          for kind in ('generated', 'real')}
    assert found['r_precision', 'real']['value'] > 0.9 > found['r_precision', 'generated']['value']
    assert found['clip_score', 'generated']['step'] == 10
    assert found['clip_score', 'generated']['images'] == 24
    assert "captions after 'A photo depicts '" in found['clip_score', 'real']['preprocessing']


# Several noises of a caption.

def test_variety_is_that_of_several_noises_of_a_caption(run, tmp_path):
    """What is written equals the definition on the features of images generated here."""
    lines = score_steps(run, tmp_path / 'scores', '00000010')
    line = [each for each in lines if (each['protocol'], each['set'])
            == ('variety/scorer', 'generated')][0]
    assert line['images'] == 8 and len(line['splits']) == 2
    test = Split(open_dataset(run['prepared']), 'test')
    rows = ArrayFile(run['embeddings'] + '/test.npy')
    wanted = held_out_captions(test, rows, 2, 3)
    with open_scorer(run['scorer'], tiny_config().platform) as network, \
            Sampler(run['stage1'], 'last', 4, tiny_config().platform) as sampler:
        def seen(images):
            return network.run([network.prepare(each) for each in images])[1].astype(float)

        apart = [distance(seen(sampler.generate([each._replace(copy=copy) for copy in range(4)],
                                                3)[64])) for each in wanted]
        real = [distance(seen([real_image(test, i) for i in np.flatnonzero(test.class_ids == c)]))
                for c in range(4)]
    assert np.allclose(line['splits'], np.array(apart) / np.mean(real), rtol=1e-3)


def distance(rows):
    """Mean over the pairs of different rows."""
    return np.mean([np.linalg.norm(a - b) for i, a in enumerate(rows)
                    for j, b in enumerate(rows) if i != j])


# R-precision.

class FakeFeatures:
    """Rows of given features."""

    def __init__(self, values):
        self.rows = np.zeros(len(values), [('elongation', '<f4'),
                                           ('features', '<f4', values.shape[1:])])
        self.rows['features'], self.rows['elongation'] = values, 1

    def blocks(self):
        return [self.rows[:5], self.rows[5:]]


class FakeImages:
    name = 'generated'

    def __init__(self, rows):
        self.rows = rows

    def captions(self):
        return self.rows


def test_r_precision_of_perfect_and_of_unrelated_images(tmp_path):
    random = np.random.RandomState(0)
    classes = np.repeat(np.arange(10), 20)
    np.save(str(tmp_path / 'rows.npy'), random.standard_normal((200, 16)).astype(np.float32))
    rows = ArrayFile(str(tmp_path / 'rows.npy'))
    own = random.randint(0, 200, 300)
    protocol = protocols_of([MATCH], 10, 0, Captions(rows, classes))[0]
    texts = np.load(str(tmp_path / 'rows.npy'))[own]
    found = {}
    for name, seen in (('own', texts * 3), ('unrelated', random.standard_normal((300, 16))),
                       ('of its class', texts)):
        captions = own if name != 'of its class' else own // 20 * 20
        scored = ScoredSet(FakeImages(captions), {'match': FakeFeatures(seen)}, 0.0)
        found[name] = protocol.score(scored, None)
    assert found['own'].value == 1.0 and found['own'].deviation == 0.0
    assert found['unrelated'].value < 0.05 and len(found['own'].parts) == 10
    few = protocols_of([MATCH], 10, 0, Captions(rows, np.zeros(200, int)))[0]
    assert try_score(few, scored, None) == (
        None, '0 captions of other classes than 0; at least 99 are needed')


def test_a_score_that_says_nothing_of_real_images_is_refused():
    protocol = protocols_of([MATCH], 10, 0, Captions(None, None))[0]
    assert near_chance(protocol, 0.97) is None
    of_distance = protocols_of([Network('scorer')], 10, 0, None)[2]
    assert of_distance.name == 'kid/scorer' and near_chance(of_distance, -0.1) is None
    assert near_chance(protocol, 0.2) == (
        'real test images score only 0.2 (chance 0.01); a score on which they do not reach 0.3 '
        'says nothing about generated ones')


# Features on disk.

class Interruption(Exception):
    pass


def test_an_interrupted_look_goes_on_and_gives_the_same(run, tmp_path):
    whole, cut = str(tmp_path / 'whole'), str(tmp_path / 'cut')
    images, asked = real_images(run), []

    class FailsOnce(RealImages):
        def readers(self, first):
            asked.append(first)
            for index, read in enumerate(super().readers(first), first):
                if index == 37 and len(asked) == 1:
                    raise Interruption
                yield read

    failing = FailsOnce(images.split, 'prepared', 3)
    with open_scorer(run['scorer'], tiny_config().platform) as network:
        expected = np.concatenate(list(extract(images, [network], whole, 'x')['scorer'].blocks()))
        with pytest.raises(Interruption):
            extract(failing, [network], cut, 'x')
        path = Features(cut, network, failing).path
        with open(path, 'ab') as stream:
            stream.write(b'half a row')
        found = extract(failing, [network], cut, 'x')['scorer']
        rows = np.concatenate(list(found.blocks()))
    assert asked == [0, 32] and rows.tobytes() == expected.tobytes()
    assert np.load(path).tobytes() == expected.tobytes()          # a plain .npy file


def test_features_are_seen_once_and_damaged_ones_again(run, tmp_path, monkeypatch):
    first, second = str(tmp_path / 'first'), str(tmp_path / 'second')
    images, made = real_images(run), []
    readers = RealImages.readers
    monkeypatch.setattr(RealImages, 'readers', lambda self, start: made.append(start)
                        or readers(self, start))
    with open_scorer(run['scorer'], tiny_config().platform) as network:
        rows = list(extract(images, [network], first, 'x')['scorer'].blocks())[0]
        again = extract(images, [network], second, 'x', [first])['scorer']
        assert made == [0] and list(again.blocks())[0].tobytes() == rows.tobytes()
        with open(again.path, 'r+b') as stream:
            stream.write(b'damaged header')
        third = extract(images, [network], second, 'x')['scorer']
        assert made == [0, 0] and list(third.blocks())[0].tobytes() == rows.tobytes()


def test_whatever_changes_the_features_changes_their_key(run, tmp_path, monkeypatch):
    images = real_images(run)
    folder = save(tmp_path / 'images', good_images(3))
    test, rows = images.split, ArrayFile(run['embeddings'] + '/test.npy')

    def generated(**changes):
        values = dict(count=24, seed=3, facts={'checkpoint': 'a'})
        values.update(changes)
        return GeneratedImages(None, test, rows, values['count'], values['seed'],
                               values['facts'])

    with open_scorer(run['scorer'], tiny_config().platform) as network:
        def name(images, **facts):
            changed = copy.copy(network)
            changed.facts = dict(network.facts, **facts)
            return os.path.dirname(Features(str(tmp_path), changed, images).path)

        names = [name(images), name(images, weights='other'), name(images, side=31),
                 name(images, precision='bfloat16'), name(images, extractor='imagenet'),
                 name(RealImages(test, 'other', 3)), name(generated()),
                 name(generated(count=25)), name(generated(seed=4)),
                 name(generated(facts={'checkpoint': 'b'})), name(FolderImages(folder))]
        monkeypatch.setattr(features, 'VERSION', 2)
        names.append(name(images))
        os.utime(os.path.join(folder, '000.png'), (1, 1))
        names.append(name(FolderImages(folder)))
        save(tmp_path / 'images' / 'more', good_images(1))
        names.append(name(FolderImages(folder)))
    assert len(set(names)) == len(names)


# Foreign folders.

@pytest.fixture
def foreign(tmp_path):
    """20 images of all kinds, and others that cannot be read."""
    folder = tmp_path / 'foreign'
    images = [Image.fromarray(each) for each in good_images(20)]
    os.makedirs(str(folder / 'deep'))
    images[0].convert('L').save(str(folder / 'grey.PNG'))
    images[1].resize((90, 70)).save(str(folder / 'small.jpg'))
    shown = images[2].convert('RGBA')
    shown.putalpha(Image.new('L', shown.size, 0))
    shown.save(str(folder / 'deep' / 'clear.webp'))
    images[3].convert('P').save(str(folder / 'few.gif'))
    images[4].resize((600, 150)).save(str(folder / 'strip.png'))
    for number, each in enumerate(images[5:], 5):
        each.save(str(folder / 'deep' / ('%02d.bmp' % number)))
    (folder / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\n broken')
    (folder / 'notes.txt').write_text('no image')
    shutil.copyfile(str(folder / 'deep' / '05.bmp'), str(folder / 'copy.bmp'))
    return folder


def test_a_foreign_folder(run, foreign, tmp_path):
    lines, said = score(str(foreign), run, tmp_path / 'scores')
    assert {(line['images'], line['unreadable'], line['duplicates'], line['elongated'])
            for line in lines if line['set'] == 'folder'} == {(21, 1, 1, 1)}
    unreadable = json.load(open(str(tmp_path / 'scores' / 'unreadable.json')))
    assert [each['file'] for each in unreadable] == ['broken.png']
    text = '\n'.join(said)
    for words in ('broken.png cannot be read: it is', '1 of 21 folder images are exact '
                  'copies of others', 'the long side of 1 of 21 folder images is at least 1.5 '):
        assert words in text, text


def test_grey_is_grey_and_what_is_clear_is_white(foreign):
    images = FolderImages(str(foreign))
    found = {name: read().pixels for name, read in zip(images.paths, images.readers(0))}
    assert (found['grey.PNG'] == found['grey.PNG'][..., :1]).all()
    assert (found['deep/clear.webp'] == 255).all()
    assert found['strip.png'].shape == (150, 600, 3) and found['broken.png'] is None


@pytest.mark.parametrize('count, text', [
    (0, r'images: no image there \(jpg, jpeg, png'),
    (1, r'images: 1 images, but 2 splits need at least 4; add images or lower score.splits')])
def test_too_few_images(run, tmp_path, count, text):
    images = save(tmp_path / 'images', good_images(count))
    with pytest.raises(InputError, match=text):
        score(images, run, tmp_path / 'scores')


def test_a_folder_of_what_cannot_be_read(run, tmp_path):
    images = save(tmp_path / 'images', good_images(3))
    (tmp_path / 'images' / 'x.png').write_text('text')
    with pytest.raises(InputError, match='3 images that can be read, but 2 splits need at '):
        score(images, run, tmp_path / 'scores')


def test_images_that_a_split_needs():
    assert minimum_images(10) == 20 and minimum_images(10, 'public') == 64
    assert minimum_images(40, 'public') == 128


def test_the_table_shows_the_newest_checkpoint():
    lines = [{'protocol': 'fid/scorer', 'set': name, 'value': number, 'deviation': None,
              'images': 7, 'stage': 2} for name, number in (('generated', 3.0), ('generated', 2.5),
                                                ('real', 1.0))]
    assert table(lines) == ['protocol    Stage-II  real', 'fid/scorer  2.5 (7)   1 (7)']
    low = dict(lines[0], set='stage1', value=4.0, stage=1)
    old = dict(low, protocol='kid/scorer')       # of a record without this score of the others
    assert table(lines + [low, old]) == ['protocol    Stage-I  Stage-II  real',
                                         'fid/scorer  4 (7)    2.5 (7)   1 (7)',
                                         'kid/scorer  4 (7)    -         -']
