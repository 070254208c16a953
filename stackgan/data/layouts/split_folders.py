"""Folders named train, val and test are splits, not classes: many tools save datasets this way."""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.data.layouts.common import Item

ROLES = {'train': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


class FolderSplits(NamedTuple):
    """Splits given by the names of folders: test is for testing, or val if there is no test."""

    names: Dict[str, List[str]]      # of the items for 'train' and 'test', and of those 'left' out
    text: str                        # which folder is for what, for messages
    kind: str = 'folders'            # what has these names: folders or files


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
        has_labels: bool = False,    # whether a table or texts name classes, for the remark
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
               'the classes are named elsewhere' if has_labels else
               'each image in it is a class of its own')
    remarks = [f'{found} by the name: no class, but a split; {classes}']
    names: Dict[str, List[str]] = {'train': [], 'val': [], 'test': []}
    for item in items:
        if '/' in item.name:
            names[role_of(item.name.split('/')[0]) or ''].append(item.name)
    return items, splits_by_role(names, shown), remarks


def splits_by_role(
        names: Dict[str, List[str]],     # {'train', 'val', 'test': names of the items}
        shown: Dict[str, str],           # {role: the folders or files that give it}; '' for none
        kind: str = 'folders',
) -> Optional[FolderSplits]:
    """test is for testing, or val if there is no test; None without both halves."""
    test = 'test' if shown['test'] else 'val'
    if not shown[test] or not shown['train']:
        return None
    text = f'{shown["train"]} for training, {shown[test]} for testing'
    left = names['val'] if test == 'test' else []
    if left:
        text += f', {shown["val"]} for nothing ({len(left)} images)'
    return FolderSplits({'train': names['train'], 'test': names[test], 'left': left}, text, kind)


def own_classes(
        items: Sequence[Item],       # with the classes of their folders
        labels: Dict[str, str],      # {name of an item: class that a table or text gives it}
) -> Tuple[List[Item], List[str]]:
    """(items with their classes, remarks): labels, else folders, else each image its own.

    One folder for all images is no class, nor are numbered folders, in which downloaders put some
    thousand files each.
    """
    folders = {item.class_name for item in items if item.class_name != item.name}
    if len(folders) < 2 or all(folder.isdigit() for folder in folders):
        items = [item._replace(class_name=item.name) for item in items]
    items = [item._replace(class_name=labels.get(item.name) or item.class_name) for item in items]
    if any(item.class_name != item.name for item in items):
        return items, []
    return items, ['no classes: each image is a class of its own, and no scorer can be trained on '
                   'them']


def _with_class(item: Item) -> Item:
    """With the folder below the split as its class; without one, it is a class of its own."""
    parts = item.name.split('/')
    return item._replace(class_name=parts[1] if len(parts) > 2 else item.name)
