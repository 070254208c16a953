"""What the published datasets consist of: where each piece belongs and which archive has it.

Published as CUB_200_2011.tgz with birds.zip, and 102flowers.tgz with flowers.zip (the latter from
hanzhanggit/StackGAN; AttnGAN's birds.zip holds text/ in the place of text_c10/).
"""

import os
from typing import NamedTuple, Optional, Tuple

from stackgan.data.image_kinds import EXTENSIONS
from stackgan.data.layouts.common import SPLITS
from stackgan.errors import InputError

CUB_TOP = 'CUB_200_2011'
NAMES = 'filenames.pickle'
CLASSES = 'class_info.pickle'
EMBEDDINGS = '%s-embeddings.pickle'          # of the kind that data.precomputed_embeddings names
IMAGE = r'[^/]+\.(?i:{})'.format('|'.join(extension[1:] for extension in EXTENSIONS))
CAPTIONS = ('text_c10', 'text')


class Piece(NamedTuple):
    """A file, or a folder of files, that a layout reads."""

    path: str                        # where it belongs, below the raw folder
    what: str                        # what it is, for people
    archive: str                     # the published archive that has it
    ends: Tuple[str, ...]            # what its path may end with when it lies deeper
    content: Optional[str] = None    # of a folder: regular expression of the files read below it
    depth: int = 1                   # and how many levels below it they lie
    is_needed: bool = True


def cub_pieces(settings):
    """Pieces of Caltech-UCSD Birds, for a config Data."""
    archive = 'CUB_200_2011.tgz'

    def table(name, what, is_needed=True):
        return Piece(f'{CUB_TOP}/{name}', what, archive, (name,), is_needed=is_needed)

    return (
        Piece(CUB_TOP + '/images', 'the photographs', archive, ('images',), '[^/]+/' + IMAGE, 2),
        table('images.txt', 'the list of the photographs'),
        table('image_class_labels.txt', 'the class of each photograph'),
        table('classes.txt', 'the names of the classes'),
        table('bounding_boxes.txt', 'the boxes that data.crop: box cuts around',
              settings.crop == 'box'),
    ) + _stackgan_pieces(settings, 'birds.zip')


def flowers_pieces(settings):
    """Pieces of Oxford 102 flowers, for a config Data."""
    return (Piece('jpg', 'the photographs', '102flowers.tgz', ('jpg',), IMAGE),
            ) + _stackgan_pieces(settings, 'flowers.zip')


def _stackgan_pieces(settings, archive):
    """What StackGAN's archives add: captions, the zero-shot split, classes, embeddings."""
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


def require_pieces(raw, pieces):
    """Raises InputError that names all needed pieces that are not in their places."""
    missing = {}                     # archive -> what of it is missing
    for piece in pieces:
        if piece.is_needed and not os.path.exists(os.path.join(raw, piece.path)):
            missing.setdefault(piece.archive, []).append('{}{} ({})'.format(
                piece.path, '/' if piece.content else '', piece.what))
    if missing:
        said = ['of {}: {}'.format(archive, ', '.join(lines)) for archive, lines in missing.items()]
        raise InputError('{}: missing, {}. Put the files there, or the archives as they were '
                         'downloaded; docs/datasets.md tells where they come from'.format(raw, '; '.join(said)))
