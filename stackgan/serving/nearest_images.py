"""Finds the nearest training images. Runs in the worker only."""

import io
from typing import List

import numpy as np
from PIL import Image

from stackgan.data.prepared import Split, open_dataset
from stackgan.sampling.nearest import compared, nearest, training_shown
from stackgan.serving.neighbours import COUNT, Neighbour


def nearest_images(
        prepared: str,     # folder of a prepared dataset
        png: bytes,        # of an image
) -> List[Neighbour]:
    """The nearest first; raises one of several errors for damaged files."""
    split = Split(open_dataset(prepared), 'train')
    image = compared(np.asarray(Image.open(io.BytesIO(png), formats=['PNG']).convert('RGB')))
    found = nearest(image[np.newaxis], split, min(COUNT, len(split)))
    items = split.items()
    return [Neighbour(str(items[index]['name']), str(items[index]['captions'][0]),
                      round(float(distance), 3), bool(turned),
                      _png(training_shown(split, index, turned)))
            for index, distance, turned in zip(found.images[0], found.distances[0],
                                               found.mirrored[0])]


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, 'PNG')
    return stream.getvalue()
