"""A plain folder of images and captions.

    images/        images at any depth; the first sub-folder is the class, and an image directly
                   in images/ is a class of its own. Sub-folders named train and val or test are
                   the splits, and the folders in them are the classes; they may also be in the raw
                   folder itself
    captions       one of: <image>.txt beside each image, one caption per line; the same below
                   captions/ in a tree like that of images/; or one table for all, captions.csv,
                   .tsv or .jsonl with file, caption, and optionally class and split
"""

import os
from typing import Dict, List, Optional, Tuple

from stackgan.config.schema import Data
from stackgan.data.image_kinds import EXTENSIONS
from stackgan.data.layouts.captions import Notes, with_captions
from stackgan.data.layouts.common import Item, Raw, key_of, require, some
from stackgan.data.layouts.found_images import shown_name, sort_images
from stackgan.data.layouts.split_folders import role_of, sort_by_folders
from stackgan.data.layouts.tables import read_table
from stackgan.data.walking import Tree, subfolders, walk
from stackgan.errors import InputError

TABLES = ('captions.csv', 'captions.tsv', 'captions.jsonl')
PREFIXES = ('images/',)
HOW = ('put <image>.txt with one caption per line beside each image or below captions/, or '
       'captions.csv with the columns file and caption')


def read_folder(raw: str, settings: Data) -> Raw:
    """`Raw` of a plain folder. Raises InputError for missing or malformed files."""
    base, tree = _read_tree(raw)
    items, others = sort_images(raw, base, tree)
    if not any(item.name[-1] != '/' for item in items):
        place, extensions = os.path.join(raw, base).rstrip('/'), ', '.join(EXTENSIONS)
        first = ''.join(f'; {item.path}: {item.problem}' for item in items[:1])
        raise InputError(f'{place}: holds no images ({extensions}){first}')
    remarks = []
    if others:
        remarks.append(f'left out below {base or raw}, not images: {some(others)}')
    if tree.again:
        links = some([shown_name(path) for path in tree.again])
        remarks.append('links that are not followed, to folders that are read in another place: '
                       f'{links}')
    items, folder_splits, more = sort_by_folders(items, base)
    remarks += more
    table_file = _table_file(raw, settings.captions_file)
    if table_file:
        items, lists, more = _with_table(items, raw, base, table_file)
    else:
        items, more = _with_caption_files(items, raw, base, tree)
        lists = None
    if folder_splits is None and all(item.class_name == item.name for item in items):
        remarks.append('no classes, neither folders nor named by a table: each image is a class of '
                       'its own, and no scorer can be trained on them')
    classes = sorted({item.class_name for item in items})
    return Raw(items, classes, lists, [], remarks + more, folder_splits)


def _read_tree(raw: str) -> Tuple[str, Tree]:
    """(prefix of the names of images: 'images/' or '', Tree below that folder)."""
    images = _named(raw, 'images')
    if images:
        return images + '/', walk(os.path.join(raw, images))
    splits = [path for path in subfolders(raw) if role_of(os.path.basename(path))]
    if 'train' not in [role_of(os.path.basename(path)) for path in splits]:
        require(os.path.join(raw, 'images'), 'the images of layout folder belong there; for '
                f'another layout see: inspect {raw}')
    trees = [(os.path.basename(path) + '/', walk(path)) for path in splits]
    return '', Tree([top + file for top, tree in trees for file in tree.files],
                    [fault._replace(path=top + fault.path) for top, tree in trees
                     for fault in tree.faults],
                    [top + path for top, tree in trees for path in tree.again])


def _named(raw: str, name: str) -> Optional[str]:
    """The entry of the raw folder with a name, ignoring case, or None."""
    try:
        found = sorted(each for each in os.listdir(raw) if each.lower() == name)
    except OSError as error:
        raise InputError(f'{raw} cannot be read ({error.strerror})')
    return name if name in found else next(iter(found), None)


def _table_file(raw: str, name: Optional[str]) -> Optional[str]:
    """Path of the table of captions; None if the captions are text files."""
    if name:
        return os.path.join(raw, name)
    there = sorted(name for name in os.listdir(raw) if name.lower() in TABLES)
    if len(there) > 1:
        tables = ' and '.join(there)
        raise InputError(f'{raw}: holds {tables}; remove one or name one with data.captions_file')
    return os.path.join(raw, there[0]) if there else None


def _with_table(
        items: List[Item], raw: str, base: str, path: str,
) -> Tuple[List[Item], Optional[Dict[str, List[str]]], List[str]]:
    """(items, lists or None, remarks) after reading a table of captions."""
    table = read_table(path)
    short = os.path.relpath(path, raw)
    entries = dict(table.entries)
    found: List[Item] = []
    lists: Dict[str, List[str]] = {'train': [], 'test': []}
    for item in items:
        key = key_of(item.name)
        entry = entries.pop(key, None) or entries.pop((base or 'images/') + key, None)
        if entry is None or not entry.captions:
            found.append(item.with_problem(f'it has no captions: {short} holds none for it'))
            continue
        found.append(item._replace(captions=entry.captions,
                                   class_name=entry.class_name or item.class_name))
        if entry.split:
            lists[entry.split].append(item.name)
    for file, entry in entries.items():
        missing = Item(file, base + file, entry.class_name or file.split('/')[0], None, [])
        place = base or 'the raw folder'
        found.append(missing.with_problem(f'{short} names it, but it is not below {place}'))
        if entry.split:
            lists[entry.split].append(file)
    notes = Notes()
    notes.odd = [] if table.is_utf8 else [short]
    notes.silent = [(short, caption) for caption in table.silent]
    return found, lists if table.has_splits else None, notes.remarks()


def _with_caption_files(items: List[Item], raw: str, base: str,
                        tree: Tree) -> Tuple[List[Item], List[str]]:
    """(items, remarks) after reading the text file of each image."""
    texts = _texts(base, tree)
    place = _named(raw, 'captions')
    if place:
        for stem, files in _texts(place + '/', walk(os.path.join(raw, place))).items():
            texts.setdefault(base + stem[len(place) + 1:], files)
    sharing: Dict[str, List[str]] = {}       # path without extension -> names of images
    notes, found = Notes(), []
    for item in items:
        sharing.setdefault(os.path.splitext(item.path)[0], []).append(item.name)
    for item in items:
        stem = os.path.splitext(item.path)[0]
        others = [name for name in sharing[stem] if name != item.name]
        files = texts.get(stem) or [f'{place}/{stem[len(base):]}.txt' if place
                                    else stem + '.txt']
        if others:
            names = ', '.join(others)
            item = item.with_problem(f'its name is that of {names} but for the extension, so that '
                                     'the captions could be of either')
        if len(files) > 1:
            both = ' and '.join(files)
            item = item.with_problem(f'it has two files of captions: {both}')
        found.append(with_captions(item, raw, files[0], notes))
    if not texts:
        raise InputError(f'{raw}: holds no captions; {HOW}')
    return found, notes.remarks()


def _texts(base: str, tree: Tree) -> Dict[str, List[str]]:
    """{path of a text file without its extension: files of that name}, unreadable ones included."""
    found: Dict[str, List[str]] = {}
    for path in sorted(tree.files + [fault.path for fault in tree.faults]):
        stem, extension = os.path.splitext(path)
        if extension.lower() == '.txt':
            found.setdefault(base + stem, []).append(base + path)
    return found
