"""Raw folder to prepared dataset: content, bad images, precomputed embeddings, memory."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from raw_toy import (
    CLASSES,
    captions_of,
    content,
    embedding_of,
    folder_settings,
    image,
    make_cub,
    make_folder,
    noise,
    run,
    settings,
    write,
    write_pickle,
)

from stackgan.data import preprocessing
from stackgan.data.contact_sheet import choose
from stackgan.data.prepared import HIGH, LOW, Split, open_dataset
from stackgan.data.report import remark_on_counts
from stackgan.data.shards import BlockDone, npy_header
from stackgan.errors import InputError
from stackgan.files import files_below, read_json, read_json_lines

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope='module')
def cub(tmp_path_factory):
    """A raw dataset of 24 images; no test may change it."""
    return make_cub(tmp_path_factory.mktemp('cub'), 24)


@pytest.fixture(scope='module')
def prepared(cub, tmp_path_factory):
    """(folder, lines said) of `cub`, prepared."""
    folder = str(tmp_path_factory.mktemp('prepared'))
    return folder, run(cub, folder, settings())


def test_every_file_of_the_contract_is_there(prepared):
    shards = ['train/images-%03d-%05d.npy' % (side, n) for side in (LOW, HIGH) for n in range(3)]
    shards += ['test/images-%03d-00000.npy' % side for side in (LOW, HIGH)]
    tables = [f'{split}/{name}' for split in ('train', 'test')
              for name in ('class_ids.npy', 'caption_counts.npy', 'items.jsonl')]
    assert files_below(prepared[0]) == sorted(
        shards + tables + ['dataset.json', 'report.json', 'bad-images.jsonl', 'contact-sheet.png'])


def test_the_reader_gets_images_classes_and_captions_in_order(prepared):
    dataset = open_dataset(prepared[0])
    assert dataset.classes == list(CLASSES) and dataset.embedding_dim is None
    reader, items = Split(dataset, 'train'), Split(dataset, 'train').items()
    numbers = [int(item['name'][-4:]) for item in items]
    assert numbers == [number for number in range(24) if number % 4 != 3]
    for index, number in enumerate(numbers):
        assert items[index] == {'name': '%s/picture_%04d' % (CLASSES[number % 4], number),
                                'class_id': number % 4, 'captions': captions_of(number)}
        assert reader.class_ids[index] == number % 4
        region = noise(number).crop((3, 0, 47, 40))
        for side in (LOW, HIGH):
            difference = reader.image(index, side).astype(int) - np.asarray(
                region.resize((side, side), Image.BICUBIC))
            assert np.abs(difference).mean() < 12                # JPEG; another image: > 60
    assert reader.caption_starts.tolist() == list(range(0, 57, 3))
    for name in ('class_ids', 'caption_counts'):
        array = np.load(os.path.join(prepared[0], 'train', name + '.npy'), mmap_mode='r')
        assert array.dtype == np.int32 and array.shape == (18,)


def test_shards_are_ordinary_arrays_of_the_size_asked_for(prepared):
    facts = read_json(os.path.join(prepared[0], 'dataset.json'))
    assert facts['splits'] == {'train': {'images': 18, 'captions': 54, 'shards': [8, 8, 2]},
                               'test': {'images': 6, 'captions': 18, 'shards': [6]}}
    shapes = [np.load(os.path.join(prepared[0], 'train', 'images-304-%05d.npy' % number),
                      mmap_mode='r').shape for number in range(3)]
    assert shapes == [(8, 304, 304, 3), (8, 304, 304, 3), (2, 304, 304, 3)]


def test_the_report_is_said(prepared):
    assert prepared[1][0].startswith('24 images in ') and 'with 2 processes' in prepared[1][0]
    assert prepared[1][1:] == [
        'train: 18 images, 54 captions (3 per image), 3 classes',
        'test: 6 images, 18 captions (3 per image), 1 classes',
        'sizes: width 60, height 44 px; 24 crops smaller than 304 px were enlarged',
        'bad images: none']


def test_counts_are_compared_with_those_published():
    report = {'train': {'images': 8855, 'classes': 150}, 'test': {'images': 2933, 'classes': 50}}
    assert remark_on_counts(report, 'cub') is None and remark_on_counts(report, 'folder') is None
    assert '8855 images for training and 2933' in remark_on_counts(report, 'flowers')
    report['test']['images'] = 2932
    assert '2932 for testing, in 150 and 50 classes; CUB-200' in remark_on_counts(report, 'cub')


def test_the_contact_sheet_shows_the_stored_images(prepared):
    with Image.open(os.path.join(prepared[0], 'contact-sheet.png')) as sheet:
        shown = np.asarray(sheet.convert('RGB'))
    reader = Split(open_dataset(prepared[0]), 'train')
    first = choose(reader.class_ids, 12)[0]
    np.testing.assert_array_equal(shown[52:252, 24:244], reader.image(first, HIGH)[:200, :220])
    np.testing.assert_array_equal(shown[52 + 228:52 + 304, 24 + 228:24 + 304],
                                  reader.image(first, LOW))
    assert (shown[52 + 304:52 + 380] < 128).any()                # something is written below


def test_the_contact_sheet_shows_as_many_classes_as_it_can():
    assert len({index // 10 for index in choose(np.arange(400) // 10, 12)}) == 12
    assert choose([0, 1, 0, 1], 12) == [0, 1, 2, 3]
    chosen = choose([0] * 50 + [1], 6)
    assert 50 in chosen and len(set(chosen)) == 6


def test_the_output_does_not_depend_on_the_number_of_processes(prepared, cub, tmp_path):
    run(cub, tmp_path, settings(workers=1))
    assert content(tmp_path) == content(prepared[0])


def test_the_output_does_not_depend_on_the_blocks(spoilt, tmp_path, monkeypatch):
    skipping = settings(on_bad_image='skip')
    run(spoilt, tmp_path / 'one', skipping)
    monkeypatch.setattr(preprocessing, 'BLOCK_IMAGES', 3)
    run(spoilt, tmp_path / 'other', skipping)
    assert content(tmp_path / 'one') == content(tmp_path / 'other')


def test_blocks_may_be_done_in_any_order():
    blocks = [BlockDone(0, 0, [(9, 9, 9), None], [None, 'bad']),
              BlockDone(0, 2, [(8, 8, 8)], [None])]
    shard = preprocessing.Shard('train', 0, [], 'digest')
    record = preprocessing._record(shard, blocks[::-1])
    assert record == preprocessing._record(shard, blocks)
    assert record['kept'] == [0, 2] and record['problems'] == [[1, 'bad']]


def test_a_finished_folder_is_left_as_it_is(prepared, cub):
    before = {name: os.stat(os.path.join(prepared[0], name)).st_mtime_ns
              for name in files_below(prepared[0])}
    assert run(cub, prepared[0], settings()) == prepared[1][1:]
    assert before == {name: os.stat(os.path.join(prepared[0], name)).st_mtime_ns
                      for name in files_below(prepared[0])}


# ---- bad images

@pytest.fixture
def spoilt(tmp_path):
    """24 images of which four cannot be used, one of them for its captions."""
    raw = make_cub(tmp_path / 'raw', 24)
    images = os.path.join(raw, 'CUB_200_2011', 'images')
    write(os.path.join(images, '001.Red', 'picture_0000.jpg'), 'no image')
    os.unlink(os.path.join(images, '002.Green', 'picture_0001.jpg'))
    with open(os.path.join(images, '003.Blue', 'picture_0010.jpg'), 'rb+') as stream:
        stream.truncate(700)
    os.unlink(os.path.join(raw, 'text_c10', '004.Grey', 'picture_0003.txt'))
    return raw


def test_bad_images_fail_by_name_after_all_were_looked_at(spoilt, tmp_path):
    folder = tmp_path / 'out'
    with pytest.raises(InputError) as caught:
        run(spoilt, folder, settings())
    text = str(caught.value)
    assert text.startswith('4 of 24 images cannot be used (CUB_200_2011/images/001.Red/picture_0000'
                           '.jpg: it is not an image')
    assert '; and 1 more)' in text and '--set data.on_bad_image=skip' in text
    listed = read_json_lines(str(folder / 'bad-images.jsonl'))
    assert str(folder / 'bad-images.jsonl') in text
    assert [row['file'][-16:] for row in listed] == [
        'picture_0000.jpg', 'picture_0001.jpg', 'picture_0010.jpg', 'picture_0003.jpg']
    assert [row['split'] for row in listed] == ['train'] * 3 + ['test']
    assert listed[1]['reason'] == 'the file is missing' and 'damaged' in listed[2]['reason']
    assert 'picture_0003.txt is missing' in listed[3]['reason']
    assert not (folder / 'dataset.json').exists()


def test_bad_images_are_left_out_everywhere(spoilt, tmp_path):
    folder = str(tmp_path / 'out')
    lines = run(spoilt, folder, settings(on_bad_image='skip'))
    assert any(line.startswith('left out: 4 of 24 images') for line in lines)
    dataset = open_dataset(folder)
    reader = Split(dataset, 'train')
    numbers = [int(item['name'][-4:]) for item in reader.items()]
    assert numbers == [2, 4, 5, 6, 8, 9, 12, 13, 14, 16, 17, 18, 20, 21, 22]
    assert reader.class_ids.tolist() == [number % 4 for number in numbers]
    for index, number in enumerate(numbers):
        expected = noise(number).crop((3, 0, 47, 40)).resize((LOW, LOW), Image.BICUBIC)
        difference = reader.image(index, LOW).astype(int) - np.asarray(expected)
        assert np.abs(difference).mean() < 12
    assert read_json(os.path.join(folder, 'dataset.json'))['splits']['train']['shards'] == [6, 7, 2]
    assert len(Split(dataset, 'test')) == 5
    sizes = [os.path.getsize(os.path.join(folder, 'train', 'images-304-%05d.npy' % number))
             for number in range(3)]
    assert sizes == [128 + rows * 304 * 304 * 3 for rows in (6, 7, 2)]


def test_too_large_a_share_of_bad_images_fails_even_when_skipped(spoilt, tmp_path):
    with pytest.raises(InputError, match='4 of 24 images .*more than data.max_bad_share: 0.1'):
        run(spoilt, tmp_path / 'out', settings(on_bad_image='skip', max_bad_share=0.1))
    run(spoilt, tmp_path / 'out', settings(on_bad_image='skip', max_bad_share=4.0 / 24))


def test_a_shard_of_bad_images_only_is_empty(tmp_path):
    raw = make_cub(tmp_path / 'raw', 24)
    for number in (0, 1, 2, 4):                                  # the first of five shards
        write(os.path.join(raw, 'CUB_200_2011', 'images', CLASSES[number % 4],
                           'picture_%04d.jpg' % number), 'x')
    run(raw, tmp_path / 'out', settings(on_bad_image='skip', shard_images=4))
    reader = Split(open_dataset(str(tmp_path / 'out')), 'train')
    assert len(reader) == 14 and reader.image(0, LOW).shape == (76, 76, 3)
    assert len(np.load(str(tmp_path / 'out' / 'train' / 'images-304-00000.npy'))) == 0


def test_no_usable_image_and_no_second_class_are_errors(tmp_path):
    raw = make_folder(tmp_path / 'raw', 8)
    for name in os.listdir(os.path.join(raw, 'images', 'kind0')):
        if name.endswith('.png'):
            write(os.path.join(raw, 'images', 'kind0', name), 'x')
    chosen = folder_settings(on_bad_image='skip')
    with pytest.raises(InputError, match=r'one class only in training \(kind1\)'):
        run(raw, tmp_path / 'out', chosen)
    for name in os.listdir(os.path.join(raw, 'images', 'kind1')):
        if name.endswith('.png'):
            write(os.path.join(raw, 'images', 'kind1', name), 'x')
    with pytest.raises(InputError, match='none of the 8 images can be used'):
        run(raw, tmp_path / 'other', chosen)


# ---- precomputed embeddings

def test_embeddings_come_in_the_order_of_the_captions(tmp_path):
    raw = make_cub(tmp_path / 'raw', 24, embeddings=6)
    write(os.path.join(raw, 'text_c10', '001.Red', 'picture_0004.txt'),
          '{}\n \n{}\n'.format(*tuple(captions_of(4)[:2])))               # a blank line has a row
    os.unlink(os.path.join(raw, 'CUB_200_2011', 'images', '001.Red', 'picture_0000.jpg'))
    run(raw, tmp_path / 'out', settings(split_by='class', on_bad_image='skip'))
    dataset = open_dataset(str(tmp_path / 'out'))
    assert dataset.embedding_dim == 6
    for split in ('train', 'test'):
        expected = []
        for item in Split(dataset, split).items():
            rows = embedding_of(int(item['name'][-4:]), 6)
            expected.append(rows[[0, 2]] if item['name'].endswith('0004') else rows)
        found = np.load(str(tmp_path / 'out' / split / 'embeddings.npy'), mmap_mode='r')
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.concatenate(expected))


def test_embeddings_that_do_not_fit_make_an_image_bad(tmp_path):
    raw = make_cub(tmp_path / 'raw', 24, embeddings=6)
    path = os.path.join(raw, 'test', 'char-CNN-RNN-embeddings.pickle')
    arrays = [embedding_of(number, 6) for number in range(3, 24, 4)]
    arrays[0], arrays[1] = arrays[0][:2], np.full((3, 6), np.nan, np.float32)
    write_pickle(path, arrays)
    run(raw, tmp_path / 'out', settings(on_bad_image='skip'))
    listed = read_json_lines(str(tmp_path / 'out' / 'bad-images.jsonl'))
    name = 'test/char-CNN-RNN-embeddings.pickle'
    assert [row['reason'] for row in listed] == [
        'it has 3 captions but 2 embeddings in ' + name,
        f'its embeddings in {name} are not finite']


NESTED = functools.reduce(lambda value, _: [value] * 50, range(9), 0.5)    # 50 ** 9 numbers


@pytest.mark.parametrize('value, words', [
    ([embedding_of(0, 6)] * 5, 'must be a list of 6 arrays.* it holds 5'),
    ([np.zeros(6, np.float32)] * 6, r'entry 0 is \(6,\) of float32; must be \(captions, 6\)'),
    ([embedding_of(0, 7)] * 6, r'entry 0 is \(3, 7\) of float32; must be \(captions, 6\)'),
    ([['a']] * 6, 'entry 0 is .* of <U1'),
    ([NESTED] * 6, 'entry 0 is a list of too many numbers'),
    ([[['a' * 5000]]] * 6, 'entry 0 is a list of too many numbers'),
    (None, 'char-CNN-RNN-embeddings.pickle is missing, but'),
])
def test_embeddings_of_another_form_are_an_error(tmp_path, value, words):
    raw = make_cub(tmp_path / 'raw', 24, embeddings=6)
    path = os.path.join(raw, 'test', 'char-CNN-RNN-embeddings.pickle')
    if value is None:
        os.unlink(path)
    else:
        write_pickle(path, value)
    with pytest.raises(InputError, match=words):
        run(raw, tmp_path / 'out', settings())


def test_a_half_written_shard_is_not_taken_for_whole(cub, prepared, tmp_path, monkeypatch):
    folder = tmp_path / 'out'
    monkeypatch.setattr(preprocessing.logger, 'info',
                        lambda line: 1 // (not line.startswith('24 ')))
    with pytest.raises(ZeroDivisionError):
        preprocessing.preprocess(cub, str(folder), settings())
    monkeypatch.undo()
    assert len(os.listdir(str(folder / 'unfinished'))) == 4       # all shards, nothing else yet
    os.truncate(str(folder / 'train' / 'images-304-00001.npy'), 5000)
    write(folder / 'train' / 'images-304-00007.npy', 'left by another')
    write(folder / 'train' / '.class_ids.npy.x.tmp', 'left by a killed job')
    lines = run(cub, folder, settings())
    assert lines[0] == 'resuming: 16 of 24 images are done'
    assert content(folder) == content(prepared[0])


# ---- memory, form, real files

MEMORY = f"""
import sys
sys.path.insert(0, {os.path.dirname(HERE)!r})
from stackgan.data.images import Crop
from stackgan.data.shards import Block, Closing, Target, perform
targets = [Target(304, sys.argv[2] + '.tmp', sys.argv[2])]
perform(Block(0, 0, [(sys.argv[1], None)] * 401, Crop('stretch', 0.75), targets))
perform(Closing(0, list(range(1, 401)), targets))
assert 'numpy' not in sys.modules
print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])
"""


def test_a_worker_holds_no_shard_in_memory(tmp_path):
    result = str(tmp_path / 'a.npy')
    said = subprocess.check_output([sys.executable, '-c', MEMORY, image(tmp_path / 'a.png'),
                                    result])
    assert np.load(result, mmap_mode='r').shape == (400, 304, 304, 3)        # 111 MB
    assert int(said) < 50 * 1024                                             # KiB at the most


def test_a_header_is_what_numpy_writes_and_reads(tmp_path):
    path = str(tmp_path / 'a.npy')
    write(path, npy_header((2, 3), '<f4') + np.arange(6, dtype='<f4').tobytes())
    np.testing.assert_array_equal(np.load(path), np.arange(6, dtype='f4').reshape(2, 3))
    assert len(npy_header((10 ** 9, 304, 304, 3), '|u1')) == 128


def test_real_photographs_are_prepared(birds_sample, tmp_path):
    lines = run(birds_sample, tmp_path, settings(shard_images=64))
    assert 'train: 176 images, 1760 captions (10 per image), 6 classes' in lines
    reader = Split(open_dataset(str(tmp_path)), 'test')
    assert len(reader) == 65 and 30 < reader.image(0, HIGH).mean() < 225
