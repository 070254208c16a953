"""Folders named train, val and test are splits, whatever their capitals, and that is said."""

import os

import pytest
from raw_toy import folder_settings, image, run, write

from stackgan.data.layouts import read_plan
from stackgan.data.prepared import Split, open_dataset
from stackgan.errors import InputError


def make(raw, *paths):
    """Images with a caption each; returns the raw folder."""
    for number, path in enumerate(paths):
        image(os.path.join(str(raw), path), number)
        write(os.path.join(str(raw), os.path.splitext(path)[0] + '.txt'), 'image %d' % number)
    return str(raw)


def names(plan):
    return {split: sorted(item.name for item in items) for split, items in plan.splits.items()}


def classes(plan):
    return {item.name: item.class_name for items in plan.splits.values() for item in items}


@pytest.mark.parametrize('train, other', [
    ('train', 'val'), ('train', 'test'), ('Train', 'Validation'), ('TRAIN', 'VAL'),
    ('train', 'valid'), ('Train', 'TEST')])
@pytest.mark.parametrize('top', ['images/', ''])
def test_two_folders_named_so_are_the_splits(tmp_path, top, train, other):
    raw = make(tmp_path, *[top + each for each in (
        train + '/robin/a.png', train + '/wren/b.png', train + '/wren/deep/c.png',
        other + '/robin/a.png', other + '/owl/d.png')])
    plan = read_plan(raw, folder_settings())
    assert names(plan) == {
        'train': [train + '/robin/a.png', train + '/wren/b.png', train + '/wren/deep/c.png'],
        'test': sorted([other + '/robin/a.png', other + '/owl/d.png'])}
    assert plan.classes == ['owl', 'robin', 'wren']
    assert classes(plan)[train + '/wren/deep/c.png'] == 'wren'
    assert plan.remarks == [
        f'{top}{train}, {top}{other} by the name: no class, but a split; the folders in it are the '
        f'classes',
        f'splits by the names of the folders: {top}{train} for training, {top}{other} for testing; '
        f'data.split.by: '
        'ratio is not used']


def test_images_without_classes_in_splits_are_classes_of_their_own(tmp_path):
    raw = make(tmp_path, 'images/train/a.png', 'images/train/b.png', 'images/val/a.png')
    plan = read_plan(raw, folder_settings())
    assert names(plan) == {'train': ['train/a.png', 'train/b.png'], 'test': ['val/a.png']}
    assert len(set(classes(plan).values())) == 3
    assert plan.remarks[0].endswith('each image in it is a class of its own')


def test_validation_is_left_out_where_there_is_a_test_and_so_are_loose_images(tmp_path):
    raw = make(tmp_path, 'images/train/x/a.png', 'images/train/y/b.png', 'images/val/x/c.png',
               'images/val/x/d.png', 'images/test/x/e.png', 'images/loose.png')
    plan = read_plan(raw, folder_settings())
    assert names(plan) == {'train': ['train/x/a.png', 'train/y/b.png'], 'test': ['test/x/e.png']}
    assert plan.remarks[1:] == [
        'splits by the names of the folders: images/train for training, images/test for testing, '
        'images/val for nothing (2 images); data.split.by: ratio is not used',
        'left out, in none of these folders: 1 images']


def test_train_alone_is_no_class(tmp_path):
    raw = make(tmp_path, *['images/train/%s/%d.png' % (kind, number) for kind in 'xy'
                           for number in range(4)])
    plan = read_plan(raw, folder_settings())
    assert plan.classes == ['x', 'y'] and len(plan.splits['test']) == 2
    assert plan.remarks == [
        'images/train by the name: no class, but a split; the folders in it are the classes']


@pytest.mark.parametrize('folders', [
    ('train', 'ship', 'plane'),                 # vehicles
    ('val', 'test'), ('training', 'testing'), ('trains', 'tests')])
def test_other_folders_are_classes_as_before(tmp_path, folders):
    raw = make(tmp_path, *['images/%s/%d.png' % (name, number) for name in folders
                           for number in range(4)])
    plan = read_plan(raw, folder_settings())
    assert plan.classes == sorted(folders) and plan.remarks == []


def test_a_folder_of_other_files_hides_no_split(tmp_path):
    raw = make(tmp_path, 'images/train/x/a.png', 'images/train/y/b.png', 'images/val/x/c.png')
    write(tmp_path / 'images' / 'annotations' / 'all.json', '{}')
    assert names(read_plan(raw, folder_settings()))['test'] == ['val/x/c.png']


def test_a_split_by_class_is_made_anew_and_says_so(tmp_path):
    raw = make(tmp_path, 'images/train/x/a.png', 'images/train/y/b.png', 'images/val/x/c.png',
               'images/val/z/d.png')
    plan = read_plan(raw, folder_settings(split_by='class'))
    test = {item.class_name for item in plan.splits['test']}
    assert len(test) == 1 and test.isdisjoint(item.class_name for item in plan.splits['train'])
    assert plan.remarks[1] == (
        'not used: the splits that the names of folders give (images/train for training, '
        'images/val for testing); data.split.by: class splits anew')


def test_lists_and_the_column_of_a_table_come_first(tmp_path):
    raw = make(tmp_path, 'images/train/x/a.png', 'images/train/y/b.png', 'images/val/x/c.png')
    by_folder = read_plan(raw, folder_settings(split_by='lists'))
    assert names(by_folder)['test'] == ['val/x/c.png']
    write(tmp_path / 'train.txt', 'train/x/a\nval/x/c\ntrain/y/b')
    write(tmp_path / 'test.txt', 'train/y/b.png')
    chosen = folder_settings(split_by='lists', split_train_list='train.txt',
                             split_test_list='test.txt')
    with pytest.raises(InputError, match='both name train/y/b.png'):
        read_plan(raw, chosen)
    write(tmp_path / 'captions.csv', 'file,caption,class,split\ntrain/x/a.png,a,p,test\n'
          'images/train/y/b.png,b,q,train\nval/x/c.png,c,r,train\n')
    plan = read_plan(raw, folder_settings(split_by='lists'))
    assert names(plan) == {'test': ['train/x/a.png'], 'train': ['train/y/b.png', 'val/x/c.png']}
    assert classes(plan)['val/x/c.png'] == 'r'
    assert names(read_plan(raw, folder_settings()))['test'] == ['val/x/c.png']


def test_captions_may_lie_in_a_tree_of_their_own(tmp_path):
    raw = make(tmp_path, 'train/x/a.png', 'train/y/b.png', 'val/x/c.png')
    for name in ('train/x/a', 'train/y/b', 'val/x/c'):
        os.makedirs(os.path.dirname(os.path.join(raw, 'Captions', name)), exist_ok=True)
        os.rename(os.path.join(raw, name + '.txt'), os.path.join(raw, 'Captions', name + '.TXT'))
    plan = read_plan(raw, folder_settings())
    assert [item.captions for item in plan.splits['train']] == [['image 0'], ['image 1']]
    os.unlink(os.path.join(raw, 'Captions', 'val', 'x', 'c.TXT'))
    assert read_plan(raw, folder_settings()).splits['test'][0].problem == (
        'it has no captions: Captions/val/x/c.txt is missing')


def test_what_is_missing_is_named_where_there_is_nothing_of_the_kind(tmp_path):
    with pytest.raises(InputError, match='images is missing: the images of layout folder'):
        read_plan(make(tmp_path, 'val/x/a.png', 'test/x/b.png'), folder_settings())


def test_prepared_splits_hold_the_images_of_their_folders(tmp_path):
    raw = make(tmp_path / 'raw', 'images/train/x/a.png', 'images/train/y/b.png',
               'images/val/x/c.png')
    lines = run(raw, tmp_path / 'out', folder_settings())
    assert lines[1].startswith('splits by the names of the folders: images/train for training')
    dataset = open_dataset(str(tmp_path / 'out'))
    assert [item['name'] for item in Split(dataset, 'train').items()] == [
        'train/x/a.png', 'train/y/b.png']
    assert [item['captions'] for item in Split(dataset, 'test').items()] == [['image 2']]
