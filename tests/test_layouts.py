"""Raw folders become plans, and what is wrong with them is said by name."""

import json
import os

import pytest
from raw_toy import (
    CLASSES,
    captions_of,
    flowers_settings,
    folder_settings,
    image,
    make_cub,
    make_flowers,
    make_folder,
    settings,
    write,
    write_pickle,
)

from stackgan.data.layouts import read_plan
from stackgan.data.layouts.captions import read_caption_file
from stackgan.errors import InputError


def names(plan, split):
    return [item.name for item in plan.splits[split]]


def problems(plan):
    return {item.name: item.problem for items in plan.splits.values() for item in items
            if item.problem}


def fails(words, raw, chosen):
    with pytest.raises(InputError, match=words):
        read_plan(str(raw), chosen)


# ---- cub

def test_cub_is_read_with_its_own_lists(tmp_path):
    plan = read_plan(make_cub(tmp_path, 8), settings())
    assert names(plan, 'test') == ['004.Grey/picture_0003', '004.Grey/picture_0007']
    assert len(plan.splits['train']) == 6 and plan.classes == list(CLASSES)
    item = plan.splits['train'][1]
    assert item.path == 'CUB_200_2011/images/002.Green/picture_0001.jpg'
    assert item.class_name == '002.Green' and item.box == (10, 8, 30, 20)
    assert item.captions == captions_of(1) and not problems(plan)


@pytest.mark.parametrize('missing', [
    'CUB_200_2011/images.txt', 'CUB_200_2011/image_class_labels.txt', 'CUB_200_2011/classes.txt',
    'CUB_200_2011/bounding_boxes.txt', 'CUB_200_2011/images', 'text_c10'])
def test_what_cub_lacks_is_named(tmp_path, missing):
    raw = make_cub(tmp_path / 'raw', 4)
    os.rename(os.path.join(raw, missing), str(tmp_path / 'elsewhere'))
    fails(f': missing, of (CUB_200_2011.tgz|birds.zip): {missing}/? [(]the .*[)]. Put', raw,
          settings())


def test_all_that_cub_lacks_is_named_at_once(tmp_path):
    raw = make_cub(tmp_path / 'raw', 4, lists=False)
    for name in ('CUB_200_2011/images', 'CUB_200_2011/bounding_boxes.txt', 'text_c10'):
        os.rename(os.path.join(raw, name), str(tmp_path / name.split('/')[-1]))
    fails('tgz: CUB_200_2011/images/ .*, CUB_200_2011/bounding_boxes.txt .*; of birds.zip: '
          'text_c10/ .*, train/filenames.pickle .*, test/filenames.pickle ', raw, settings())
    fails('raw: missing, of CUB_200_2011.tgz: CUB_200_2011/images/ .the photographs.; of '
          'birds.zip: text_c10/ .the captions.. Put', raw,
          settings(crop='centre', split_by='class'))


def test_boxes_are_needed_for_the_box_crop_only(tmp_path):
    raw = make_cub(tmp_path, 8)
    os.unlink(os.path.join(raw, 'CUB_200_2011', 'bounding_boxes.txt'))
    assert read_plan(raw, settings(crop='centre')).splits['train'][0].box is None


@pytest.mark.parametrize('file, text, words', [
    ('images.txt', '1 a.jpg\nx b.jpg\n', r"images.txt: line 2: 'x b.jpg'"),
    ('images.txt', '1 a.jpg\n1 b.jpg\n', 'line 2: duplicate id 1'),
    ('images.txt', '1 a.jpg\n2 a.png\n', 'images 1 and 2 are both a'),
    ('images.txt', '1 ../a.jpg\n', r"image 1 is '\.\./a\.jpg'"),
    ('image_class_labels.txt', '1 1\n', r'image 2 .* has no line'),
    ('image_class_labels.txt', ''.join('%d 9\n' % i for i in range(1, 9)), 'has class 9'),
    ('bounding_boxes.txt', '1 1 2 3\n', "image 1: '1 2 3'; must be left, top"),
    ('bounding_boxes.txt', '1 1 2 3 nan\n', 'image 1'),
])
def test_wrong_lines_of_cub_are_named(tmp_path, file, text, words):
    raw = make_cub(tmp_path, 8)
    write(os.path.join(raw, 'CUB_200_2011', file), text)
    fails(words, raw, settings())


def test_images_of_cub_without_box_or_captions_have_a_problem(tmp_path):
    raw = make_cub(tmp_path, 8)
    write(os.path.join(raw, 'CUB_200_2011', 'bounding_boxes.txt'),
          ''.join('%d 1 1 9 9\n' % i for i in range(2, 9)))
    os.unlink(os.path.join(raw, 'text_c10', '002.Green', 'picture_0001.txt'))
    write(os.path.join(raw, 'text_c10', '003.Blue', 'picture_0002.txt'), ' \n\n\t\n')
    assert problems(read_plan(raw, settings())) == {
        '001.Red/picture_0000': 'it has no line in bounding_boxes.txt',
        '002.Green/picture_0001':
            'it has no captions: text_c10/002.Green/picture_0001.txt is missing',
        '003.Blue/picture_0002':
            'it has no captions: text_c10/003.Blue/picture_0002.txt is empty'}


@pytest.mark.parametrize('numbers, words', [
    ([1, 2, 3, 1, 2, 3], None),
    (['1', '2', '3'] * 2, None),
    ([7, 5, 6, 7, 5, 6], None),                     # numbers of its own, the same classes
    ([1, 2, 3, 1, 3, 2], 'class of 002.Green/picture_0005 is 3, but the dataset has it in '
                         '002.Green; images before it have 2 for 002.Green'),
    ([1, 2, 2, 1, 2, 2], 'class of 003.Blue/picture_0002 is 2, but the dataset has it in '
                         '003.Blue; images before it have 2 for 002.Green'),
    ([1, 2, 3, 1, 2], 'must be a list of 6 class numbers.* it holds 5'),
    ([1, 2, 3, 1, 2, [3]], 'must hold whole numbers only'),
    ([1, 2, 3, 1, 2, float('inf')], 'must hold whole numbers only'),
    ([1, 2, 3, 1, 2, '3' * 5000], 'must hold whole numbers only'),
    ('123', 'holds a str; must be a list of class numbers'),
])
def test_class_info_of_cub_must_be_in_the_order_of_the_names(tmp_path, numbers, words):
    raw = make_cub(tmp_path, 8)
    write_pickle(tmp_path / 'train' / 'class_info.pickle', numbers)
    if words:
        fails('train/class_info.pickle: ' + words, raw, settings())
    else:
        assert len(read_plan(raw, settings()).splits['train']) == 6


def test_only_the_embeddings_that_are_wanted_are_named(tmp_path):
    raw = make_cub(tmp_path, 8, embeddings=4)
    os.rename(os.path.join(raw, 'test', 'char-CNN-RNN-embeddings.pickle'),
              os.path.join(raw, 'test', 'skip-thought-embeddings.pickle'))
    fails('test/char-CNN-RNN-embeddings.pickle is missing, but', raw, settings())
    os.rename(os.path.join(raw, 'train', 'char-CNN-RNN-embeddings.pickle'),
              os.path.join(raw, 'train', 'skip-thought-embeddings.pickle'))
    plan = read_plan(raw, settings())
    assert not plan.embedding_files and plan.remarks == [
        'char-CNN-RNN-embeddings.pickle is not there; left out: skip-thought-embeddings.pickle '
        '(data.precomputed_embeddings names the kind to use)']
    plan = read_plan(raw, settings(precomputed_embeddings='skip-thought'))
    assert [file for file, _ in plan.embedding_files] == [
        'train/skip-thought-embeddings.pickle', 'test/skip-thought-embeddings.pickle']


# ---- flowers

def test_flowers_are_read_with_their_own_lists(tmp_path):
    plan = read_plan(make_flowers(tmp_path), flowers_settings())
    assert names(plan, 'train') == ['jpg/image_00001', 'jpg/image_00002', 'jpg/image_00004']
    assert [item.class_name for item in plan.splits['test']] == ['class_00001', 'class_00001']
    assert plan.splits['test'][1].captions == captions_of(6)
    assert plan.remarks == ['left out, in neither list: 1 images']


def test_flowers_without_lists_are_split_by_class(tmp_path):
    raw = make_flowers(tmp_path)
    for split in ('train', 'test'):
        os.unlink(os.path.join(raw, split, 'filenames.pickle'))
    plan = read_plan(raw, flowers_settings(split_by='class'))
    assert len({item.class_name for item in plan.splits['test']}) == 1
    fails('missing, of flowers.zip: train/filenames.pickle .*data.split.by: class', raw,
          flowers_settings())


def test_flowers_lacking_or_contradicting_are_named(tmp_path):
    raw = make_flowers(tmp_path)
    write_pickle(tmp_path / 'train' / 'class_info.pickle', [2, 3, 3])
    fails('class of jpg/image_00004 is 3, but its captions are in class_00002', raw,
          flowers_settings())
    write_pickle(tmp_path / 'train' / 'class_info.pickle', [2, 3])
    fails('must be a list of 3 class numbers', raw, flowers_settings())
    os.unlink(os.path.join(raw, 'train', 'class_info.pickle'))
    os.unlink(os.path.join(raw, 'text_c10', 'class_00002', 'image_00004.txt'))
    assert 'no captions' in problems(read_plan(raw, flowers_settings()))['jpg/image_00004']
    os.unlink(os.path.join(raw, 'test', 'filenames.pickle'))
    fails(r'missing, of flowers.zip: test/filenames.pickle', raw, flowers_settings())
    fails('test/filenames.pickle is missing, but .*train/filenames.pickle is there', raw,
          flowers_settings(split_by='class'))


# ---- folder

def test_folder_takes_classes_from_first_sub_folders(tmp_path):
    raw = make_folder(tmp_path, 4)
    image(tmp_path / 'images' / 'kind1' / 'deep' / 'x.v2.jpeg', 9)
    write(tmp_path / 'images' / 'kind1' / 'deep' / 'x.v2.txt', 'a deep one')
    write(tmp_path / 'images' / '.DS_Store', 'x')
    write(tmp_path / 'images' / 'notes.md', 'x')
    plan = read_plan(raw, folder_settings())
    items = {item.name: item for split in plan.splits.values() for item in split}
    assert items['kind1/deep/x.v2.jpeg'].captions == ['a deep one']
    assert items['kind1/deep/x.v2.jpeg'].class_name == 'kind1'
    assert len(items) == 5 and plan.classes == ['kind0', 'kind1']
    assert plan.remarks == ['left out below images/, not images: notes.md']


def test_each_image_of_a_flat_folder_is_its_own_class(tmp_path):
    plan = read_plan(make_folder(tmp_path, 4, classes=0), folder_settings())
    assert plan.classes == ['picture%02d.png' % number for number in range(4)]
    assert plan.remarks == ['no classes, neither folders nor named by a table: each image is a '
                            'class of its own, and no scorer can be trained on them']


def test_captions_may_lie_in_a_tree_of_their_own(tmp_path):
    raw = make_folder(tmp_path, 4)
    text = os.path.join('kind1', 'picture01.txt')
    write(tmp_path / 'captions' / text, 'from the other tree')
    os.unlink(os.path.join(raw, 'images', text))
    plan = read_plan(raw, folder_settings(split_test_share=0.1))
    assert ['from the other tree'] in [item.captions for items in plan.splits.values()
                                       for item in items]


def test_a_table_gives_captions_classes_and_splits(tmp_path):
    raw = make_folder(tmp_path, 4)
    write(tmp_path / 'captions.csv', '\ufefffile,caption,class,split\r\n'
          'kind0/picture00.png,"red, and  round",x,train\r\n'
          'kind0/picture00.png,"two\nlines",,\r\n'
          'images/kind0/picture02.png,third,x,test\r\n'
          './kind1/picture01.png,fourth,y,train\r\n'
          'kind1/picture03.png,  ,y,train\r\n'
          'kind1/gone.png,fifth,y,train\r\n')
    plan = read_plan(raw, folder_settings(split_by='lists'))
    first = plan.splits['train'][0]
    assert first.captions == ['red, and round', 'two lines'] and first.class_name == 'x'
    assert names(plan, 'test') == ['kind0/picture02.png'] and plan.classes == ['x', 'y']
    assert problems(plan) == {
        'kind1/gone.png': 'captions.csv names it, but it is not below images/'}
    problem = problems(read_plan(raw, folder_settings()))['kind1/picture03.png']
    assert problem == 'it has no captions: captions.csv holds none for it'


def test_a_table_may_be_json_lines(tmp_path):
    raw = make_folder(tmp_path, 3, classes=3)
    rows = [{'file': 'kind0/picture00.png', 'captions': ['a', 'b']},
            {'file': 'kind1/picture01.png', 'caption': 'c', 'class': 7},
            {'file': 'kind1/picture01.png', 'caption': 'd\ud800'},
            {'file': 'kind2/picture02.png', 'caption': 'e'}]
    write(tmp_path / 'mine.jsonl', '\n'.join(json.dumps(row) for row in rows) + '\n\n')
    plan = read_plan(raw, folder_settings(captions_file='mine.jsonl'))
    items = {item.name: item for split in plan.splits.values() for item in split}
    assert items['kind0/picture00.png'].captions == ['a', 'b']
    assert items['kind1/picture01.png'].captions == ['c', 'd?']
    assert plan.classes == ['7', 'kind0', 'kind2']


@pytest.mark.parametrize('name, text, words', [
    ('captions.csv', 'file_name,text\na,b\n', 'must name the columns file and caption .*names: '
                                              'file_name, text'),
    ('captions.csv', '', 'it names: nothing'),
    ('captions.csv', 'file,caption\na,b,c\n', 'line 2: more values than columns'),
    ('captions.csv', 'file,caption\na\n', 'line 2: fewer values than columns'),
    ('captions.csv', 'file,caption\na,"b\n', 'not CSV'),
    ('captions.csv', 'file,caption,class\na,b,x\na,b,y\n', "line 3: class is 'y'.*says 'x'"),
    ('captions.csv', 'file,caption,split\na,b,val\n', "split is 'val'; must be train or test"),
    ('captions.csv', 'file,caption\n../a,b\n', "file is '../a'"),
    ('captions.jsonl', '{"file": "a"', 'line 1: not JSON'),
    ('captions.jsonl', '[1]\n', 'line 1: must hold "file"'),
    ('captions.jsonl', '\n{"file": "a", "captions": [1]}\n', 'line 2: must hold "file"'),
])
def test_wrong_lines_of_a_table_are_named(tmp_path, name, text, words):
    raw = make_folder(tmp_path, 2)
    write(tmp_path / name, text)
    fails(name + '.*' + words, raw, folder_settings())


def test_two_tables_or_an_unknown_one_are_an_error(tmp_path):
    raw = make_folder(tmp_path, 2)
    fails('mine.csv is missing', raw, folder_settings(captions_file='mine.csv'))
    write(tmp_path / 'mine.txt')
    fails('must end in .csv or .jsonl', raw, folder_settings(captions_file='mine.txt'))
    write(tmp_path / 'captions.csv')
    write(tmp_path / 'captions.jsonl')
    fails('holds captions.csv and captions.jsonl', raw, folder_settings())


def test_images_that_share_captions_or_cannot_be_read_have_a_problem(tmp_path):
    raw = make_folder(tmp_path, 4)
    image(tmp_path / 'images' / 'kind0' / 'picture00.jpg')
    write(tmp_path / 'images' / 'kind0' / 'phone.HEIC', 'x')
    write(tmp_path / 'images' / 'kind0' / 'phone.txt', 'x')
    found = problems(read_plan(raw, folder_settings()))
    assert 'that of kind0/picture00.jpg but for' in found['kind0/picture00.png']
    assert 'that of kind0/picture00.png but for' in found['kind0/picture00.jpg']
    assert 'not read; convert it' in found['kind0/phone.HEIC'] and len(found) == 3


def test_a_file_name_that_is_no_utf8_is_a_problem(tmp_path):
    raw = make_folder(tmp_path, 4)
    folder = os.path.join(os.fsencode(raw), b'images', b'kind0')
    try:
        os.rename(os.path.join(folder, b'picture00.png'), os.path.join(folder, b'caf\xe9.png'))
    except OSError:
        pytest.skip('this file system takes UTF-8 names only')
    found = problems(read_plan(raw, folder_settings()))
    assert found == {u'kind0/caf\ufffd.png': 'its name is not UTF-8; rename it'}


def test_an_empty_folder_and_one_without_captions_are_errors(tmp_path):
    fails('images is missing', tmp_path, folder_settings())
    os.makedirs(str(tmp_path / 'images' / 'empty'))
    fails('images: holds no images', tmp_path, folder_settings())
    image(tmp_path / 'images' / 'a.png')
    fails('holds no captions; put <image>.txt', tmp_path, folder_settings())


# ---- captions

def test_captions_are_cleaned_and_remember_their_lines(tmp_path):
    path = write(tmp_path / 'a.txt', b'\xef\xbb\xbf a  red\tbird \r\n\r\n \t\nsecond\xc2\xa0one\n')
    found = read_caption_file(path)
    assert found.captions == ['a red bird', 'second one'] and found.is_utf8
    assert (found.rows, found.row_count) == ((0, 2), 3)


def test_odd_bytes_are_replaced_and_told(tmp_path):
    raw = make_folder(tmp_path, 4)
    write(tmp_path / 'images' / 'kind0' / 'picture00.txt', b'caf\xe9 bird')
    plan = read_plan(raw, folder_settings())
    assert [u'caf\ufffd bird'] in [item.captions for items in plan.splits.values()
                                   for item in items]
    assert plan.remarks == ['captions that are not UTF-8, odd bytes replaced, in 1 files: '
                            'images/kind0/picture00.txt']


# ---- splits

def test_split_by_class_keeps_classes_whole_and_two_for_training(tmp_path):
    raw = make_cub(tmp_path, 12)
    for share, count in ((0.01, 1), (0.5, 2), (0.9, 2)):
        plan = read_plan(raw, settings(split_by='class', split_test_share=share))
        train, test = ({item.class_name for item in plan.splits[split]}
                       for split in ('train', 'test'))
        assert len(test) == count and not train & test and len(train | test) == 4


PINNED = ['kind0/picture02.png', 'kind0/picture08.png', 'kind0/picture18.png',
          'kind1/picture05.png', 'kind1/picture17.png']


def test_splits_depend_on_the_seed_and_on_nothing_else(tmp_path):
    raw = make_folder(tmp_path, 20)
    chosen = [names(read_plan(raw, folder_settings(split_seed=seed)), 'test')
              for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2] and len(chosen[0]) == 5
    # Pinned: a dataset prepared again, elsewhere and later, must be split alike.
    assert chosen[0] == PINNED
    image(tmp_path / 'images' / 'kind0' / 'zzz.png')
    write(tmp_path / 'images' / 'kind0' / 'zzz.txt', 'one more')
    assert set(names(read_plan(raw, folder_settings()), 'test')) - {'kind0/zzz.png'} <= set(PINNED)


def test_lists_may_be_text_files_in_their_own_order(tmp_path):
    raw = make_folder(tmp_path, 6)
    write(tmp_path / 'train.txt', 'kind1/picture03\n\nimages/kind0/picture00.png\r\n'
                                  './kind1/picture01.png\n')
    write(tmp_path / 'test.txt', 'kind0/picture02.png\n')
    plan = read_plan(raw, folder_settings(split_by='lists', split_train_list='train.txt',
                                          split_test_list='test.txt'))
    assert names(plan, 'train') == ['kind1/picture03.png', 'kind0/picture00.png',
                                    'kind1/picture01.png']
    assert plan.remarks == ['left out, in neither list: 2 images']


@pytest.mark.parametrize('train, test, words', [
    ('kind0/picture00\nkind1/picture01\n', 'kind0/nothing\n',
     "test.txt: names 'kind0/nothing', but the dataset has no such image"),
    ('kind0/picture00\nkind1/picture01\n', 'kind0/picture00.png\n',
     'train.txt and .*test.txt both name kind0/picture00.png'),
    ('kind0/picture00\nkind0/picture00.png\n', 'kind1/picture01\n',
     'train.txt: names kind0/picture00.png twice'),
    ('kind0/picture00\n', '\n', 'test.txt: names no images for the test split'),
    ('kind0/picture00\nkind0/picture02\n', 'kind1/picture01\n',
     r'one class only in training \(kind0\)'),
    ('kind1/both\n', 'kind1/picture01\n', "'kind1/both' matches several images"),
])
def test_unusable_lists_are_errors(tmp_path, train, test, words):
    raw = make_folder(tmp_path, 4)
    for extension in ('jpg', 'png'):
        image(tmp_path / 'images' / 'kind1' / ('both.' + extension))
    write(tmp_path / 'train.txt', train)
    write(tmp_path / 'test.txt', test)
    fails(words, raw, folder_settings(split_by='lists', split_train_list='train.txt',
                                      split_test_list='test.txt'))


def test_missing_list_files_are_named(tmp_path):
    fails('train.txt is missing: data.split.train_list names it', make_folder(tmp_path),
          folder_settings(split_by='lists', split_train_list='train.txt',
                          split_test_list='test.txt'))


def test_one_class_only_is_an_error(tmp_path):
    raw = make_folder(tmp_path, 4, classes=1)
    fails(r'one class only in training \(kind0\)', raw, folder_settings())
    fails(r'one class only in training \(kind0\)', raw, folder_settings(split_by='class'))


def test_two_classes_cannot_be_split_by_class(tmp_path):
    fails(r'needs at least 3 classes.*there are 2 \(kind0, kind1\). Use ratio',
          make_folder(tmp_path, 4), folder_settings(split_by='class'))


def test_one_image_cannot_be_split(tmp_path):
    fails('needs at least 2 images', make_folder(tmp_path, 1), folder_settings())
