"""Which layout a raw folder is in, from its names alone: nothing is read but a tar's first entries.

The order of LAYOUTS decides where several fit: what only one dataset has comes before what any
folder may have, and `folder`, which reads images/ with texts or a table, before `sidecars`.
"""

import os
from typing import Callable, List, NamedTuple, Optional, Tuple

from stackgan.data.image_kinds import EXTENSIONS
from stackgan.data.layouts import coco, folder, imagefolder, sidecars, webdataset
from stackgan.data.layouts.pieces import CUB_TOP
from stackgan.data.layouts.split_folders import role_of
from stackgan.data.walking import Tree

ARCHIVES = {'cub': ('cub_200_2011', 'birds.zip'), 'flowers': ('102flowers', 'flowers.zip')}
PACKED = ('.zip', '.tgz', '.tar.gz', '.tar')
IMAGES_INSIDE = ('.parquet', '.arrow')       # datasets of images in tables, which are not read
CUB_TABLES = ('images.txt', 'image_class_labels.txt', 'classes.txt')


class Detected(NamedTuple):
    """The layout of a folder."""

    layout: str
    why: str                         # the file or folder that tells
    is_packed: bool = False          # its archives have to be unpacked first, as preprocess does


def detect(raw: str, tree: Tree) -> List[Detected]:
    """All layouts that a folder fits, the likeliest first."""
    names = {os.path.basename(file) for file in tree.files}
    return [found for found in (look(raw, tree, names) for look in LAYOUTS) if found]


def hint_of(tree: Tree) -> str:
    """What to do with a folder that fits no layout."""
    tables = [file for file in tree.files if file.lower().endswith(IMAGES_INSIDE)]
    packed = [file for file in tree.files if file.lower().endswith(PACKED)]
    if tables:
        return (f'{tables[0]} may hold images in a table, which is not read: write them as files '
                'with a metadata.jsonl (layout imagefolder)')
    if packed:
        return f'unpack {packed[0]}, then inspect the folder'
    if not any(file.lower().endswith(EXTENSIONS) for file in tree.files):
        return 'it holds no images'
    return ('it holds images, but no captions: put name.txt beside each name.jpg, one caption per '
            'line')


def _cub(raw: str, tree: Tree, names: set) -> Optional[Detected]:
    if names.issuperset(CUB_TABLES):
        return Detected('cub', f'{CUB_TOP}/images.txt')
    return _archive('cub', tree)


def _flowers(raw: str, tree: Tree, names: set) -> Optional[Detected]:
    parts = [file.split('/') for file in tree.files]
    tops = {part[-3] for part in parts if len(part) > 2 and part[-1].endswith('.txt')}
    if {'text_c10', 'text'} & tops and any('jpg' in part[:-1] for part in parts):
        return Detected('flowers', 'jpg/ and text_c10/')
    return _archive('flowers', tree)


def _archive(layout: str, tree: Tree) -> Optional[Detected]:
    for file in tree.files:
        if (file.lower().endswith(PACKED) and '/' not in file
                and file.lower().startswith(ARCHIVES[layout])):
            return Detected(layout, file, is_packed=True)
    return None


def _coco(raw: str, tree: Tree, names: set) -> Optional[Detected]:
    parts = coco.parts_of(raw)
    return Detected('coco', parts[0].file) if parts else None


def _imagefolder(raw: str, tree: Tree, names: set) -> Optional[Detected]:
    files = imagefolder.table_files(tree)
    return Detected('imagefolder', files[0]) if files else None


def _folder(raw: str, tree: Tree, names: set) -> Optional[Detected]:
    tops = {file.split('/')[0] for file in tree.files if '/' in file}
    images = next((top for top in sorted(tops) if top.lower() == 'images'), None)
    splits = sorted(top for top in tops if role_of(top))
    if images is None and 'train' not in map(role_of, splits):
        return None
    table = next((name for name in tree.files if name.lower() in folder.TABLES), None)
    if table:
        return Detected('folder', f'{images or splits[0]}/ and {table}')
    base = tuple(top + '/' for top in ([images] if images else splits))
    text = next((file for file in tree.files if file.lower().endswith('.txt') and file.startswith(
        base + ('captions/',))), None)
    return Detected('folder', text) if text else None


def _webdataset(raw: str, tree: Tree, names: set) -> Optional[Detected]:
    for shard in tree.files:
        if shard.lower().endswith('.tar') and webdataset.is_shard(os.path.join(raw, shard)):
            return Detected('webdataset', shard)
    return None


def _sidecars(raw: str, tree: Tree, names: set) -> Optional[Detected]:
    texts = sidecars.texts_of(tree)
    for file in tree.files:
        stem, extension = os.path.splitext(file)
        if extension.lower() in EXTENSIONS and (file in texts or stem in texts):
            found = texts.get(file) or texts[stem]
            return Detected('sidecars', f'{file} and {sorted(found.values())[0]}')
    return None


LAYOUTS: Tuple[Callable[[str, Tree, set], Optional[Detected]], ...] = (
    _cub, _flowers, _coco, _imagefolder, _folder, _webdataset, _sidecars)
