"""The bird: its parts as outlines in units of its own, then placed in the image.

In these units the body is about two wide around (0, 0), the bill points to the right and y runs
downwards.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from numpy.random import RandomState
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from stackgan.data.painted.scene import BUILDS, Scene
from stackgan.data.painted.shapes import (
    FINE,
    Colour,
    darker,
    ellipse,
    flat,
    lighter,
    mixed,
    smooth,
    stroke,
    turned,
)
from stackgan.data.painted.species import PALETTE, Species

SILHOUETTE = (                     # body and head, clockwise from the upper root of the bill
    (0.99, -0.70), (0.84, -0.99), (0.53, -1.09), (0.20, -0.94), (-0.12, -0.60), (-0.55, -0.30),
    (-0.98, 0.10), (-0.95, 0.36), (-0.52, 0.68), (0.05, 0.80), (0.60, 0.62), (0.94, 0.18),
    (1.00, -0.22), (0.98, -0.50))
CROWN = (                          # extends beyond the head; only the part on the body shows
    (1.20, -0.70), (1.20, -1.30), (0.00, -1.30), (-0.30, -0.62), (0.12, -0.50), (0.45, -0.56),
    (0.78, -0.60))
BELLY = ((0.30, 0.36), (0.66, 0.10), (0.84, -0.22), (1.20, -0.10), (1.10, 0.60), (0.40, 1.00),
         (-0.40, 0.90), (-0.20, 0.56))
TAIL = ((-0.70, 0.00), (-1.26, 0.20), (-1.40, 0.32), (-1.36, 0.52), (-0.80, 0.42))
FOLDED_WING = ((0.26, -0.22), (0.34, 0.04), (0.08, 0.30), (-0.40, 0.38), (-1.06, 0.38),
               (-0.72, 0.04), (-0.25, -0.26))
RAISED_WING = ((0.34, -0.24), (0.28, -0.66), (0.02, -1.08), (-0.46, -1.46), (-0.60, -1.40),
               (-0.57, -1.22), (-0.73, -1.14), (-0.69, -0.97), (-0.81, -0.85), (-0.74, -0.70),
               (-0.82, -0.54), (-0.68, -0.30), (-0.50, -0.02), (-0.06, 0.04))
EYE = (0.66, -0.68)
HIPS = ((-0.06, 0.70), (0.30, 0.68))
LEG_LENGTHS = {'perched': 0.26, 'standing': 0.46}
WATERLINE = 0.56                   # in units, below the middle of a swimming bird
LEG_COLOUR = (78, 62, 56)


class Part(NamedTuple):
    """An outline and its colour."""

    outline: np.ndarray            # (n, 2)
    colour: Colour
    on_body: bool = False          # whether it shows only where the body is
    softness: float = 0.0          # of an edge on the body, in units


class Bird(NamedTuple):
    """Parts in pixels of the image, back to front."""

    parts: List[Part]
    body: np.ndarray               # outline of body and head
    feet: np.ndarray               # (2, 2): where the feet touch the ground; empty without feet
    waterline: Optional[float]     # y below which water hides the bird
    scale: float                   # pixels per unit
    colour: Colour                 # of the body


def place_bird(scene: Scene, rng: RandomState) -> Bird:
    """The `Bird` of a scene, with the size and position that the scene gives."""
    colours = _colours(scene.species, rng)
    parts, body = _parts(scene.pose, colours, rng)
    stretch = (2 - BUILDS[scene.build], BUILDS[scene.build])
    parts = [part._replace(outline=turned(part.outline * stretch, -scene.tilt)) for part in parts]
    body = turned(body * stretch, -scene.tilt)
    feet = np.zeros((0, 2))
    if scene.pose in LEG_LENGTHS:
        hips = turned(np.array(HIPS) * stretch, -scene.tilt)
        legs, feet = _legs(hips, LEG_LENGTHS[scene.pose])
        parts = legs + parts
    return _in_image(parts, body, feet, colours, scene)


def _colours(species: Species, rng: RandomState) -> Dict[str, Colour]:
    """Colours of the parts, each a little off the palette, so that no two birds are the same."""
    colours: Dict[str, Colour] = {}
    for name in ('body', 'wing', 'head', 'beak'):
        red, green, blue = [int(np.clip(value + rng.randint(-7, 8), 0, 255))
                            for value in PALETTE[getattr(species, name)]]
        colours[name] = red, green, blue
    return colours


def _parts(pose: str, colours: Dict[str, Colour],
           rng: RandomState) -> Tuple[List[Part], np.ndarray]:
    """Parts back to front, in units, and the outline of the body."""
    body = smooth(np.array(SILHOUETTE) + rng.uniform(-0.02, 0.02, (len(SILHOUETTE), 2)))
    coat = colours['body']
    parts = [Part(smooth(TAIL), darker(colours['wing'], 0.12))]
    parts += [Part(line, darker(colours['wing'], 0.3)) for line in _tail_feathers()]
    if pose == 'flying':
        far = turned(np.array(RAISED_WING) * (0.8, 0.95), 14, (0.2, -0.2)) + (0.1, -0.06)
        parts.insert(0, Part(smooth(far), darker(colours['wing'], 0.3)))
    parts.append(Part(body, coat))
    parts.append(Part(smooth(BELLY), lighter(coat, 0.22), on_body=True, softness=0.16))
    parts.append(Part(smooth(CROWN), colours['head'], on_body=True))
    parts += _bill(colours['beak'])
    parts += _eye(colours['head'])
    parts += _wing(pose, colours['wing'], rng)
    return parts, body


def _tail_feathers() -> List[np.ndarray]:
    return [stroke([(-0.86, 0.14 + dy), (-1.30, 0.30 + dy)], (0.03, 0.02)) for dy in (0.03, 0.13)]


def _bill(colour: Colour) -> List[Part]:
    upper = smooth([(0.93, -0.72), (1.16, -0.68), (1.42, -0.55), (1.16, -0.55), (0.93, -0.56)])
    lower = smooth([(0.93, -0.58), (1.14, -0.56), (1.30, -0.50), (1.10, -0.46), (0.93, -0.46)])
    return [Part(lower, darker(colour, 0.14)), Part(upper, colour)]


def _eye(around: Colour) -> List[Part]:
    x, y = EYE
    ring = lighter(around, 0.5) if sum(around) < 420 else darker(around, 0.25)
    return [Part(ellipse(x, y, 0.27, 0.27), ring),
            Part(ellipse(x, y, 0.20, 0.20), (18, 16, 20)),
            Part(ellipse(x + 0.035, y - 0.04, 0.065, 0.065), (252, 252, 252))]


def _wing(pose: str, colour: Colour, rng: RandomState) -> List[Part]:
    """The near wing, with its feathers."""
    points = np.array(RAISED_WING if pose == 'flying' else FOLDED_WING)
    if pose == 'flying':
        points = turned(points, rng.uniform(-16, 12), (0.0, -0.1))
    else:
        points = turned(points, rng.uniform(-5, 8), (0.3, 0.0))
    tip = points[np.argmin(points.sum(axis=1) if pose == 'flying' else points[:, 0])]
    root = points[0] * 0.7 + points[-1] * 0.3
    edge = darker(colour, 0.34) if sum(colour) > 160 else lighter(colour, 0.2)
    parts = [Part(smooth(points), colour)]
    for spread in (-0.5, 0.0, 0.5):
        parts.append(Part(_feather(root, tip, spread, pose), mixed(colour, edge, 0.8)))
    return parts


def _feather(root: np.ndarray, tip: np.ndarray, spread: float, pose: str) -> np.ndarray:
    along = tip - root
    across = np.array([-along[1], along[0]]) * (0.26 if pose == 'flying' else 0.22)
    t = np.linspace(0.42, 0.9, 7)[:, None]
    bend = (1 - t) * (spread + 0.35) * 1.2
    return stroke(root + t * along + bend * across, np.linspace(0.05, 0.015, 7))


def _legs(hips: np.ndarray, length: float) -> Tuple[List[Part], np.ndarray]:
    """Two upright legs with three toes each, and where they touch the ground."""
    parts, feet = [], []
    ground = hips[:, 1].max() + length
    for x, y in hips:
        parts.append(Part(stroke([(x, y - 0.12), (x + 0.03, ground)], 0.065), LEG_COLOUR))
        for toe in (-0.12, 0.06, 0.2):
            parts.append(Part(stroke([(x + 0.03, ground - 0.02), (x + 0.03 + toe, ground + 0.03)],
                                     0.055), LEG_COLOUR))
        feet.append((x + 0.04, ground))
    return parts, np.array(feet)


def _in_image(parts: List[Part], body: np.ndarray, feet: np.ndarray, colours: Dict[str, Colour],
              scene: Scene) -> Bird:
    """Mirrors, scales and moves everything so that the bird has its size and position."""
    every = np.concatenate([part.outline for part in parts])
    low, high = every.min(axis=0), every.max(axis=0)
    waterline = body[:, 1].mean() + WATERLINE if scene.pose == 'swimming' else None
    if waterline is not None:
        high[1] = waterline
    scale = float(scene.size * min(scene.picture) / (high - low).max())
    flip = np.array([-1.0 if scene.facing == 'left' else 1.0, 1.0])
    middle = (low + high) / 2
    centre = np.array(scene.centre) * scene.picture

    def moved(points: np.ndarray) -> np.ndarray:
        return (points - middle) * flip * scale + centre

    return Bird(
        parts=[part._replace(outline=moved(part.outline)) for part in parts],
        body=moved(body),
        feet=moved(feet),
        waterline=None if waterline is None else float(moved(np.array([0, waterline]))[1]),
        scale=scale,
        colour=colours['body'])


def paint_bird(
        image: Image.Image,    # RGB, modified in place
        bird: Bird,
        light: float,          # direction the light comes from: -1 left to 1 right
) -> Image.Image:
    """Paints the bird with soft edges and a rounded look.

    Returns the share of each pixel that is bird, as an L image of the size of `image`.
    """
    every = np.concatenate([part.outline for part in bird.parts])
    left, top = np.maximum(np.floor(every.min(axis=0)).astype(int) - 1, 0).tolist()
    right, bottom = np.minimum(np.ceil(every.max(axis=0)).astype(int) + 2, image.size).tolist()
    size = ((right - left) * FINE, (bottom - top) * FINE)
    canvas, mask = _draw_parts(bird, np.array([left, top]), size)
    if bird.waterline is not None:
        line = int(round((bird.waterline - top) * FINE))
        ImageDraw.Draw(mask).rectangle((0, line, size[0], size[1]), fill=0)
    canvas, mask = canvas.reduce(FINE), mask.reduce(FINE)
    canvas = _rounded(canvas, mask, light, bird.scale)
    image.paste(canvas, (left, top), mask)
    whole = Image.new('L', image.size)
    whole.paste(mask, (left, top))
    return whole


def _draw_parts(bird: Bird, corner: np.ndarray,
                size: Tuple[int, int]) -> Tuple[Image.Image, Image.Image]:
    """Flat parts on a canvas of fine pixels, and the mask of all of them."""
    body = Image.new('L', size)
    ImageDraw.Draw(body).polygon(flat((bird.body - corner) * FINE), fill=255)
    canvas, mask = Image.new('RGB', size, bird.colour), Image.new('L', size)
    draw, draw_mask = ImageDraw.Draw(canvas), ImageDraw.Draw(mask)
    for part in bird.parts:
        points = flat((part.outline - corner) * FINE)
        if part.on_body:
            clip = Image.new('L', size)
            ImageDraw.Draw(clip).polygon(points, fill=255)
            if part.softness:
                clip = clip.filter(ImageFilter.BoxBlur(part.softness * bird.scale * FINE))
            canvas.paste(part.colour, (0, 0), ImageChops.multiply(clip, body))
        else:
            draw.polygon(points, fill=part.colour)
            draw_mask.polygon(points, fill=255)
    return canvas, mask


def _rounded(canvas: Image.Image, mask: Image.Image, light: float, scale: float) -> Image.Image:
    """Brighter above and towards the light, darker below and at the rim."""
    width, height = canvas.size
    rim = np.asarray(mask.filter(ImageFilter.BoxBlur(0.16 * scale)), np.float32) / 255
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    along = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    shade = 0.85 + 0.20 * rim - 0.11 * down + 0.07 * light * along
    pixels = np.asarray(canvas, np.float32) * shade[:, :, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
