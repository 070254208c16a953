"""Captions as COCO publishes them.

    annotations/captions_train2017.json    images: id, file_name; annotations: image_id, caption
    annotations/captions_val2017.json      optional: the split for testing
    train2017/000000000009.jpg             the images of that file; also below images/,
                                           or all in images/ or in the raw folder

COCO's captions name no classes: each image is its own.
"""

import os
import re
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple

from stackgan.config.schema import Data
from stackgan.data.image_kinds import unreadable
from stackgan.data.layouts.captions import Notes, with_texts
from stackgan.data.layouts.common import Item, Raw, is_plain_name, key_of, some
from stackgan.data.layouts.split_folders import own_classes, role_of, splits_by_role
from stackgan.data.walking import walk
from stackgan.errors import InputError
from stackgan.files import read_json
from stackgan.text_files import MAX_TABLE_BYTES

FOLDER = 'annotations'
FILE = re.compile(r'captions_(([A-Za-z]+)[^/]*)\.json')
PREFIXES = ('images/',)


class Part(NamedTuple):
    """One captions_*.json."""

    file: str              # relative to the raw folder
    name: str              # 'train2017', also of the folder of its images
    role: str              # train, val or test; '' for another name


def read_coco(raw: str, settings: Data) -> Raw:
    """`Raw` of a folder in COCO's layout. Raises InputError for missing or malformed files."""
    parts = parts_of(raw)
    if not parts:
        raise InputError(f'{raw}: holds no {FOLDER}/captions_*.json, such as '
                         f'{FOLDER}/captions_train2017.json')
    tree = walk(raw)
    there = set(tree.files)
    faults = {fault.path: fault.reason for fault in tree.faults}
    notes = Notes()
    items: List[Item] = []
    names: Dict[str, List[str]] = {'train': [], 'val': [], 'test': []}
    for part in parts:
        found = _items_of(raw, part, there, faults, notes)
        items += found
        if part.role:
            names[part.role] += [item.name for item in found]
    _check_unique(raw, items)
    shown = {role: ' and '.join(part.file for part in parts if part.role == role)
             for role in names}
    items, remarks = own_classes(items, {})
    unused = _unused(there, parts, {item.path for item in items})
    if unused:
        remarks.append(f'left out, images that no captions_*.json names: {some(unused)}')
    return Raw(items, sorted(item.name for item in items), None, [], remarks + notes.remarks(),
               splits_by_role(names, shown, 'files'))


def parts_of(raw: str) -> List[Part]:
    """The captions_*.json in annotations/, by name."""
    try:
        found = sorted(os.listdir(os.path.join(raw, FOLDER)))
    except OSError:
        return []
    parts = [(name, FILE.fullmatch(name)) for name in found]
    return [Part(f'{FOLDER}/{name}', match.group(1), role_of(match.group(2)) or '')
            for name, match in parts if match]


def _items_of(raw: str, part: Part, there: Set[str], faults: Dict[str, str],
              notes: Notes) -> List[Item]:
    path = os.path.join(raw, part.file)
    captions: Dict[Any, List[str]] = {}
    images, annotations = _lists(path)
    for number, entry in enumerate(annotations):
        if not (isinstance(entry, dict) and isinstance(entry.get('caption'), str)
                and isinstance(entry.get('image_id'), (int, str))):
            raise InputError(f'{path}: annotations[{number}] must hold image_id and caption (a '
                             'text)')
        captions.setdefault(entry['image_id'], []).append(entry['caption'])
    items, seen = [], set()
    for number, entry in enumerate(images):
        origin = f'{path}: images[{number}]'
        file = entry.get('file_name') if isinstance(entry, dict) else None
        if not isinstance(file, str) or not isinstance(entry.get('id'), (int, str)):
            raise InputError(f'{origin} must hold id and file_name (a text)')
        if not is_plain_name(key_of(file)):
            raise InputError(f'{origin}: file_name is {file[:200]!r}; must be a path below '
                             f'{part.name}/')
        if entry['id'] in seen:
            raise InputError(f'{origin}: duplicate id {entry["id"]}')
        seen.add(entry['id'])
        item = _item(raw, part, key_of(file), there, faults)
        items.append(with_texts(item, captions.pop(entry['id'], ()), part.file, notes))
    if captions:
        raise InputError(f'{path}: has captions of the image {some(map(str, captions))}, which '
                         'is not among its images')
    return items


def _lists(path: str) -> Tuple[Sequence[Any], Sequence[Any]]:
    """(images, annotations) of a captions_*.json."""
    try:
        value = read_json(path, MAX_TABLE_BYTES)
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror})')
    except ValueError as error:
        raise InputError(f'{path}: not JSON that is read ({str(error)[:200]})')
    lists = [value.get(key) if isinstance(value, dict) else None
             for key in ('images', 'annotations')]
    if not isinstance(lists[0], list) or not isinstance(lists[1], list):
        raise InputError(f"{path}: must hold the lists images and annotations of COCO's captions")
    return lists[0], lists[1]


def _places(part: Part, file: str) -> List[str]:
    """Where an image may be, the most usual place first."""
    return [f'{part.name}/{file}', f'images/{part.name}/{file}', f'images/{file}', file]


def _item(raw: str, part: Part, file: str, there: Set[str], faults: Dict[str, str]) -> Item:
    places = _places(part, file)
    for path in places:
        if path in there:
            item = Item(path, path, path, None, [])
            return item.with_problem(unreadable(os.path.join(raw, path)))
        if path in faults:
            return Item(path, path, path, None, []).with_problem('it ' + faults[path])
    return Item(places[0], places[0], places[0], None, []).with_problem(
        f'{part.file} names it, but it is not in {part.name}/, images/{part.name}/ or images/')


def _check_unique(raw: str, items: List[Item]) -> None:
    seen: Set[str] = set()
    for item in items:
        if item.name in seen:
            raise InputError(f'{raw}: the captions_*.json in {FOLDER}/ name {item.name} twice')
        seen.add(item.name)


def _unused(there: Set[str], parts: Sequence[Part], used: Set[str]) -> List[str]:
    """Images in the folders of the parts that have no captions."""
    folders = tuple(f'{top}{part.name}/' for part in parts for top in ('', 'images/'))
    return sorted(file for file in there if file.startswith(folders) and file not in used)
