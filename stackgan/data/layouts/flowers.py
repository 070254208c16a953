"""Oxford 102 flowers as StackGAN uses it.

    jpg/image_00001.jpg
    text_c10/class_00077/image_00001.txt  captions, one per line; its folder is the image's class
    {train,test}/filenames.pickle         optional: the zero-shot split, names 'jpg/image_00001'
    {train,test}/class_info.pickle        optional: checked against the folders of the captions
    {train,test}/char-CNN-RNN-embeddings.pickle    optional: one (captions, D) array per image
"""

import os
from typing import Dict, List, Optional, Tuple

from stackgan.config.schema import Data
from stackgan.data.image_kinds import EXTENSIONS, is_image, unreadable
from stackgan.data.layouts.captions import Notes, with_captions
from stackgan.data.layouts.common import Item, NameIndex, Raw
from stackgan.data.layouts.own_lists import read_class_numbers, read_own_lists
from stackgan.data.walking import walk
from stackgan.errors import InputError

PREFIXES = ('jpg/',)


def read_flowers(raw: str, settings: Data) -> Raw:
    """`Raw` of a folder in the layout of Oxford flowers.

    Raises InputError for missing or malformed files.
    """
    texts, class_names, remarks_on_texts = _read_texts(os.path.join(raw, 'text_c10'))
    lists, embedding_files, remarks = read_own_lists(raw, settings)
    items, notes = [], Notes()
    for file, problem in _images(os.path.join(raw, 'jpg')):
        stem = os.path.splitext(file)[0]
        text = texts.get(stem, '')
        item = Item('jpg/' + stem, 'jpg/' + file, text.split('/')[0], None, [], problem=problem)
        if not text:
            item = item.with_problem(f'it has no captions: text_c10 holds no class_*/{stem}.txt')
        else:
            item = with_captions(item, raw, 'text_c10/' + text, notes, lone_cr=not embedding_files)
        items.append(item)
    _check_classes(raw, items, lists)
    return Raw(items, class_names, lists, embedding_files,
               remarks_on_texts + remarks + notes.remarks())


def _images(folder: str) -> List[Tuple[str, Optional[str]]]:
    """(file, problem or None) of every image directly in jpg/, by content or by extension."""
    tree = walk(folder)
    found = [(file, unreadable(os.path.join(folder, file)))
             for file in tree.files if '/' not in file and is_image(os.path.join(folder, file))]
    found += [(fault.path, 'it ' + fault.reason) for fault in tree.faults
              if '/' not in fault.path and fault.path.lower().endswith(EXTENSIONS)]
    return sorted(found)


def _read_texts(captions: str) -> Tuple[Dict[str, str], List[str], List[str]]:
    """({image: its caption file below text_c10}, class folders, remarks)."""
    texts: Dict[str, str] = {}
    tree = walk(captions)
    for path in sorted(tree.files + [fault.path for fault in tree.faults]):
        folder, _, file = path.partition('/')
        stem, extension = os.path.splitext(file)
        if extension.lower() != '.txt' or '/' in file:
            continue
        other = texts.setdefault(stem, path).split('/')[0]
        if other != folder:
            raise InputError(f'{captions}: captions of {stem} are in two classes, {other} and '
                             f'{folder}')
    if not texts:
        raise InputError(f'{captions}: holds no captions; must hold class_00001/image_00001.txt '
                         'and so on')
    closed = [f'text_c10/{fault.path}: the folder {fault.reason}'
              for fault in tree.faults if fault.is_folder]
    return texts, sorted({path.split('/')[0] for path in texts.values()}), closed


def _check_classes(raw: str, items: List[Item], lists: Optional[Dict[str, List[str]]]) -> None:
    """Raises InputError unless class_info.pickle agrees with the folders of the captions."""
    index = NameIndex(items, PREFIXES)
    for split, names in (lists or {}).items():
        numbers = read_class_numbers(raw, split, len(names))
        for name, number in zip(names, numbers or ()):
            origin = os.path.join(raw, split, 'class_info.pickle')
            item = items[index.position(name, origin)]
            if item.class_name not in ('', f'class_{number:05d}'):
                raise InputError(f'{origin}: class of {name} is {number}, but its captions are in '
                                 f'{item.class_name}')
