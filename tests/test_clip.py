"""CLIPScore and R-precision by networks like CLIP: random towers against NumPy, odd folders."""

import argparse
import json
import os
import shutil

import numpy as np
import pytest
from clip_toy import (
    CONFIG,
    DIM,
    SIDE,
    caption_embedding,
    image_embedding,
    make_towers,
)
from toy import make_prepared, tiny_config

from jobs import score as score_job
from stackgan.config.schema import Platform
from stackgan.data.prepared import Split, open_dataset
from stackgan.errors import InputError
from stackgan.files import read_json, write_json
from stackgan.scoring.clip import Clip, ClipCaptions
from stackgan.scoring.clip_preprocessing import read_preprocessing
from stackgan.scoring.image_sets import LoadedImage, RealImages
from stackgan.scoring.scored_set import Captions
from stackgan.scoring.scores import Origin, Rules, Scoring
from stackgan.scoring.statistics.clip_score import clip_score
from stackgan.scoring.table import table
from stackgan.scoring.views import real_image

pytest.importorskip('tokenizers', reason="the extra `sentences` is not installed (pip install "
                                         "'stackgan[sentences]')")
PROMPT = 'A photo depicts '
PLATFORM = Platform(threads=1)
REMEDY = 'score.clip must be a folder with image.onnx'


@pytest.fixture(scope='module')
def towers(tmp_path_factory):
    return make_towers(tmp_path_factory.mktemp('towers'))


@pytest.fixture(scope='module')
def test_split(tmp_path_factory):
    return Split(open_dataset(make_prepared(tmp_path_factory.mktemp('data') / 'prepared', images=12,
                                            captions=12)), 'test')


def noise(high, wide, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (high, wide, 3)).astype(np.uint8)


@pytest.mark.parametrize('high, wide', [(64, 64), (256, 256), (50, 91), (130, 47)])
def test_embeddings_of_images_are_those_of_numpy(towers, high, wide):
    with Clip(towers, PROMPT, PLATFORM) as clip:
        images = [noise(high, wide, seed) for seed in range(3)]
        _, rows = clip.run([clip.prepare(image) for image in images])
        alone = clip.run([clip.prepare(images[1])])[1]
    expected = [image_embedding(image) for image in images]
    assert (clip.classes, clip.dim) == (0, DIM) and np.allclose(rows, expected, atol=2e-4)
    assert np.array_equal(rows[1:2], alone)              # whatever is beside it


def test_embeddings_of_captions_are_those_of_numpy(towers):
    with Clip(towers, PROMPT, PLATFORM) as clip:
        captions = ['a red square', 'A blue', 'yellow yellow square of old', 'a green square']
        found = clip.embed_captions(captions)
    assert np.allclose(found, [caption_embedding(each, PROMPT) for each in captions], atol=1e-4)


def test_clip_score_is_its_definition():
    random = np.random.RandomState(1)
    images, captions = random.standard_normal((2, 30, 5))
    found = clip_score(images, captions, 3, 9)
    cosines = [images[i] @ captions[i] / np.sqrt((images[i] ** 2).sum() * (captions[i] ** 2).sum())
               for i in range(30)]
    assert found.value == pytest.approx(np.mean([2.5 * max(cosine, 0) for cosine in cosines]))
    assert len(found.parts) == 3 and found.deviation == pytest.approx(np.std(found.parts))
    perfect = clip_score(captions * 3, captions, 3, 9)
    assert perfect.value == pytest.approx(2.5) and perfect.more['shuffled'] < 1.2
    with pytest.raises(ValueError, match='1 images for 1 folds'):
        clip_score(images[:1], captions[:1], 1, 0)


class WrongImages(RealImages):
    """Images of another class than that of their captions."""

    name = column = 'generated'

    def __init__(self, split, content, seed):
        super().__init__(split, content, seed)
        self.facts = dict(self.facts, set=self.name)

    def _read(self, index):
        return LoadedImage(real_image(self.split, (index + 1) % self.count), 1.0)


def score(split, towers, folder, earlier=(), sets=(RealImages, WrongImages)):
    """Lines of the record of real images and of wrong ones."""
    os.makedirs(str(folder))
    with Clip(towers, PROMPT, PLATFORM) as clip:
        classes = np.repeat(split.class_ids, np.diff(split.caption_starts))
        captions = Captions(ClipCaptions(clip, split, 'prepared', str(folder / 'features'),
                                         [str(each / 'features') for each in earlier]), classes)
        real, *others = [kind(split, 'prepared', 3) for kind in sets]
        scoring = Scoring(str(folder), [str(each) for each in earlier], [clip],
                          Rules(2, 3, None, None, None, clip_captions=captions), real)
        for images in [real] + others:
            scoring.score(images, Origin())
        scoring.finish()
    with open(str(folder / 'scores.jsonl')) as stream:
        return [json.loads(line) for line in stream]


def test_scores_are_those_of_numpy_and_tell_right_from_wrong(test_split, towers, tmp_path):
    lines = score(test_split, towers, tmp_path / 'scores')
    name = lines[0]['protocol'].split('/')[1]
    found = {(line['protocol'].replace(name, 'X'), line['set']): line for line in lines}
    assert set(found) == {(protocol, kind) for protocol in (
        'clip_score/X', 'r_precision/X/top1_of_100') for kind in ('real', 'generated')}
    items = [item['captions'] for item in test_split.items()]
    rows = RealImages(test_split, 'prepared', 3).captions()
    for kind, shift in (('real', 0), ('generated', 1)):
        cosines = []
        for index, row in enumerate(rows):
            image = image_embedding(real_image(test_split, (index + shift) % 12))
            caption = caption_embedding(items[index][row % 12], PROMPT)
            cosines.append(image @ caption / np.linalg.norm(image) / np.linalg.norm(caption))
        expected = 2.5 * np.maximum(cosines, 0).mean()
        assert found['clip_score/X', kind]['value'] == pytest.approx(expected, rel=1e-4)
    assert found['clip_score/X', 'real']['value'] > 1.8
    assert found['clip_score/X', 'real']['shuffled'] < 1.4
    assert found['r_precision/X/top1_of_100', 'real']['value'] > 0.9
    assert found['r_precision/X/top1_of_100', 'generated']['value'] < 0.1
    line = lines[0]
    assert name == 'clip-' + line['weights'][:8]
    assert line['preprocessing'] == (
        'resized to 40 px (shorter side, bicubic), the middle 32 px, times 0.0039215686, minus '
        "0.5, by 0.25/0.5/0.5; captions after 'A photo depicts '")
    shown = [text.split() for text in table(lines)]
    assert ['clip_score/' + name + ',', 'captions', 'shuffled'] == shown[2][:3]
    assert float(shown[2][-1]) == pytest.approx(found['clip_score/X', 'real']['shuffled'], rel=1e-3)


def test_captions_are_embedded_once_and_damaged_rows_again(test_split, towers, tmp_path,
                                                           monkeypatch):
    embedded = []
    embed = Clip.embed_captions
    monkeypatch.setattr(Clip, 'embed_captions', lambda self, captions: embedded.append(
        len(captions)) or embed(self, captions))
    first = score(test_split, towers, tmp_path / 'first')
    assert embedded == [144]
    again = score(test_split, towers, tmp_path / 'again', [tmp_path / 'first'])
    assert embedded == [144] and again == first
    names = [[str(path.relative_to(tmp_path / each)) for path in sorted(
        (tmp_path / each).glob('features/*/*'))] for each in ('first', 'again')]
    assert names[0] == names[1]                          # the next record finds them again
    for path in (tmp_path / 'again').glob('features/*/captions.npy'):
        path.unlink()
        path.write_bytes(b'damaged')
    (tmp_path / 'again' / 'scores.jsonl').unlink()
    score(test_split, towers, tmp_path / 'third', [tmp_path / 'again'])
    assert embedded == [144, 144]


def test_real_images_that_the_towers_do_not_understand_refuse_r_precision(test_split, towers,
                                                                          tmp_path):
    class Misplaced(WrongImages):
        name = column = 'real'

    lines = score(test_split, towers, tmp_path / 'scores', sets=(Misplaced, WrongImages))
    assert {line['protocol'].split('/')[0] for line in lines} == {'clip_score'}
    refused = read_json(str(tmp_path / 'scores' / 'refused.json'))
    assert 'do not reach 0.3 says nothing' in refused[0]['reason']


def test_names_of_downloaded_files_and_digests(towers, tmp_path):
    other = make_towers(tmp_path / 'a', ('onnx/vision_model.onnx', 'onnx/text_model.onnx'))
    squares = make_towers(tmp_path / 'b', size={'height': SIDE, 'width': SIDE}, resample=2,
                          do_center_crop=False)
    folders = [towers, other, squares]
    with open(os.path.join(shutil.copytree(towers, str(tmp_path / 'c')), 'tokenizer.json'),
              'a') as stream:
        stream.write(' ')
    found = [Clip(folder, PROMPT, PLATFORM).facts for folder in folders + [str(tmp_path / 'c')]]
    assert found[0] == found[1] and found[0]['weights'] == found[2]['weights']
    assert found[2]['preprocessing'].startswith('resized to 32 px (square, bilinear), the middle')
    assert found[3]['weights'] != found[0]['weights']


@pytest.mark.parametrize('change, words', [
    ({'resample': 0}, 'resample is 0; must be one of 1 .lanczos.'),
    ({'resample': True}, 'resample is True'),
    ({'size': {'shortest_edge': 10 ** 9}}, 'size is 1000000000; must be 8 to 2048'),
    ({'size': {'height': 32, 'width': 64}}, 'size is not a square'),
    ({'crop_size': 41}, 'do not give squares of 41 px'),
    ({'image_std': [0, 1, 1]}, 'image_std must be above 0'),
    ({'image_mean': [0.5, float('inf'), 1]}, 'image_mean is .*must be three numbers'),
    ({'do_center_crop': False}, 'do not give squares'),
    ({'do_resize': False}, 'do_resize: false is not supported'),
    ({'do_normalize': 'no'}, 'do_normalize must be true or false')])
def test_preprocessing_that_is_refused(tmp_path, change, words):
    path = str(tmp_path / 'preprocessor_config.json')
    with open(path, 'w') as stream:
        json.dump(dict(CONFIG, **change), stream)
    with pytest.raises(InputError, match=f'preprocessor_config.json: .*{words}.*the remedy'):
        read_preprocessing(path, 'the remedy')


def test_preprocessing_without_keys_is_clips(tmp_path):
    write_json(str(tmp_path / 'preprocessor_config.json'), {})
    found = read_preprocessing(str(tmp_path / 'preprocessor_config.json'), '')
    assert found.described == ('resized to 224 px (shorter side, bicubic), the middle 224 px, '
                               'times 0.0039215686, minus 0.48145466/0.4578275/0.40821073, by '
                               '0.26862954/0.26130258/0.27577711')


def test_the_job_reads_the_folder_that_the_configuration_names():
    plain, with_clip = [tiny_config(*each) for each in ([], ['score.clip=weights/clip'])]
    assert [(each.name, each.path) for each in score_job.JOB.inputs(with_clip, '/none')
            if each not in score_job.JOB.inputs(plain, '/none')] == [('clip', 'weights/clip')]
    options = argparse.Namespace(image_folder='x', every_checkpoint=False, stage=2, force=False)
    of_folder = score_job.JOB.variant(score_job.JOB, options)      # its images have no captions
    assert of_folder.inputs(with_clip, '/none') == of_folder.inputs(plain, '/none')


def remove(name):
    return lambda folder: os.unlink(os.path.join(folder, name))


@pytest.mark.parametrize('change, words', [
    (remove('image.onnx'), 'image.onnx is missing'), (remove('text.onnx'), 'text.onnx is missing'),
    (remove('tokenizer.json'), 'tokenizer.json: cannot be read'),
    (remove('preprocessor_config.json'), 'preprocessor_config.json: cannot be read'),
    (lambda folder: make_towers(folder, size=64, crop_size=64), r'its input is .*must be floats '
                                                                r'\[1, 3, 64, 64\]'),
    (lambda folder: make_towers(folder, dim=DIM - 2), 'gives 10 numbers for a caption, but .* '
                                                      'gives 12 for an image'),
    (lambda folder: shutil.copy(os.path.join(folder, 'text.onnx'),
                                os.path.join(folder, 'image.onnx')), 'its input is input_ids')])
def test_a_folder_that_is_not_a_pair_is_told_why(tmp_path, change, words):
    folder = make_towers(tmp_path / 'towers')
    change(folder)
    with pytest.raises(InputError, match=f'{words}.*{REMEDY}'):
        Clip(folder, PROMPT, PLATFORM).embed_captions(['a'])


def test_operations_of_other_networks_are_refused(tmp_path):
    from onnx import helper
    folder = make_towers(tmp_path / 'towers', more=[
        helper.make_node('NonZero', ['f'], ['x'])])
    with pytest.raises(InputError, match="operation 'NonZero' is not among those of a network like "
                                         'CLIP'):
        Clip(folder, PROMPT, PLATFORM)


