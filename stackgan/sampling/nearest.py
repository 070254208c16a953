"""The nearest training images of given images: exact, by pixels at 64 px, in blocks.

The distance of two images is the root of the mean squared difference of their values (0 to 255)
over 64 x 64 pixels and three channels, to the training image or its mirror image, whichever is
nearer, since training shows both. Of a stored 76 px image the centre is compared. This distance
finds copies; two images of one bird in different places, or before different backgrounds, are far
apart.
"""

from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from stackgan.data.images import BICUBIC
from stackgan.data.prepared import HIGH, LOW, Split

SIDE = 64
MARGIN = (LOW - SIDE) // 2
BLOCK = 128                # images at a time: 13 MB of float64, three times
GROUP = 4096               # images compared in one pass over the split: 50 MB
DISTANCE = ('root mean square difference of the values (0 to 255) of 64 x 64 pixels, to the middle '
            'of the stored 76 px training image or its mirror image')     # stands in nearest.json


class Neighbours(NamedTuple):
    """Of each of N images the K nearest training images, the nearest first."""

    images: np.ndarray     # [N, K] int64: indices in the split
    distances: np.ndarray  # [N, K] float64
    mirrored: np.ndarray   # [N, K] bool: whether the mirror image is the nearer one


def nearest(
        images: np.ndarray,                      # [N, 64, 64, 3] uint8
        split: Split,                            # to search
        count: int,                              # K, at most as many as there are
        leave_out: Optional[np.ndarray] = None,  # [N] index of each image itself; None: no such
        advance: Optional[Callable[[int], None]] = None,  # gets each block's number of images
) -> Neighbours:
    """`Neighbours`. Of two images at the same distance the earlier one counts as nearer."""
    total = len(images)
    squares = np.full((total, 0), 0.0)
    numbers_of_nearest, mirrored = np.zeros((total, 0), np.int64), np.zeros((total, 0), bool)
    for start in range(0, len(split), BLOCK):
        block = _rows([training_image(split, index)
                       for index in range(start, min(start + BLOCK, len(split)))])
        found, turned = _squares(images, block)
        if leave_out is not None:
            inside = np.flatnonzero((leave_out >= start) & (leave_out < start + len(block)))
            found[inside, leave_out[inside] - start] = np.inf
        numbers = np.broadcast_to(np.arange(start, start + len(block)), found.shape)
        squares, numbers_of_nearest, mirrored = _first(count, np.hstack([squares, found]),
                                                       np.hstack([numbers_of_nearest, numbers]),
                                                       np.hstack([mirrored, turned]))
        if advance:
            advance(len(block))
    return Neighbours(numbers_of_nearest, np.sqrt(squares / (SIDE * SIDE * 3)), mirrored)


def training_image(split: Split, index: int) -> np.ndarray:
    """[64, 64, 3] uint8: the centre of a stored 76 px image."""
    return split.image(index, LOW, MARGIN, SIDE)[:, MARGIN:MARGIN + SIDE]


def compared(
        image: np.ndarray,      # [S, S, 3] uint8
) -> np.ndarray:
    """[64, 64, 3] uint8: an image as it is compared, resized as `preprocess` does."""
    if image.shape[:2] == (SIDE, SIDE):
        return image
    resized = Image.fromarray(image).resize((SIDE, len(image)), BICUBIC)
    return np.asarray(resized.resize((SIDE, SIDE), BICUBIC))


def training_shown(split: Split, image: int, is_turned: bool) -> np.ndarray:
    """The part of the 304 px image that was compared at 64 px, mirrored as it was."""
    side = HIGH * SIDE // LOW
    first = (HIGH - side) // 2
    pixels = split.image(image, HIGH, first, side)[:, first:first + side]
    return pixels[:, ::-1] if is_turned else pixels


def _rows(images: Sequence[np.ndarray]) -> np.ndarray:
    """[N, 64 * 64 * 3] float64: sums of products of whole numbers below 2 ** 53 are exact."""
    return np.stack(images).reshape(len(images), -1).astype(np.float64)


def _squares(images: np.ndarray, block: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Squared distances [N, B] to the nearer of each image and its mirror image, and which."""
    turned = block.reshape(-1, SIDE, SIDE, 3)[:, :, ::-1].reshape(len(block), -1)
    lengths = np.sum(block * block, axis=1)
    squares = np.empty((len(images), len(block)))
    is_turned = np.empty(squares.shape, bool)
    for start in range(0, len(images), BLOCK):
        part = _rows(images[start:start + BLOCK])
        straight, mirrored = part.dot(block.T), part.dot(turned.T)
        rows = slice(start, start + len(part))
        is_turned[rows] = mirrored > straight
        squares[rows] = (np.sum(part * part, axis=1)[:, np.newaxis] + lengths
                         - 2 * np.maximum(straight, mirrored))
    return squares, is_turned


def _first(count: int, squares: np.ndarray, *others: np.ndarray) -> List[np.ndarray]:
    """The `count` smallest of each row, in order, with what belongs to them."""
    order = np.argsort(squares, axis=1, kind='mergesort')[:, :count]       # is stable
    return [np.take_along_axis(each, order, axis=1) for each in (squares,) + others]
