"""Images with a text of the same name beside each, as programs that download images write them.

    any/name.jpg         images at any depth
    any/name.caption     its captions, one per line; or name.txt; or name.json, an object with
                         caption, captions, text, description, prompt or title (json_captions.py);
                         the texts may also be named name.jpg.txt and so on
    train/, val/, test/  optional: the splits

Of several texts the first in the order above that holds a caption is used.
"""

import os
from typing import Dict, List, Optional, Tuple

from stackgan.config.schema import Data
from stackgan.data.layouts.captions import Notes, with_captions, with_texts
from stackgan.data.layouts.common import Item, Raw, some
from stackgan.data.layouts.found_images import sort_images
from stackgan.data.layouts.json_captions import described_by, sole_folder
from stackgan.data.layouts.split_folders import own_classes, sort_by_folders
from stackgan.data.walking import Tree, walk
from stackgan.errors import InputError
from stackgan.files import read_bytes
from stackgan.text_files import MAX_TEXT_BYTES

EXTENSIONS = ('.caption', '.txt', '.json')
TOPS = ('data', 'images')            # folders around a whole dataset
PREFIXES = ('data/', 'images/')


def read_sidecars(raw: str, settings: Data) -> Raw:
    """`Raw` of a folder of images with a text beside each. Raises InputError for one without."""
    tree = walk(raw)
    items, others = sort_images(raw, '', tree, EXTENSIONS)
    texts = texts_of(tree)
    sharing: Dict[str, List[str]] = {}       # path without extension -> names of images
    for item in items:
        sharing.setdefault(os.path.splitext(item.path)[0], []).append(item.name)
    notes, labels, found = Notes(), {}, []
    for item in items:
        item, label = _described(item, raw, texts, sharing, notes)
        found.append(item)
        labels[item.path] = label or ''
    if not any(item.captions for item in found):
        raise InputError(f'{raw}: holds no image with a text of its name beside it '
                         '(name.jpg with name.caption, name.txt or name.json)')
    base = sole_folder([item.path for item in found], TOPS)
    found = [item._replace(name=item.name[len(base):], class_name=item.name[len(base):].split(
        '/')[0]) for item in found]
    found, splits, remarks = sort_by_folders(found, base, any(labels.values()))
    found, more = own_classes(found, {item.name: labels[item.path] for item in found})
    remarks += [f'left out, not images: {some(others)}'] if others else []
    return Raw(found, sorted({item.class_name for item in found}), None, [],
               remarks + more + notes.remarks(), splits)


def texts_of(tree: Tree) -> Dict[str, Dict[str, str]]:
    """{path without the text's extension: {extension: path}}, unreadable texts included."""
    found: Dict[str, Dict[str, str]] = {}
    for path in sorted(tree.files + [fault.path for fault in tree.faults if not fault.is_folder]):
        stem, extension = os.path.splitext(path)
        if extension.lower() in EXTENSIONS:
            found.setdefault(stem, {}).setdefault(extension.lower(), path)
    return found


def _described(item: Item, raw: str, texts: Dict[str, Dict[str, str]],
               sharing: Dict[str, List[str]], notes: Notes) -> Tuple[Item, Optional[str]]:
    """(the item with its captions or its problem, the class that its text gives or None)."""
    stem = os.path.splitext(item.path)[0]
    own, shared = texts.get(item.path, {}), texts.get(stem, {})
    others = [name for name in sharing[stem] if name != item.name]
    files = [found[extension] for extension in EXTENSIONS for found in (own, shared)
             if extension in found]
    if others and not own and shared:
        names = ', '.join(others)
        return item.with_problem(f'its name is that of {names} but for the extension, so that the '
                                 'captions could be of either'), None
    first = None
    for file in files:
        trial, label = _with_file(item, raw, file, notes)
        if trial.captions:
            return trial, label
        first = first or trial
    return first or item.with_problem(
        f'it has no captions: there is no {stem}.caption, .txt or .json'), None


def _with_file(item: Item, raw: str, file: str, notes: Notes) -> Tuple[Item, Optional[str]]:
    """(the item with the captions of one text, the class that it gives or None)."""
    if not file.lower().endswith('.json'):
        return with_captions(item, raw, file, notes), None
    try:
        found = described_by(read_bytes(os.path.join(raw, file), MAX_TEXT_BYTES))
    except (OSError, ValueError) as error:
        reason = f'cannot be read ({error.strerror})' if isinstance(error, OSError) else str(error)
        return item.with_problem(f'it has no captions: {file} {reason}'), None
    notes.odd += [] if found.is_utf8 else [file]
    return with_texts(item, found.captions, file, notes), found.class_name
