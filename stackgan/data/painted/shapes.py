"""Outlines as arrays of points, and filling them with soft edges.

Points are (n, 2) float64 arrays of (x, y), y downwards.
"""

import math
from functools import lru_cache
from typing import Any, List, Sequence, Tuple, Union

import numpy as np
from PIL import Image, ImageDraw

FINE = 3                           # sub-pixels along each side of a pixel

Colour = Tuple[int, int, int]      # red, green, blue in [0, 255]
Points = Union[np.ndarray, Sequence[Any]]    # (n, 2)


def smooth(
        points: Points,     # that the curve goes through
        steps: int = 8,     # points of the result for each of these
) -> np.ndarray:
    """Closed Catmull-Rom curve: (len(points) * steps, 2)."""
    here = np.asarray(points, np.float64)
    ring = np.concatenate([here[-1:], here, here[:2]])[:, None, :]
    before, here, after, beyond = ring[:-3], ring[1:-2], ring[2:-1], ring[3:]
    t = (np.arange(steps) / steps)[None, :, None]
    curve = here + 0.5 * t * (
        after - before
        + t * (2 * before - 5 * here + 4 * after - beyond
               + t * (3 * (here - after) + beyond - before)))
    return curve.reshape(-1, 2)


def stroke(
        points: Points,     # (..., n, 2): that the line goes through, of each of some lines
        widths: Any,        # its width at each of them, or one for all
) -> np.ndarray:
    """Outline of a line of varying width: (..., 2 * n, 2)."""
    points = np.asarray(points, np.float64)
    count = points.shape[-2]
    along = np.empty_like(points)
    along[..., 0, :] = points[..., 1, :] - points[..., 0, :]
    along[..., -1, :] = points[..., -1, :] - points[..., -2, :]
    along[..., 1:-1, :] = (points[..., 2:, :] - points[..., :-2, :]) / 2
    x, y = along[..., 0], along[..., 1]
    length = np.maximum(np.sqrt(x * x + y * y), 1e-9)
    half_width = 0.5 * np.asarray(widths, np.float64)
    half = np.empty_like(points)
    np.multiply(half_width, -y / length, out=half[..., 0])
    np.multiply(half_width, x / length, out=half[..., 1])
    outline = np.empty(points.shape[:-2] + (2 * count, 2))
    np.add(points, half, out=outline[..., :count, :])
    np.subtract(points[..., ::-1, :], half[..., ::-1, :], out=outline[..., count:, :])
    return outline


def ellipse(x: float, y: float, width: float, height: float, points: int = 24) -> np.ndarray:
    """Outline of an ellipse around (x, y)."""
    return _unit_circle(points) * (width / 2, height / 2) + (x, y)


@lru_cache(maxsize=None)
def _unit_circle(points: int) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def turned(points: Points, degrees: float,
           around: Tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """`points` rotated around a point, clockwise on the screen."""
    return (np.asarray(points, np.float64) - around) @ rotation(degrees) + around


def rotation(degrees: float) -> np.ndarray:
    """Points @ this (2, 2) are the points rotated around (0, 0), clockwise on the screen."""
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, sine], [-sine, cosine]])


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """`colour` with a share in [0, 1] of `other`."""
    red, green, blue = [int(round((1 - share) * a + share * b)) for a, b in zip(colour, other)]
    return red, green, blue


def lighter(colour: Colour, share: float) -> Colour:
    return mixed(colour, (255, 252, 244), share)


def darker(colour: Colour, share: float) -> Colour:
    return mixed(colour, (14, 12, 20), share)


def flat(points: np.ndarray) -> List[float]:
    """Points as the list that ImageDraw expects."""
    return points.ravel().tolist()


def box_of(
        points: np.ndarray,      # (n, 2), in pixels of an image
        size: Tuple[int, int],   # of the image
        margin: int,             # around the points, in pixels
) -> Tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of the image that the points reach."""
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return (max(math.floor(left) - margin, 0), max(math.floor(top) - margin, 0),
            min(math.ceil(right) + 1 + margin, size[0]),
            min(math.ceil(bottom) + 1 + margin, size[1]))


def fill(
        image: Image.Image,          # RGB, modified in place
        outline: np.ndarray,         # (n, 2), in pixels of the image
        colour: Colour,
        opacity: float = 1.0,        # in [0, 1]
) -> None:
    """Paints a closed outline with smooth edges; parts outside the image are cut off."""
    left, top, right, bottom = box_of(outline, image.size, 0)
    if right <= left or bottom <= top:
        return
    mask = Image.new('L', ((right - left) * FINE, (bottom - top) * FINE))
    ImageDraw.Draw(mask).polygon(flat((outline - (left, top)) * FINE),
                                 fill=int(round(255 * opacity)))
    image.paste(colour, (left, top, right, bottom), mask.reduce(FINE))
