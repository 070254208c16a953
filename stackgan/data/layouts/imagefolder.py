"""The `imagefolder` of Hugging Face datasets: images with a table of metadata.

    metadata.jsonl, .csv or .parquet     file_name, relative to the table's folder; text: a caption
                                         or a list of them (texts, caption and captions too); label:
                                         optional class
    any/image.png                        images at any depth
    train/, validation/, test/           optional: the splits, each with a table of its own or all
                                         in one; they may be below data/

Of several tables above an image the nearest that names it is used. Folders are classes if there is
no label and they differ (Hugging Face drops them beside a table).
"""

import os
import posixpath
from typing import Dict, List, Tuple

from stackgan.config.schema import Data
from stackgan.data.layouts.captions import Notes
from stackgan.data.layouts.common import Item, Raw, key_of, some
from stackgan.data.layouts.found_images import sort_images
from stackgan.data.layouts.json_captions import sole_folder
from stackgan.data.layouts.split_folders import own_classes, sort_by_folders
from stackgan.data.layouts.tables import Names, Table, TableEntry, read_table
from stackgan.data.walking import Tree, walk
from stackgan.errors import InputError

TABLES = ('metadata.jsonl', 'metadata.csv', 'metadata.parquet')
NAMES = Names(('file_name', 'image_file_name'), ('text', 'caption'), ('texts', 'captions'),
              ('label', 'class'), (), 'its folder')
TOPS = ('data', 'images')            # folders around a whole dataset
TEXTS = ('.jsonl', '.csv', '.parquet', '.json', '.md', '.txt')      # not told as left out
PREFIXES = ('data/', 'images/')


def read_imagefolder(raw: str, settings: Data) -> Raw:
    """`Raw` of a folder for Hugging Face's imagefolder. Raises InputError for malformed files."""
    tree = walk(raw)
    notes = Notes()
    entries = _entries(raw, table_files(tree), notes)
    items, others = sort_images(raw, '', tree, TEXTS)
    items = [_described(item, entries) for item in items]
    known = {item.path for item in items}
    items += [Item(path, path, path, None, []).with_problem(
                  f'{file} names it, but it is not there')
              for path, (file, _) in entries.items() if path not in known]
    base = sole_folder([item.path for item in items], TOPS)
    items = [item._replace(name=item.name[len(base):], class_name=item.name[len(base):].split(
        '/')[0]) for item in items]
    labels = {item.name: entries[item.path][1].class_name or '' for item in items
              if item.path in entries}
    items, splits, remarks = sort_by_folders(items, base, any(labels.values()))
    items, more = own_classes(items, labels)
    remarks += [f'left out, not images: {some(others)}'] if others else []
    return Raw(items, sorted({item.class_name for item in items}), None, [],
               remarks + more + notes.remarks(), splits)


def table_files(tree: Tree) -> List[str]:
    """Paths of the tables of metadata, the upper ones first."""
    found = [file for file in tree.files if posixpath.basename(file).lower() in TABLES]
    return sorted(found, key=lambda file: (file.count('/'), file))


def _entries(raw: str, files: List[str], notes: Notes) -> Dict[str, Tuple[str, TableEntry]]:
    """{path of an image: (table that names it, its entry)}."""
    if not files:
        tables = ', '.join(TABLES)
        raise InputError(f'{raw}: holds no table of an imagefolder ({tables})')
    entries: Dict[str, Tuple[str, TableEntry]] = {}
    folders: Dict[str, str] = {}
    for file in files:
        folder = posixpath.dirname(file)
        if folder in folders:
            raise InputError(f'{raw}: holds {folders[folder]} and {file}; remove one')
        folders[folder] = file
        table = read_table(os.path.join(raw, file), NAMES)
        _add_notes(notes, file, table)
        for key, entry in table.entries.items():
            entries[key_of(posixpath.normpath(posixpath.join(folder, key)))] = (file, entry)
    return entries


def _add_notes(notes: Notes, file: str, table: Table) -> None:
    notes.odd += [] if table.is_utf8 else [file]
    notes.silent += [(file, caption) for caption in table.silent]


def _described(item: Item, entries: Dict[str, Tuple[str, TableEntry]]) -> Item:
    file, entry = entries.get(key_of(item.path), ('', None))
    if entry is None:
        return item.with_problem('it has no captions: no metadata table names it')
    item = item._replace(captions=entry.captions)
    return item if entry.captions else item.with_problem(
        f'it has no captions: {file} holds none for it')
