"""Brightness of the pixels of an image."""

from typing import Optional, Tuple

import numpy as np
from PIL import Image


def shaded(
        image: Image.Image,                   # RGB
        gain: np.ndarray,                     # (height, width) float32: factor on each pixel
        tint: Tuple[float, float, float] = (1.0, 1.0, 1.0),     # factors on red, green and blue
        grain: Optional[np.ndarray] = None,   # (height, width) float32, added at the end
) -> Image.Image:
    """image * gain * tint + grain, limited to [0, 255] and rounded down, as an RGB image.

    A band at a time, because NumPy is slow where the last axis has only three elements.
    """
    bands = []
    plane = np.empty(gain.shape, np.float32)
    for band, factor in zip(image.split(), tint):
        np.multiply(np.asarray(band), gain, out=plane)
        if factor != 1.0:
            plane *= np.float32(factor)
        if grain is not None:
            plane += grain
        np.clip(plane, 0, 255, out=plane)
        bands.append(Image.fromarray(plane.astype(np.uint8)))
    return Image.merge('RGB', bands)
