"""Which images are for training and which for testing."""

import hashlib
import os

from stackgan.data.layouts.common import SPLITS, NameIndex, require
from stackgan.errors import InputError
from stackgan.text_files import read_lines

MIN_TRAIN_CLASSES = 2      # the wrong image of a caption comes from another class


def choose_splits(
        dataset,       # common.Raw
        raw,           # raw folder
        settings,      # config Split
        prefixes,      # folders that lists may write in front of names
):
    """({'train': [Item], 'test': [Item]}, remarks). Raises InputError for an unusable split."""
    named = dataset.folder_splits
    if named and _uses_folders(dataset, settings):
        splits, remarks = _by_folders(dataset, settings)
    elif settings.by == 'lists':
        splits, remarks = _by_lists(dataset, raw, settings, prefixes)
    elif settings.by == 'class':
        splits, remarks = _by_class(dataset, settings), []
    else:
        splits, remarks = _by_ratio(dataset, settings), []
    if named and not _uses_folders(dataset, settings):
        remarks = [f'not used: the splits that the names of folders give ({named.text}); '
                   f'data.split.by: {settings.by} '
                   'splits anew'] + remarks
    check_splits(splits, f'data.split.by: {settings.by}')
    return splits, remarks


def _uses_folders(dataset, settings):
    """Whether folders named train and test are taken: unless lists or whole classes are wanted."""
    has_lists = settings.train_list or dataset.lists is not None
    return settings.by == 'ratio' or settings.by == 'lists' and not has_lists


def _by_folders(dataset, settings):
    names = {split: set(found) for split, found in dataset.folder_splits.names.items()}
    remarks = ['splits by the names of the folders: {}{}'.format(
        dataset.folder_splits.text,
        '; data.split.by: ratio is not used' if settings.by == 'ratio' else '')]
    loose = len(dataset.items) - sum(map(len, dataset.folder_splits.names.values()))
    if loose:
        remarks.append('left out, in none of these folders: %d images' % loose)
    return {split: [item for item in dataset.items if item.name in names[split]]
            for split in SPLITS}, remarks


def check_splits(splits, origin):
    """Raises InputError unless both splits hold images and training has two classes."""
    for split in SPLITS:
        if not splits[split]:
            raise InputError(f'{origin}: no images for the {split} split')
    _check_classes(splits['train'], origin)


def _check_classes(items, origin):
    classes = sorted({item.class_name for item in items if item.class_name})
    if len(classes) == 1:
        raise InputError(
            f'{origin}: one class only in training ({classes[0]}); two are needed, because the '
            f'discriminator is '
            'shown images of another class as wrong ones. In layout folder, images in images/ '
            'itself, without sub-folders, each count as a class')


def _shuffled(names, seed):
    """Names in an order given by the seed; a name more or less leaves the others' order."""
    return sorted(names, key=lambda name: hashlib.sha256(
        ('%d %s' % (seed, name)).encode('utf-8')).digest())


def _by_class(dataset, settings):
    classes = sorted({item.class_name for item in dataset.items if item.class_name})
    _check_classes(dataset.items, 'data.split.by: class')
    spare = len(classes) - MIN_TRAIN_CLASSES
    if spare < 1:
        raise InputError('data.split.by: class needs at least 3 classes, 2 for training and 1 for '
                         'testing; there are %d (%s). Use ratio'
                         % (len(classes), ', '.join(classes)))
    count = min(max(1, int(round(settings.test_share * len(classes)))), spare)
    chosen = set(_shuffled(classes, settings.seed)[:count])
    return {'train': [item for item in dataset.items if item.class_name not in chosen],
            'test': [item for item in dataset.items if item.class_name in chosen]}


def _by_ratio(dataset, settings):
    names = [item.name for item in dataset.items]
    if len(names) < 2:
        raise InputError('data.split.by: ratio needs at least 2 images; there is %d' % len(names))
    count = min(max(1, int(round(settings.test_share * len(names)))), len(names) - 1)
    chosen = set(_shuffled(names, settings.seed)[:count])
    return {'train': [item for item in dataset.items if item.name not in chosen],
            'test': [item for item in dataset.items if item.name in chosen]}


def _by_lists(dataset, raw, settings, prefixes):
    index = NameIndex(dataset.items, prefixes)
    positions, origins = {}, {}
    for split, file in zip(SPLITS, (settings.train_list, settings.test_list)):
        names, origin = _listed(dataset, raw, split, file)
        origins[split] = origin
        positions[split] = [index.position(name, origin) for name in names]
        if not names:
            raise InputError(f'{origin}: names no images for the {split} split')
        twice = _first_twice(positions[split])
        if twice is not None:
            raise InputError(f'{origin}: names {dataset.items[twice].name} twice')
    both = sorted(set(positions['train']) & set(positions['test']))
    if both:
        raise InputError('{} and {} both name {}{}; an image is for training or for testing'.format(origins['train'], origins['test'], dataset.items[both[0]].name,
                            ' and %d more' % (len(both) - 1) if len(both) > 1 else ''))
    left = len(dataset.items) - len(positions['train']) - len(positions['test'])
    remarks = ['left out, in neither list: %d images' % left] if left else []
    return ({split: [dataset.items[position] for position in positions[split]]
             for split in SPLITS}, remarks)


def _listed(dataset, raw, split, file):
    """(names, where they stand) of one split's list."""
    if file:
        path = require(os.path.join(raw, file), f'data.split.{split}_list names it, below the raw '
                                                f'folder')
        return [line.strip() for line in read_lines(path) if line.strip()], path
    if dataset.lists is None:
        raise InputError(f'{raw}: has no split lists (train/filenames.pickle or a column '
                         'split); name files with data.split.train_list and test_list, or use '
                         'data.split.by: class or ratio')
    return dataset.lists[split], f'{raw}: {split} list'


def _first_twice(positions):
    seen = set()
    for position in positions:
        if position in seen:
            return position
        seen.add(position)
    return None
