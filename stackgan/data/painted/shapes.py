"""Outlines as arrays of points, and filling them with soft edges.

Points are (n, 2) float64 arrays of (x, y), y downwards.
"""

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
    before, after, beyond = (np.roll(here, shift, axis=0) for shift in (1, -1, -2))
    t = (np.arange(steps) / steps)[None, :, None]
    here, before, after, beyond = (each[:, None, :] for each in (here, before, after, beyond))
    curve = here + 0.5 * t * (
        after - before
        + t * (2 * before - 5 * here + 4 * after - beyond
               + t * (3 * (here - after) + beyond - before)))
    return curve.reshape(-1, 2)


def stroke(
        points: Points,     # that the line goes through
        widths: Any,        # its width at each of them, or one for all
) -> np.ndarray:
    """Outline of a line of varying width: (2 * len(points), 2)."""
    points = np.asarray(points, np.float64)
    along = np.gradient(points, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    half = 0.5 * np.broadcast_to(widths, (len(points),))[:, None] * across
    return np.concatenate([points + half, (points - half)[::-1]])


def ellipse(x: float, y: float, width: float, height: float, points: int = 24) -> np.ndarray:
    """Outline of an ellipse around (x, y)."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([x + width / 2 * np.cos(angle), y + height / 2 * np.sin(angle)], axis=1)


def turned(points: Points, degrees: float,
           around: Tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """`points` rotated around a point, clockwise on the screen."""
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (np.asarray(points, np.float64) - around) @ matrix + around


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


def fill(
        image: Image.Image,          # RGB, modified in place
        outlines: List[np.ndarray],  # (n, 2) each, in pixels of the image
        colour: Colour,
        opacity: float = 1.0,        # in [0, 1]
) -> None:
    """Paints closed outlines with smooth edges; parts outside the image are cut off."""
    every = np.concatenate(outlines)
    left, top = np.maximum(np.floor(every.min(axis=0)).astype(int), 0).tolist()
    right, bottom = np.minimum(np.ceil(every.max(axis=0)).astype(int) + 1, image.size).tolist()
    if right <= left or bottom <= top:
        return
    mask = Image.new('L', ((right - left) * FINE, (bottom - top) * FINE))
    draw = ImageDraw.Draw(mask)
    for outline in outlines:
        draw.polygon(flat((outline - (left, top)) * FINE), fill=int(round(255 * opacity)))
    image.paste(colour, (left, top, right, bottom), mask.reduce(FINE))
