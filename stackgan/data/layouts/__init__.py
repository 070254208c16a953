"""Raw datasets as people have them -> one plan: which images, captions, boxes, classes, splits."""

from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from stackgan.config.schema import Data
from stackgan.data.layouts import (
    coco,
    cub,
    flowers,
    folder,
    imagefolder,
    sidecars,
    webdataset,
)
from stackgan.data.layouts.common import Item, Raw
from stackgan.data.layouts.pieces import Piece, cub_pieces, flowers_pieces, require_pieces
from stackgan.data.layouts.splits import choose_splits
from stackgan.errors import InputError

# Layout -> (its reader, folders that lists may write in front of names).
READERS: Dict[str, Tuple[Callable[[str, Data], Raw], Tuple[str, ...]]] = {
    'cub': (cub.read_cub, cub.PREFIXES),
    'flowers': (flowers.read_flowers, flowers.PREFIXES),
    'folder': (folder.read_folder, folder.PREFIXES),
    'imagefolder': (imagefolder.read_imagefolder, imagefolder.PREFIXES),
    'coco': (coco.read_coco, coco.PREFIXES),
    'webdataset': (webdataset.read_webdataset, webdataset.PREFIXES),
    'sidecars': (sidecars.read_sidecars, sidecars.PREFIXES),
}
# Those whose files are elsewhere than where the layout reads them, or in archives; the others are
# read as they are.
PIECES: Dict[str, Callable[[Data], Tuple[Piece, ...]]] = {
    'cub': cub_pieces,
    'flowers': flowers_pieces,
}


def pieces_of(settings: Data) -> Tuple[Piece, ...]:
    """The pieces of a layout that are looked for in several places; () for one read as it is."""
    return PIECES[settings.layout](settings) if settings.layout in PIECES else ()


class Plan(NamedTuple):
    """The dataset to prepare."""

    splits: Dict[str, List[Item]]    # for 'train' and 'test'
    classes: List[str]               # names of those with images in a split; the index is the id
    embedding_files: List[Tuple[str, List[str]]]     # (pickle, names of the images of its
                                                     # entries); path below the raw folder
    remarks: List[str]               # to log, a line each


def read_plan(
        raw: str,                      # folder of the raw dataset
        settings: Data,
        view: Optional[str] = None,    # folder with all pieces in their places; None: raw itself
) -> Plan:
    """`Plan` of a raw dataset. Raises InputError if a part of the dataset is missing or wrong.

    A fault of a single image is not raised; it becomes the `problem` of that item.
    """
    read, prefixes = READERS[settings.layout]
    require_pieces(view or raw, pieces_of(settings))
    dataset = read(view or raw, settings)
    if not dataset.items:
        raise InputError(f'{raw}: no images found in the layout {settings.layout}')
    splits, remarks = choose_splits(dataset, raw, settings.split, prefixes)
    used = {item.class_name for items in splits.values() for item in items}
    classes = [name for name in dataset.classes if name in used]
    return Plan(splits, classes, dataset.embedding_files, dataset.remarks + remarks)
