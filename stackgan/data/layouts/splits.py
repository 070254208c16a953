"""Chooses the images for training and for testing."""

import hashlib
import os
from typing import Dict, List, Optional, Sequence, Tuple

from stackgan.config.schema import Split
from stackgan.data.layouts.common import SPLITS, Item, NameIndex, Raw, require
from stackgan.errors import InputError
from stackgan.text_files import read_lines

MIN_TRAIN_CLASSES = 2      # the wrong image of a caption comes from another class
Splits = Dict[str, List[Item]]       # for 'train' and 'test'


def choose_splits(
        dataset: Raw,
        raw: str,                    # raw folder
        settings: Split,
        prefixes: Sequence[str],     # folders that lists may write in front of names
) -> Tuple[Splits, List[str]]:
    """(splits, remarks). Raises InputError for an unusable split."""
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
        remarks = [f'not used: the splits that the names of {named.kind} give ({named.text}); '
                   f'data.split.by: {settings.by} splits anew'] + remarks
    check_splits(splits, f'data.split.by: {settings.by}')
    return splits, remarks


def _uses_folders(dataset: Raw, settings: Split) -> bool:
    """Whether folders named train and test are used; lists and whole classes take precedence."""
    has_lists = bool(settings.train_list) or dataset.lists is not None
    return settings.by == 'ratio' or settings.by == 'lists' and not has_lists


def _by_folders(dataset: Raw, settings: Split) -> Tuple[Splits, List[str]]:
    names = {split: set(found) for split, found in dataset.folder_splits.names.items()}
    ratio = '; data.split.by: ratio is not used' if settings.by == 'ratio' else ''
    text = dataset.folder_splits.text + ratio
    remarks = [f'splits by the names of the folders: {text}'
               if dataset.folder_splits.kind == 'folders' else
               f'splits by the names of the files: {text}']
    loose = len(dataset.items) - sum(map(len, dataset.folder_splits.names.values()))
    if loose:
        remarks.append(f'left out, in none of these {dataset.folder_splits.kind}: {loose} images')
    return {split: [item for item in dataset.items if item.name in names[split]]
            for split in SPLITS}, remarks


def check_splits(splits: Splits, origin: str) -> None:
    """Raises InputError unless both splits have images and training has two classes."""
    for split in SPLITS:
        if not splits[split]:
            raise InputError(f'{origin}: no images for the {split} split')
    _check_classes(splits['train'], origin)


def _check_classes(items: List[Item], origin: str) -> None:
    classes = sorted({item.class_name for item in items if item.class_name})
    if len(classes) == 1:
        raise InputError(
            f'{origin}: one class only in training ({classes[0]}); two are needed, because the '
            'discriminator is shown images of another class as wrong ones. In layout folder, each '
            'image directly in images/, without a sub-folder, counts as a class')


def _shuffled(names: List[str], seed: int) -> List[str]:
    """Names in an order given by the seed; adding or removing one keeps the order of the others."""
    return sorted(names, key=lambda name: hashlib.sha256(
        f'{seed} {name}'.encode('utf-8')).digest())


def _by_class(dataset: Raw, settings: Split) -> Splits:
    classes = sorted({item.class_name for item in dataset.items if item.class_name})
    _check_classes(dataset.items, 'data.split.by: class')
    spare = len(classes) - MIN_TRAIN_CLASSES
    if spare < 1:
        names = ', '.join(classes)
        raise InputError('data.split.by: class needs at least 3 classes, 2 for training and 1 for '
                         f'testing; there are {len(classes)} ({names}). Use ratio')
    count = min(max(1, int(round(settings.test_share * len(classes)))), spare)
    chosen = set(_shuffled(classes, settings.seed)[:count])
    return {'train': [item for item in dataset.items if item.class_name not in chosen],
            'test': [item for item in dataset.items if item.class_name in chosen]}


def _by_ratio(dataset: Raw, settings: Split) -> Splits:
    names = [item.name for item in dataset.items]
    if len(names) < 2:
        raise InputError(f'data.split.by: ratio needs at least 2 images; there is {len(names)}')
    count = min(max(1, int(round(settings.test_share * len(names)))), len(names) - 1)
    chosen = set(_shuffled(names, settings.seed)[:count])
    return {'train': [item for item in dataset.items if item.name not in chosen],
            'test': [item for item in dataset.items if item.name in chosen]}


def _by_lists(dataset: Raw, raw: str, settings: Split,
              prefixes: Sequence[str]) -> Tuple[Splits, List[str]]:
    index = NameIndex(dataset.items, prefixes)
    positions: Dict[str, List[int]] = {}
    origins: Dict[str, str] = {}
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
        more = f' and {len(both) - 1} more' if len(both) > 1 else ''
        raise InputError(f'{origins["train"]} and {origins["test"]} both name '
                         f'{dataset.items[both[0]].name}{more}; an image is for training or for '
                         'testing')
    left = len(dataset.items) - len(positions['train']) - len(positions['test'])
    remarks = [f'left out, in neither list: {left} images'] if left else []
    return ({split: [dataset.items[position] for position in positions[split]]
             for split in SPLITS}, remarks)


def _listed(dataset: Raw, raw: str, split: str, file: Optional[str]) -> Tuple[List[str], str]:
    """(names, where they are listed) of one split."""
    if file:
        path = require(os.path.join(raw, file),
                       f'data.split.{split}_list names it, below the raw folder')
        return [line.strip() for line in read_lines(path) if line.strip()], path
    if dataset.lists is None:
        raise InputError(f'{raw}: has no split lists (train/filenames.pickle or a column '
                         'split); name files with data.split.train_list and test_list, or use '
                         'data.split.by: class or ratio')
    return dataset.lists[split], f'{raw}: {split} list'


def _first_twice(positions: List[int]) -> Optional[int]:
    seen = set()
    for position in positions:
        if position in seen:
            return position
        seen.add(position)
    return None
