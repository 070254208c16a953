"""The pieces of the published datasets: where each belongs and which archive contains it.

The archives are CUB_200_2011.tgz and birds.zip, 102flowers.tgz and flowers.zip. The .zip files are
linked from hanzhanggit/StackGAN; AttnGAN's birds.zip has text/ in place of text_c10/.
"""

import os
from typing import Dict, List, NamedTuple, Optional, Tuple

from stackgan.config.schema import Data
from stackgan.data.image_kinds import EXTENSIONS
from stackgan.data.layouts.common import SPLITS
from stackgan.errors import InputError

CUB_TOP = 'CUB_200_2011'
NAMES = 'filenames.pickle'
CLASSES = 'class_info.pickle'
EMBEDDINGS = '%s-embeddings.pickle'          # kind: data.precomputed_embeddings
_ALTERNATIVES = '|'.join(extension[1:] for extension in EXTENSIONS)
IMAGE = rf'[^/]+\.(?i:{_ALTERNATIVES})'
CAPTIONS = ('text_c10', 'text')


class Piece(NamedTuple):
    """A file, or a folder of files, that a layout reads."""

    path: str                        # where it belongs, below the raw folder
    what: str                        # what it is, for messages
    archive: str                     # the published archive that contains it
    ends: Tuple[str, ...]            # what its path may end with in a deeper folder
    content: Optional[str] = None    # of a folder: regular expression of the files read below it,
    depth: int = 1                   # and how many levels below it they are
    is_needed: bool = True


def cub_pieces(settings: Data) -> Tuple[Piece, ...]:
    """Pieces of Caltech-UCSD Birds."""
    archive = 'CUB_200_2011.tgz'

    def table(name: str, what: str, is_needed: bool = True) -> Piece:
        return Piece(f'{CUB_TOP}/{name}', what, archive, (name,), is_needed=is_needed)

    return (
        Piece(CUB_TOP + '/images', 'the photographs', archive, ('images',), '[^/]+/' + IMAGE, 2),
        table('images.txt', 'the list of the photographs'),
        table('image_class_labels.txt', 'the class of each photograph'),
        table('classes.txt', 'the names of the classes'),
        table('bounding_boxes.txt', 'the boxes that data.crop: box cuts around',
              settings.crop == 'box'),
    ) + _stackgan_pieces(settings, 'birds.zip')


def flowers_pieces(settings: Data) -> Tuple[Piece, ...]:
    """Pieces of Oxford 102 flowers."""
    return (Piece('jpg', 'the photographs', '102flowers.tgz', ('jpg',), IMAGE),
            ) + _stackgan_pieces(settings, 'flowers.zip')


def _stackgan_pieces(settings: Data, archive: str) -> Tuple[Piece, ...]:
    """Pieces in StackGAN's archives: captions, the zero-shot split, classes, embeddings."""
    lists = settings.split.by == 'lists' and settings.split.train_list is None
    pieces = [Piece('text_c10', 'the captions', archive, CAPTIONS, r'[^/]+/[^/]+\.txt', 2)]
    for split in SPLITS:
        for name, what, is_needed in (
                (NAMES, 'its images; else data.split.by: class', lists),
                (CLASSES, 'their classes', False),
                (EMBEDDINGS % settings.precomputed_embeddings, 'the embeddings', False)):
            path = f'{split}/{name}'
            pieces.append(Piece(path, what, archive, (path,), is_needed=is_needed))
    return tuple(pieces)


def require_pieces(raw: str, pieces: Tuple[Piece, ...]) -> None:
    """Raises InputError that lists all needed pieces that are not in their places."""
    missing: Dict[str, List[str]] = {}       # archive -> its missing pieces
    for piece in pieces:
        if piece.is_needed and not os.path.exists(os.path.join(raw, piece.path)):
            slash = '/' if piece.content else ''
            missing.setdefault(piece.archive, []).append(f'{piece.path}{slash} ({piece.what})')
    if missing:
        parts = '; '.join(f'of {archive}: ' + ', '.join(names)
                          for archive, names in missing.items())
        raise InputError(f'{raw}: missing, {parts}. Put the files there, or the archives as they '
                         'were downloaded; docs/datasets.md tells where they come from')
