"""Raw datasets as people have them -> one plan: which images, captions, boxes, classes, splits."""

from typing import NamedTuple

from stackgan.data.layouts import cub, flowers, folder
from stackgan.data.layouts.pieces import cub_pieces, flowers_pieces, require_pieces
from stackgan.data.layouts.splits import choose_splits
from stackgan.errors import InputError

READERS = {
    'cub': (cub.read_cub, cub.PREFIXES),
    'flowers': (flowers.read_flowers, flowers.PREFIXES),
    'folder': (folder.read_folder, folder.PREFIXES),
}
PIECES = {'cub': cub_pieces, 'flowers': flowers_pieces, 'folder': lambda settings: ()}


class Plan(NamedTuple):
    """What is to be prepared."""

    splits: dict               # {'train': [Item], 'test': [Item]}, see layouts.common
    classes: list              # class names that have images in a split; the index is the id
    embedding_files: list      # (pickle below the raw folder, image names of its entries)
    remarks: list              # lines for people


def read_plan(
        raw,           # folder of the raw dataset
        settings,      # config Data
        view=None,     # folder in which all pieces are in their places; None: raw itself
):
    """`Plan` of a raw dataset. Raises InputError where it lacks something as a whole.

    What is wrong with a single image is not raised: it is that item's `problem`.
    """
    read, prefixes = READERS[settings.layout]
    require_pieces(view or raw, PIECES[settings.layout](settings))
    dataset = read(view or raw, settings)
    if not dataset.items:
        raise InputError(f'{raw}: holds no images in the layout {settings.layout}')
    splits, remarks = choose_splits(dataset, raw, settings.split, prefixes)
    used = {item.class_name for items in splits.values() for item in items}
    classes = [name for name in dataset.classes if name in used]
    return Plan(splits, classes, dataset.embedding_files, dataset.remarks + remarks)
