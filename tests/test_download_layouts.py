"""Layouts that people download: imagefolder, COCO captions, WebDataset shards, sidecar texts."""

import io
import json
import os
import tarfile

import pytest
from raw_toy import captions_of, content, folder_settings, image, noise, run, write

from stackgan.data.layouts import read_plan
from stackgan.errors import InputError, MissingRequirement

try:
    import pyarrow
    from pyarrow import parquet
except ImportError:
    pyarrow = None
needs_pyarrow = pytest.mark.skipif(
    pyarrow is None, reason="pyarrow is not installed (pip install 'stackgan[parquet]')")


def plan_of(raw, layout, **changes):
    return read_plan(str(raw), folder_settings(layout=layout, **changes))


def items_of(plan):
    return {item.name: item for items in plan.splits.values() for item in items}


def problems(plan):
    return {name: item.problem for name, item in items_of(plan).items() if item.problem}


def captions(plan):
    return {name: item.captions for name, item in items_of(plan).items() if not item.problem}


def lines(rows):
    return '\n'.join(json.dumps(row) for row in rows) + '\n'


# ---- imagefolder

def make_imagefolder(raw, images=4):
    for number in range(images):
        image(raw / ('%d.png' % number), number)
    return raw


def test_imagefolder_takes_one_text_or_a_list(tmp_path):
    make_imagefolder(tmp_path)
    write(tmp_path / 'metadata.jsonl', lines([
        {'file_name': '0.png', 'text': 'one', 'width': 3},
        {'file_name': '1.png', 'text': ['two', 'three  words'], 'label': 7},
        {'file_name': './2.png', 'texts': ['four'], 'label': 'x'},
        {'image_file_name': '3.png', 'caption': 'five', 'label': [1, 2]}]))
    write(tmp_path / 'README.md', 'x')
    plan = plan_of(tmp_path, 'imagefolder')
    assert captions(plan) == {'0.png': ['one'], '1.png': ['two', 'three words'], '2.png': ['four'],
                              '3.png': ['five']}
    assert plan.classes == ['0.png', '3.png', '7', 'x'] and plan.remarks == []


def test_imagefolder_has_splits_with_a_table_each(tmp_path):
    for split in ('train', 'validation', 'test'):
        make_imagefolder(tmp_path / 'data' / split, 3)
        write(tmp_path / 'data' / split / 'metadata.csv', '\ufefffile_name,text,extra\n' + ''.join(
            '%d.png,"%s %d, quoted",x\n' % (n, split, n) for n in range(3)))
    plan = plan_of(tmp_path, 'imagefolder')
    assert [item.name for item in plan.splits['train']] == ['train/%d.png' % n for n in range(3)]
    assert plan.splits['test'][2].captions == ['test 2, quoted']
    assert plan.splits['test'][2].path == 'data/test/2.png'
    assert plan.remarks == [
        'data/train, data/validation, data/test by the name: no class, but a split; each image in '
        'it is a class of its own',
        'no classes: each image is a class of its own, and no scorer can be trained on them',
        'splits by the names of the folders: data/train for training, data/test for testing, '
        'data/validation for nothing (3 images); data.split.by: ratio is not used']


def test_the_nearest_table_describes_an_image_and_folders_that_differ_are_classes(tmp_path):
    make_imagefolder(tmp_path / 'cat', 2)
    make_imagefolder(tmp_path / 'dog', 2)
    write(tmp_path / 'metadata.csv', 'file_name,text\n' + ''.join(
        '%s/%d.png,far\n' % (kind, n) for kind in ('cat', 'dog') for n in range(2)))
    write(tmp_path / 'dog' / 'metadata.jsonl', lines([{'file_name': '1.png', 'text': 'near'}]))
    plan = plan_of(tmp_path, 'imagefolder')
    assert captions(plan)['dog/1.png'] == ['near'] and captions(plan)['dog/0.png'] == ['far']
    assert plan.classes == ['cat', 'dog']


def test_what_an_imagefolder_lacks_is_a_problem_of_the_image(tmp_path):
    make_imagefolder(tmp_path)
    write(tmp_path / 'photo.heic', 'x')
    write(tmp_path / 'metadata.jsonl', lines([
        {'file_name': '0.png', 'text': ' {} '}, {'file_name': '1.png', 'text': 'b'},
        {'file_name': 'gone.png', 'text': 'c'}, {'file_name': '3.png', 'text': None}]))
    plan = plan_of(tmp_path, 'imagefolder')
    found = problems(plan)
    assert found.pop('photo.heic').startswith('images of this kind (HEIC) are not read')
    assert found == {'0.png': 'it has no captions: metadata.jsonl holds none for it',
                     '2.png': 'it has no captions: no metadata table names it',
                     '3.png': 'it has no captions: metadata.jsonl holds none for it',
                     'gone.png': 'metadata.jsonl names it, but it is not there'}
    assert plan.remarks[-1].endswith("hold no letter or digit: 1, the first in metadata.jsonl: "
                                     "'{}'")


@pytest.mark.parametrize('name, text, words', [
    ('metadata.csv', 'file,caption\na,b\n', 'must name the columns file_name and text .*names: '
                                            'file, caption'),
    ('metadata.csv', 'file_name,text\n../0.png,b\n', "file_name is '../0.png'; must be a path "
                                                     'below its folder'),
    ('metadata.jsonl', '{"file_name": "0.png"}\n', 'line 1: must hold "file_name" .*both captions'),
    ('metadata.jsonl', '{"file_name": "/etc/x.png", "text": "a"}\n', "is '/etc/x.png'"),
    ('metadata.jsonl', '{"file_name": "0.png", "text": {"a": 1}}\n', '"text" is an object'),
    ('metadata.jsonl', '{"file_name": 3, "text": "a"}\n', '"file_name" is a number'),
])
def test_wrong_lines_of_metadata_are_named(tmp_path, name, text, words):
    make_imagefolder(tmp_path)
    write(tmp_path / name, text)
    with pytest.raises(InputError, match=name + '.*' + words):
        plan_of(tmp_path, 'imagefolder')


def test_two_tables_of_a_folder_and_none_at_all_are_errors(tmp_path):
    make_imagefolder(tmp_path)
    with pytest.raises(InputError, match='holds no table of an imagefolder .metadata.jsonl, '):
        plan_of(tmp_path, 'imagefolder')
    for name in ('metadata.csv', 'metadata.jsonl'):
        write(tmp_path / name, 'file_name,text\n0.png,x\n')
    with pytest.raises(InputError, match='holds metadata.csv and metadata.jsonl; remove one'):
        plan_of(tmp_path, 'imagefolder')


@needs_pyarrow
def test_metadata_may_be_parquet(tmp_path):
    make_imagefolder(tmp_path)
    table = pyarrow.table({'file_name': ['%d.png' % n for n in range(4)],
                           'text': [['a', 'b'], ['c'], ['d'], ['e']], 'label': [0, 0, 1, 1],
                           'left out': [b'x'] * 4})
    parquet.write_table(table, str(tmp_path / 'metadata.parquet'))
    plan = plan_of(tmp_path, 'imagefolder')
    assert captions(plan)['0.png'] == ['a', 'b'] and plan.classes == ['0', '1']


@needs_pyarrow
@pytest.mark.parametrize('damage, words', [
    (lambda data: data[:-20], 'not Parquet that is read'), (lambda data: b'', 'not Parquet'),
    (lambda data: data[:4] + b'\xff' * 40 + data[44:], 'metadata.parquet: ')])
def test_damaged_parquet_is_named(tmp_path, damage, words):
    make_imagefolder(tmp_path)
    path = str(tmp_path / 'metadata.parquet')
    parquet.write_table(pyarrow.table({'file_name': ['0.png'], 'text': ['a']}), path)
    with open(path, 'rb') as stream:
        data = stream.read()
    write(path, damage(data))
    with pytest.raises(InputError, match=words):
        plan_of(tmp_path, 'imagefolder')


@needs_pyarrow
def test_null_in_parquet_is_no_caption_and_missing_columns_are_named(tmp_path):
    make_imagefolder(tmp_path)
    path = str(tmp_path / 'metadata.parquet')
    names = ['%d.png' % n for n in range(4)]
    parquet.write_table(pyarrow.table({'file_name': names, 'text': [['a', None], None, [], ['d']]}),
                        path)
    plan = plan_of(tmp_path, 'imagefolder')
    assert captions(plan) == {'0.png': ['a'], '3.png': ['d']}
    assert problems(plan)['1.png'] == 'it has no captions: metadata.parquet holds none for it'
    for columns in ({'File_Name': names, 'text': names}, {'file_name': names, 'words': names}):
        parquet.write_table(pyarrow.table(columns), path)
        with pytest.raises(InputError, match='metadata.parquet: must have the columns file_name '
                                             'and text; it has: ' + ', '.join(columns)):
            plan_of(tmp_path, 'imagefolder')


def test_without_pyarrow_the_message_says_what_to_install(tmp_path, monkeypatch):
    make_imagefolder(tmp_path)
    write(tmp_path / 'metadata.parquet', b'PAR1')
    monkeypatch.setitem(__import__('sys').modules, 'pyarrow', None)
    with pytest.raises(MissingRequirement, match=r"pip install 'stackgan\[parquet\]'"):
        plan_of(tmp_path, 'imagefolder')


# ---- coco

def coco_json(numbers, more=()):
    return json.dumps({
        'info': {'year': 2017}, 'licenses': [],
        'images': [{'id': n, 'file_name': '%012d.jpg' % n, 'height': 4} for n in numbers],
        'annotations': [{'image_id': n, 'id': 10 * n + k, 'caption': text}
                        for n in numbers for k, text in enumerate(captions_of(n, 2))] + list(more)})


def make_coco(raw, top=''):
    for split, numbers in (('train2017', (1, 2, 3)), ('val2017', (4, 5))):
        for number in numbers:
            image(raw / top / split / ('%012d.jpg' % number), number)
        write(raw / 'annotations' / ('captions_%s.json' % split), coco_json(numbers))
    write(raw / 'annotations' / 'instances_val2017.json', 'not read')
    return raw


@pytest.mark.parametrize('top', ['', 'images'])
def test_coco_is_read_with_its_splits(tmp_path, top):
    plan = plan_of(make_coco(tmp_path, top), 'coco')
    assert [len(plan.splits[split]) for split in ('train', 'test')] == [3, 2]
    name = (top + '/' if top else '') + 'val2017/000000000005.jpg'
    item = items_of(plan)[name]
    assert item.path == name and item.captions == captions_of(5, 2) and len(plan.classes) == 5
    assert plan.remarks[-1] == (
        'splits by the names of the files: annotations/captions_train2017.json for training, '
        'annotations/captions_val2017.json for testing; data.split.by: ratio is not used')


def test_one_captions_file_of_coco_is_split_by_ratio_and_all_images_may_be_together(tmp_path):
    for number in range(1, 5):
        image(tmp_path / 'images' / ('%012d.jpg' % number), number)
    write(tmp_path / 'annotations' / 'captions_mine.json', coco_json(range(1, 6)))
    plan = plan_of(tmp_path, 'coco', split_test_share=0.4)
    assert len(plan.splits['test']) == 2
    assert problems(plan) == {'mine/000000000005.jpg': (
        'annotations/captions_mine.json names it, but it is not in mine/, images/mine/ or images/')}


@pytest.mark.parametrize('text, words', [
    ('{', 'not JSON'), ('[]', 'must hold the lists images and annotations'),
    (coco_json([1, 1]), r'images\[1\]: duplicate id 1'),
    (coco_json([1], [{'image_id': 9, 'caption': 'x'}]), 'captions of the image 9, which is not'),
    (coco_json([1], [{'image_id': 1, 'caption': 3}]), r'annotations\[2\] must hold'),
    (coco_json([1]).replace('000000000001.jpg', '../../x.jpg'), "file_name is '../../x.jpg'"),
    (coco_json([1]).replace('"000000000001.jpg"', '7'), r'images\[0\] must hold id and file_name'),
])
def test_wrong_json_of_coco_is_named(tmp_path, text, words):
    make_coco(tmp_path)
    write(tmp_path / 'annotations' / 'captions_val2017.json', text)
    with pytest.raises(InputError, match='captions_val2017.json.*' + words):
        plan_of(tmp_path, 'coco')


# ---- webdataset

def jpeg(number):
    data = io.BytesIO()
    noise(number).save(data, 'JPEG')
    return data.getvalue()


def make_shard(path, members, form=tarfile.PAX_FORMAT, mode='w'):
    os.makedirs(os.path.dirname(str(path)), exist_ok=True)
    with tarfile.open(str(path), mode, format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            data = data.encode('utf-8') if isinstance(data, str) else data
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


def sample(number, text='txt'):
    key = '%06d' % number
    texts = {'txt': '\n'.join(captions_of(number)), 'json': json.dumps({
        'caption': captions_of(number)[0], 'label': number % 2})}
    return [(key + '.jpg', jpeg(number)), (key + '.' + text, texts[text])]


@pytest.mark.parametrize('form', [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_shards_are_read_in_place(tmp_path, form):
    make_shard(tmp_path / 'train-00000.tar', sample(0) + sample(1), form)
    make_shard(tmp_path / 'train-00001.tar', sample(2, 'json') + sample(3, 'json'), form)
    make_shard(tmp_path / 'val-00000.tar', sample(0), form)
    write(tmp_path / '00000_stats.json', '{}')
    plan = plan_of(tmp_path, 'webdataset')
    assert sorted(captions(plan)) == ['train-00000.tar/000000.jpg', 'train-00000.tar/000001.jpg',
                                      'train-00001.tar/000002.jpg', 'train-00001.tar/000003.jpg',
                                      'val-00000.tar/000000.jpg']
    assert captions(plan)['train-00000.tar/000001.jpg'] == captions_of(1)
    assert captions(plan)['train-00001.tar/000002.jpg'] == captions_of(2)[:1]
    assert items_of(plan)['train-00001.tar/000002.jpg'].class_name == '0'
    assert [item.name for item in plan.splits['test']] == ['val-00000.tar/000000.jpg']


def test_images_in_shards_become_the_arrays_that_files_become(tmp_path):
    """The same images and captions beside each other in a folder are the independent truth."""
    for number in range(6):
        write(tmp_path / 'files' / ('%06d.jpg' % number), jpeg(number))
        write(tmp_path / 'files' / ('%06d.txt' % number), '\n'.join(captions_of(number)))
    make_shard(tmp_path / 'shards' / 'a.tar',
               [each for number in range(6) for each in sample(number)])
    found = {}
    lists = dict(split_by='lists', split_train_list='train.txt', split_test_list='test.txt')
    for layout, folder, top in (('sidecars', 'files', ''), ('webdataset', 'shards', 'a.tar/')):
        for name, numbers in (('train.txt', range(4)), ('test.txt', (4, 5))):
            write(tmp_path / folder / name, ''.join('%s%06d.jpg\n' % (top, n) for n in numbers))
        run(tmp_path / folder, tmp_path / layout, folder_settings(layout=layout, **lists))
        found[layout] = content(tmp_path / layout)
    arrays = [name for name in found['sidecars'] if name.endswith('.npy')]
    assert len(arrays) == 8
    for name in arrays:
        assert found['sidecars'][name] == found['webdataset'][name], name


def test_odd_samples_have_a_problem(tmp_path):
    make_shard(tmp_path / 'a.tar', sample(0) + sample(1) + [
        ('b.jpg', jpeg(3)), ('b.png', b'x'), ('b.txt', 'two'),
        ('c.jpg', jpeg(4)), ('c.json', '[1]'),
        ('d.jpg', jpeg(5)),
        ('e.jpg', jpeg(6)), ('e.txt', 'one'), ('e.jpg', jpeg(7)),
        ('f.txt', 'no image'), ('g.avif', b'x'), ('g.txt', 'g'),
        ('../h.jpg', jpeg(8)), ('.DS_Store', b'x'), ('i.jpg', jpeg(9)), ('i.txt', b'\xff\0\0')])
    plan = plan_of(tmp_path, 'webdataset')
    found = problems(plan)
    assert found.pop('a.tar/g.avif').startswith('images of this kind (AVIF) are not read')
    assert 'NUL characters' in found.pop('a.tar/i.jpg')
    assert found == {
        'a.tar/b.jpg': 'its key b has several images: b.jpg, b.png',
        'a.tar/c.jpg': 'it has no captions: a.tar/c: a text of it is JSON, but no object',
        'a.tar/d.jpg': 'it has no captions: there is no a.tar/d.txt or .json',
        'a.tar/e.jpg': 'a.tar holds e.jpg twice'}
    assert plan.remarks[0] == 'a.tar: left out, links and names that lead out: ../h.jpg'


def test_damaged_shards_are_named(tmp_path):
    path = make_shard(tmp_path / 'a.tar', sample(0) + sample(1))
    with open(path, 'rb') as stream:
        data = stream.read()
    for cut in (len(data) // 2, 512, 0):
        write(path, data[:cut])
        with pytest.raises(InputError, match='a.tar: (damaged or cut off|is empty)'):
            plan_of(tmp_path, 'webdataset')
    make_shard(path, sample(0), mode='w:gz')
    with pytest.raises(InputError, match='is compressed, or is no .tar.*gunzip'):
        plan_of(tmp_path, 'webdataset')
    write(path, b'<!DOCTYPE html>' + b' ' * 600)
    with pytest.raises(InputError, match='is a web page'):
        plan_of(tmp_path, 'webdataset')
    os.unlink(path)
    with pytest.raises(InputError, match='holds no shards'):
        plan_of(tmp_path, 'webdataset')


def test_links_in_a_shard_are_not_followed(tmp_path):
    secret = write(tmp_path / 'secret.txt', 'a secret')
    path = make_shard(tmp_path / 'raw' / 'a.tar', sample(0) + sample(1) + [('x.jpg', jpeg(2))])
    with tarfile.open(path, 'a') as archive:
        link = tarfile.TarInfo('x.txt')
        link.type, link.linkname = tarfile.SYMTYPE, secret
        archive.addfile(link)
    plan = plan_of(tmp_path / 'raw', 'webdataset')
    assert 'no captions' in problems(plan)['a.tar/x.jpg'] and 'x.txt' in plan.remarks[0]


# ---- sidecars

def test_sidecars_of_all_kinds_are_read(tmp_path):
    texts = [('.caption', 'by a program'), ('.txt', 'first\nsecond'),
             ('.json', json.dumps({'id': 1, 'description': 'from json', 'label': 'z'})),
             ('.jpg.txt', 'with the whole name')]
    for number, (ending, text) in enumerate(texts):
        write(tmp_path / ('%d.jpg' % number), jpeg(number))
        write(tmp_path / ('%d%s' % (number, ending)), text)
    write(tmp_path / '1.json', json.dumps({'caption': 'the .txt comes first'}))
    write(tmp_path / '0.txt', 'the .caption comes first')
    plan = plan_of(tmp_path, 'sidecars')
    assert captions(plan) == {'0.jpg': ['by a program'], '1.jpg': ['first', 'second'],
                              '2.jpg': ['from json'], '3.jpg': ['with the whole name']}
    assert plan.classes == ['0.jpg', '1.jpg', '3.jpg', 'z']


def test_a_text_without_captions_leaves_the_word_to_the_next(tmp_path):
    for name, text in (('a.txt', ' \n'), ('a.json', '{"text": ["x", "y"]}'), ('b.txt', 'b'),
                       ('c.json', '{'), ('d.json', '{"caption": 3}')):
        write(tmp_path / name, text)
        write(tmp_path / (name[0] + '.jpg'), jpeg(1))
    write(tmp_path / 'e.jpg', jpeg(2))
    plan = plan_of(tmp_path, 'sidecars')
    assert captions(plan) == {'a.jpg': ['x', 'y'], 'b.jpg': ['b']}
    found = problems(plan)
    assert found.pop('c.jpg').startswith('it has no captions: c.json is not JSON (')
    assert found == {'d.jpg': 'it has no captions: d.json holds none for it',
                     'e.jpg': 'it has no captions: there is no e.caption, .txt or .json'}


@pytest.mark.parametrize('folders, classes', [
    (('cat', 'dog'), ['cat', 'dog']), (('00000', '00001'), 4), (('10_dog', '10_dog'), 4)])
def test_folders_are_classes_if_they_differ_and_are_not_numbers(tmp_path, folders, classes):
    for number in range(4):
        path = tmp_path / folders[number % 2] / ('%d.jpg' % number)
        write(path, jpeg(number))
        write(str(path)[:-4] + '.txt', 'x')
    found = plan_of(tmp_path, 'sidecars').classes
    assert found == classes or len(found) == classes


def test_two_images_of_one_text_and_a_folder_without_texts(tmp_path):
    write(tmp_path / 'a.jpg', jpeg(1))
    with pytest.raises(InputError, match='holds no image with a text of its name'):
        plan_of(tmp_path, 'sidecars')
    for name in ('a.png', 'b.jpg', 'c.jpg'):
        write(tmp_path / name, jpeg(2))
    for name in 'abc':
        write(tmp_path / (name + '.txt'), 'x')
    assert sorted(problems(plan_of(tmp_path, 'sidecars'))) == ['a.jpg', 'a.png']
