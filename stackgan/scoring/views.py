"""An image of any size, resized for a network. NumPy and Pillow only."""

from typing import Tuple

import numpy as np
from PIL import Image

from stackgan.data.prepared import HIGH, Split

SEEN = 256                 # side of a real image's crop: that of Stage-II's images
CENTRE = (HIGH - SEEN) // 2
BILINEAR = getattr(Image, 'Resampling', Image).BILINEAR


def resized(
        pixels: np.ndarray,  # [H, W, 3] uint8
        side: int,
) -> np.ndarray:
    """[side, side, 3] uint8: stretched, bilinear, averaging where it shrinks.

    As `scipy.misc.imresize(image, (299, 299), interp='bilinear')` in StackGAN-inception-model.
    """
    if pixels.shape[:2] == (side, side):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side, side), BILINEAR))


def resized_as_tf1(
        pixels: np.ndarray,  # [H, W, 3] uint8
        side: int,
) -> np.ndarray:
    """[side, side, 3] float32 in [0, 255]: `tf.image.resize_bilinear` of TensorFlow 1.

    Neither half-pixel centres nor averaging, as the public Inception graph of 2015 does inside.
    """
    (top, bottom, down), (left, right, across) = [
        _neighbours(length, side) for length in pixels.shape[:2]]
    pixels, across, down = pixels.astype(np.float32), across[:, np.newaxis], \
        down[:, np.newaxis, np.newaxis]
    rows = [pixels[line][:, left] + (pixels[line][:, right] - pixels[line][:, left]) * across
            for line in (top, bottom)]
    return rows[0] + (rows[1] - rows[0]) * down


def _neighbours(length: int, side: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(index before, index after, share of the one after), each [side]."""
    position = np.arange(side, dtype=np.float32) * np.float32(length / float(side))
    before = position.astype(int)
    return before, np.minimum(before + 1, length - 1), position - before


def real_image(
        split: Split,
        index: int,
        top: int = CENTRE,  # of the part that is seen
        left: int = CENTRE,
) -> np.ndarray:
    """[256, 256, 3] uint8: the middle of a stored image, or another part of it."""
    return split.image(index, HIGH, top, SEEN)[:, left:left + SEEN]
