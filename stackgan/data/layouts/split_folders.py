"""Folders named train, val and test are splits, not classes: many tools save datasets this way."""

from typing import Dict, List, NamedTuple, Optional, Tuple

from stackgan.data.layouts.common import Item

ROLES = {'train': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


class FolderSplits(NamedTuple):
    """Splits given by the names of folders: test is for testing, or val if there is no test."""

    names: Dict[str, List[str]]      # of the items for 'train' and 'test', and of those 'left' out
    text: str                        # which folder is for what, for messages


def role_of(folder: str) -> Optional[str]:
    """'train', 'val' or 'test' for the name of a split, ignoring case; else None."""
    return ROLES.get(folder.lower())


def are_splits(folders: List[str]) -> bool:
    """Whether sibling folders are a dataset's splits: all named as splits, one of them train."""
    roles = {role_of(folder) for folder in folders}
    return 'train' in roles and None not in roles


def sort_by_folders(
        items: List[Item],           # named <split>/<class>/...; without a folder: in no split
        base: str,                   # prefix of their names: 'images/' or ''
) -> Tuple[List[Item], Optional[FolderSplits], List[str]]:
    """(items with their classes, FolderSplits if folders are named as splits, remarks)."""
    folders = sorted({item.name.split('/')[0] for item in items if '/' in item.name})
    if not are_splits(folders):
        return items, None, []
    shown = {role: ' and '.join(base + folder for folder in folders if role_of(folder) == role)
             for role in ('train', 'val', 'test')}
    items = [_with_class(item) for item in items]
    has_classes = any(item.name.count('/') > 1 for item in items)
    found = ', '.join(filter(None, shown.values()))
    classes = ('the folders in it are the classes' if has_classes else
               'each image in it is a class of its own')
    remarks = [f'{found} by the name: no class, but a split; {classes}']
    test = 'test' if shown['test'] else 'val'
    if not shown[test]:
        return items, None, remarks
    names: Dict[Optional[str], List[str]] = {'train': [], 'val': [], 'test': []}
    for item in items:
        if '/' in item.name:
            names[role_of(item.name.split('/')[0])].append(item.name)
    text = f'{shown["train"]} for training, {shown[test]} for testing'
    left = names['val'] if test == 'test' else []
    if left:
        text += f', {shown["val"]} for nothing ({len(left)} images)'
    return items, FolderSplits({'train': names['train'], 'test': names[test], 'left': left},
                               text), remarks


def _with_class(item: Item) -> Item:
    """With the folder below the split as its class; without one, it is a class of its own."""
    parts = item.name.split('/')
    return item._replace(class_name=parts[1] if len(parts) > 2 else item.name)
