"""Caltech-UCSD Birds as StackGAN uses it.

    CUB_200_2011/images.txt               '1 001.Black_footed_Albatross/..._0001.jpg'
    CUB_200_2011/image_class_labels.txt   '1 1': image, class
    CUB_200_2011/classes.txt              '1 001.Black_footed_Albatross'
    CUB_200_2011/bounding_boxes.txt       '1 60.0 27.0 325.0 304.0': image, left, top, width, height
    CUB_200_2011/images/<class>/<image>.jpg
    text_c10/<class>/<image>.txt          captions, one per line
    {train,test}/filenames.pickle         optional: the zero-shot split
    {train,test}/class_info.pickle        optional: checked against the classes above
    {train,test}/char-CNN-RNN-embeddings.pickle    optional: one (captions, D) array per image
"""

import os
import re
from typing import Any, Dict, Tuple

from stackgan.config.schema import Data
from stackgan.data.images import Box
from stackgan.data.layouts.captions import Notes, with_captions
from stackgan.data.layouts.common import Item, Raw, is_plain_name, without_extension
from stackgan.data.layouts.own_lists import check_class_info, read_own_lists
from stackgan.data.layouts.pieces import CUB_TOP
from stackgan.errors import InputError
from stackgan.text_files import read_lines

NUMBER = re.compile('[0-9]{1,15}')
PREFIXES = (CUB_TOP + '/images/', 'images/')


def read_cub(raw: str, settings: Data) -> Raw:
    """`Raw` of a folder in the CUB layout. Raises InputError for missing or malformed files."""
    def table(name: str) -> Tuple[str, Dict[int, Any]]:
        path = os.path.join(raw, CUB_TOP, name)
        return path, _read_numbered(path)

    images_path, images = table('images.txt')
    labels_path, labels = table('image_class_labels.txt')
    classes_path, classes = table('classes.txt')
    boxes_path, boxes = table('bounding_boxes.txt') if settings.crop == 'box' else ('', {})
    _check_names(images_path, images)
    lists, embedding_files, remarks = read_own_lists(raw, settings)
    boxes = {number: _parse_box(boxes_path, number, text) for number, text in boxes.items()}
    items, notes = [], Notes()
    for number, file in images.items():
        class_name = classes.get(labels[number]) if number in labels else None
        if class_name is None:
            if number not in labels:
                raise InputError(f'{labels_path}: image {number} ({file}) has no line')
            raise InputError(f'{classes_path}: image {number} ({file}) has class '
                             f'{labels[number]}, which is not there')
        item = Item(without_extension(file), f'{CUB_TOP}/images/{file}', class_name,
                    boxes.get(number), [])
        if settings.crop == 'box' and item.box is None:
            item = item.with_problem('it has no line in bounding_boxes.txt')
        items.append(with_captions(item, raw, f'text_c10/{item.name}.txt', notes,
                                   lone_cr=not embedding_files))
    check_class_info(raw, lists, items, PREFIXES)
    return Raw(items, list(classes.values()), lists, embedding_files, remarks + notes.remarks())


def _read_numbered(path: str) -> Dict[int, Any]:
    """{number: rest of the line} of a file whose lines begin with a number.

    The rest is a str, or an int where it is the number of a class.
    """
    rows: Dict[int, Any] = {}
    for count, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        number, *rest = line.split(None, 1)
        if not NUMBER.fullmatch(number) or not rest:
            raise InputError(f'{path}: line {count}: {line.strip()[:60]!r}; must be a number, a '
                             'blank and a value')
        if int(number) in rows:
            raise InputError(f'{path}: line {count}: duplicate id {number}')
        rows[int(number)] = rest[0].strip()
    if path.endswith('image_class_labels.txt'):
        return {number: int(label) if NUMBER.fullmatch(label) else label
                for number, label in rows.items()}
    return rows


def _check_names(path: str, images: Dict[int, str]) -> None:
    seen: Dict[str, int] = {}
    for number, file in images.items():
        if not is_plain_name(file):
            raise InputError(f'{path}: image {number} is {file!r}; must be a path below images/')
        name = without_extension(file)
        if name in seen:
            raise InputError(f'{path}: images {seen[name]} and {number} are both {name}')
        seen[name] = number


def _parse_box(path: str, number: int, text: str) -> Box:
    try:
        left, top, width, height = [int(float(word)) for word in text.split()]
    except (ValueError, OverflowError):
        raise InputError(f'{path}: image {number}: {text[:60]!r}; must be left, top, width and '
                         'height in pixels')
    return left, top, width, height
