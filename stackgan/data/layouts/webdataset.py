"""WebDataset shards: .tar files in which the files of one name belong together.

    train-00000.tar          shards at any depth, read in place; names or folders that begin with
                             train, val or test give the splits
        key.jpg              the image: of the name up to the first dot, one with an image's ending
        key.txt              its captions, one per line (or .caption, .text)
        key.json             or an object with caption, captions or text (json_captions.py)
        key.cls              optional: the class
"""

import os
import posixpath
import re
from typing import BinaryIO, Dict, List, NamedTuple, Optional, Tuple

from stackgan.config.schema import Data
from stackgan.data.archive_members import clear_errors
from stackgan.data.image_kinds import EXTENSIONS, OTHER_EXTENSIONS, unreadable
from stackgan.data.layouts.captions import Notes, with_texts
from stackgan.data.layouts.common import Item, Raw, some
from stackgan.data.layouts.json_captions import described_by
from stackgan.data.layouts.split_folders import own_classes, role_of, splits_by_role
from stackgan.data.tar_members import SUFFIX, Index, Span, index_of, read_span
from stackgan.data.walking import walk
from stackgan.errors import InputError
from stackgan.files import open_regular
from stackgan.text_files import MAX_TABLE_BYTES, MAX_TEXT_BYTES, clean_caption, decode, split_lines

TEXTS = ('txt', 'caption', 'text', 'json')       # the first that is there
PREFIXES = ('data/',)
WORD = re.compile('[A-Za-z]+')


class Sample(NamedTuple):
    """The files of one key."""

    images: List[str]              # names of the members
    texts: Dict[str, Span]         # {ending: where}


def read_webdataset(raw: str, settings: Data) -> Raw:
    """`Raw` of a folder of shards. Raises InputError for one without any, or a damaged one."""
    shards = shards_of(raw)
    if not shards:
        raise InputError(f'{raw}: holds no shards (.tar files)')
    notes, remarks = Notes(), []
    items: List[Item] = []
    labels: Dict[str, str] = {}
    names: Dict[str, List[str]] = {'train': [], 'val': [], 'test': []}
    shown: Dict[str, List[str]] = {role: [] for role in names}
    for shard in shards:
        found, index = _items_of(raw, shard, labels, notes)
        items += found
        role = role_of_shard(shard)
        if role:
            names[role] += [item.name for item in found]
            shown[role].append(shard)
        if index.others:
            remarks.append(f'{shard}: left out, links and names that lead out: '
                           f'{some(index.others)}')
        if not found:
            remarks.append(f'{shard}: holds no images')
    items, more = own_classes(items, labels)
    splits = splits_by_role(names, {role: some(files) for role, files in shown.items()}, 'files')
    return Raw(items, sorted({item.class_name for item in items}), None, [],
               remarks + more + notes.remarks(), splits)


def shards_of(raw: str) -> List[str]:
    """Paths of the .tar files below the raw folder."""
    return [file for file in walk(raw).files if file.lower().endswith(SUFFIX)]


def is_shard(path: str) -> bool:
    """Whether a .tar can be read and holds an image with a text of the same key."""
    try:
        samples = samples_of(index_of(path)).values()
    except (OSError, InputError):
        return False
    return any(sample.images and set(sample.texts) & set(TEXTS) for sample in samples)


def role_of_shard(shard: str) -> Optional[str]:
    """train, val or test by the first word in the name of a shard or of a folder above it."""
    for part in reversed(shard.split('/')):
        word = WORD.match(part)
        if word and role_of(word.group()):
            return role_of(word.group())
    return None


def _items_of(raw: str, shard: str, labels: Dict[str, str],
              notes: Notes) -> Tuple[List[Item], Index]:
    """(the items of a shard, its index); the classes that it gives are added to `labels`."""
    path = os.path.join(raw, shard)
    index = index_of(path)
    again = {_key_of(name)[0]: name for name in index.twice}
    items, left = [], MAX_TABLE_BYTES
    with open_regular(path) as stream, clear_errors(path):
        for key, sample in samples_of(index).items():
            if not sample.images:
                continue
            left -= sum(span.size for span in sample.texts.values())
            if left < 0:
                raise InputError(f'{path}: holds more than {MAX_TABLE_BYTES >> 20} MiB of texts')
            name = f'{shard}/{sample.images[0]}'
            item = Item(name, name, name, None, []).with_problem(unreadable(name))
            if len(sample.images) > 1:
                item = item.with_problem(f'its key {key} has several images: '
                                         f'{some(sample.images)}')
            if key in again:
                item = item.with_problem(f'{shard} holds {again[key]} twice')
            item, label = _described(item, shard + '/' + key, sample, stream, notes)
            labels[name] = label or ''
            items.append(item)
    return items, index


def samples_of(index: Index) -> Dict[str, Sample]:
    """{key: its files} in their order. A key is a name up to the first dot of its last part."""
    found: Dict[str, Sample] = {}
    for name, span in index.spans.items():
        key, ending = _key_of(name)
        if not ending or not posixpath.basename(key):
            continue
        sample = found.setdefault(key, Sample([], {}))
        if '.' + ending.lower() in EXTENSIONS + OTHER_EXTENSIONS:
            sample.images.append(name)
        elif ending.lower() in TEXTS + ('cls',):
            sample.texts.setdefault(ending.lower(), span)
    return found


def _key_of(name: str) -> Tuple[str, str]:
    """(key, ending without its dot) of a member's name."""
    folder, file = posixpath.split(name)
    stem, _, ending = file.partition('.')
    return posixpath.join(folder, stem), ending


def _described(item: Item, key: str, sample: Sample, stream: BinaryIO,
               notes: Notes) -> Tuple[Item, Optional[str]]:
    """(the item with its captions or its problem, its class or None)."""
    label = None
    try:
        if 'cls' in sample.texts:
            label = clean_caption(decode(_bytes(stream, sample, 'cls')).text) or None
        ending = next((each for each in TEXTS if each in sample.texts), None)
        if ending is None:
            return item.with_problem(f'it has no captions: there is no {key}.txt or .json'), label
        origin = f'{key}.{ending}'
        data = _bytes(stream, sample, ending)
        if ending == 'json':
            found = described_by(data)
            texts, is_utf8, label = found.captions, found.is_utf8, label or found.class_name
        else:
            text, is_utf8 = decode(data)
            texts = split_lines(text)
    except ValueError as error:
        return item.with_problem(f'it has no captions: {key}: a text of it {error}'), label
    notes.odd += [] if is_utf8 else [origin]
    return with_texts(item, texts, origin, notes), label


def _bytes(stream: BinaryIO, sample: Sample, ending: str) -> bytes:
    span = sample.texts[ending]
    if span.size > MAX_TEXT_BYTES:
        raise ValueError(f'(.{ending}) is larger than {MAX_TEXT_BYTES} bytes')
    return read_span(stream, span)
