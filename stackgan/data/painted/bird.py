"""The bird: its parts as outlines in units of its own, then placed in the image.

In these units the body is about two wide around (0, 0), the bill points to the right and y runs
downwards.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from numpy.random import RandomState
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from stackgan.data.painted.light import shaded
from stackgan.data.painted.scene import BUILDS, Scene
from stackgan.data.painted.shapes import (
    FINE,
    Colour,
    box_of,
    darker,
    ellipse,
    flat,
    lighter,
    mixed,
    rotation,
    smooth,
    stroke,
    turned,
)
from stackgan.data.painted.species import PALETTE, Species

SILHOUETTE = (                     # body and head, clockwise from the upper root of the bill
    (0.99, -0.70), (0.84, -0.99), (0.53, -1.09), (0.20, -0.94), (-0.12, -0.60), (-0.55, -0.30),
    (-0.98, 0.10), (-0.95, 0.36), (-0.52, 0.68), (0.05, 0.80), (0.60, 0.62), (0.94, 0.18),
    (1.00, -0.22), (0.98, -0.50))
# Outlines in the units of the bird: (n, 2).
CROWN = smooth((                   # extends beyond the head; only the part on the body shows
    (1.20, -0.70), (1.20, -1.30), (0.00, -1.30), (-0.30, -0.62), (0.12, -0.50), (0.45, -0.56),
    (0.78, -0.60)))
BELLY = smooth(((0.30, 0.36), (0.66, 0.10), (0.84, -0.22), (1.20, -0.10), (1.10, 0.60),
                (0.40, 1.00), (-0.40, 0.90), (-0.20, 0.56)))
TAIL = smooth(((-0.70, 0.00), (-1.26, 0.20), (-1.40, 0.32), (-1.36, 0.52), (-0.80, 0.42)))
TAIL_FEATHERS = [stroke([(-0.86, 0.14 + dy), (-1.30, 0.30 + dy)], (0.03, 0.02))
                 for dy in (0.03, 0.13)]
UPPER_BILL = smooth(((0.93, -0.72), (1.16, -0.68), (1.42, -0.55), (1.16, -0.55), (0.93, -0.56)))
LOWER_BILL = smooth(((0.93, -0.58), (1.14, -0.56), (1.30, -0.50), (1.10, -0.46), (0.93, -0.46)))
EYE_RING = ellipse(0.66, -0.68, 0.27, 0.27)
EYE = ellipse(0.66, -0.68, 0.20, 0.20)
EYE_GLINT = ellipse(0.66 + 0.035, -0.68 - 0.04, 0.065, 0.065)
FOLDED_WING = ((0.26, -0.22), (0.34, 0.04), (0.08, 0.30), (-0.40, 0.38), (-1.06, 0.38),
               (-0.72, 0.04), (-0.25, -0.26))
RAISED_WING = ((0.34, -0.24), (0.28, -0.66), (0.02, -1.08), (-0.46, -1.46), (-0.60, -1.40),
               (-0.57, -1.22), (-0.73, -1.14), (-0.69, -0.97), (-0.81, -0.85), (-0.74, -0.70),
               (-0.82, -0.54), (-0.68, -0.30), (-0.50, -0.02), (-0.06, 0.04))
FAR_WING = smooth(turned(np.array(RAISED_WING) * (0.8, 0.95), 14, (0.2, -0.2)) + (0.1, -0.06))
FEATHER_LENGTHS = np.linspace(0.42, 0.9, 7)[:, None]
FEATHER_BENDS = np.stack([(1 - FEATHER_LENGTHS) * (spread + 0.35) * 1.2
                          for spread in (-0.5, 0.0, 0.5)])
FEATHER_WIDTHS = np.linspace(0.05, 0.015, 7)
HIPS = np.array(((-0.06, 0.70), (0.30, 0.68)))
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
    stretch = np.array([2 - BUILDS[scene.build], BUILDS[scene.build]])
    tilted = rotation(-scene.tilt)
    parts = [part._replace(outline=part.outline * stretch @ tilted) for part in parts]
    body = body * stretch @ tilted
    feet = np.zeros((0, 2))
    if scene.pose in LEG_LENGTHS:
        hips = HIPS * stretch @ tilted
        legs, feet = _legs(hips, LEG_LENGTHS[scene.pose])
        parts = legs + parts
    return _in_image(parts, body, feet, colours, scene)


def _colours(species: Species, rng: RandomState) -> Dict[str, Colour]:
    """Colours of the parts, each a little off the palette, so that no two birds are the same."""
    colours: Dict[str, Colour] = {}
    for name in ('body', 'wing', 'head', 'beak'):
        red, green, blue = [min(max(value + int(shift), 0), 255) for value, shift in
                            zip(PALETTE[getattr(species, name)], rng.randint(-7, 8, 3))]
        colours[name] = red, green, blue
    return colours


def _parts(pose: str, colours: Dict[str, Colour],
           rng: RandomState) -> Tuple[List[Part], np.ndarray]:
    """Parts back to front, in units, and the outline of the body."""
    body = smooth(np.array(SILHOUETTE) + rng.uniform(-0.02, 0.02, (len(SILHOUETTE), 2)))
    coat = colours['body']
    parts = [Part(TAIL, darker(colours['wing'], 0.12))]
    parts += [Part(line, darker(colours['wing'], 0.3)) for line in TAIL_FEATHERS]
    if pose == 'flying':
        parts.insert(0, Part(FAR_WING, darker(colours['wing'], 0.3)))
    parts.append(Part(body, coat))
    parts.append(Part(BELLY, lighter(coat, 0.22), on_body=True, softness=0.16))
    parts.append(Part(CROWN, colours['head'], on_body=True))
    parts += _bill(colours['beak'])
    parts += _eye(colours['head'])
    parts += _wing(pose, colours['wing'], rng)
    return parts, body


def _bill(colour: Colour) -> List[Part]:
    return [Part(LOWER_BILL, darker(colour, 0.14)), Part(UPPER_BILL, colour)]


def _eye(around: Colour) -> List[Part]:
    ring = lighter(around, 0.5) if sum(around) < 420 else darker(around, 0.25)
    return [Part(EYE_RING, ring), Part(EYE, (18, 16, 20)), Part(EYE_GLINT, (252, 252, 252))]


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
    parts += [Part(feather, mixed(colour, edge, 0.8)) for feather in _feathers(root, tip, pose)]
    return parts


def _feathers(root: np.ndarray, tip: np.ndarray, pose: str) -> np.ndarray:
    """Three outlines: (3, n, 2)."""
    along = tip - root
    across = np.array([-along[1], along[0]]) * (0.26 if pose == 'flying' else 0.22)
    return stroke(root + FEATHER_LENGTHS * along + FEATHER_BENDS * across, FEATHER_WIDTHS)


def _legs(hips: np.ndarray, length: float) -> Tuple[List[Part], np.ndarray]:
    """Two upright legs with three toes each, and where they touch the ground."""
    lines, widths, feet = [], [], []
    ground = hips[:, 1].max() + length
    for x, y in hips.tolist():
        lines.append(((x, y - 0.12), (x + 0.03, ground)))
        lines += [((x + 0.03, ground - 0.02), (x + 0.03 + toe, ground + 0.03))
                  for toe in (-0.12, 0.06, 0.2)]
        widths += [[0.065], [0.055], [0.055], [0.055]]
        feet.append((x + 0.04, ground))
    return [Part(outline, LEG_COLOUR) for outline in stroke(lines, widths)], np.array(feet)


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

    ends = np.cumsum([len(part.outline) for part in parts])[:-1].tolist()
    return Bird(
        parts=[part._replace(outline=outline)
               for part, outline in zip(parts, np.split(moved(every), ends))],
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
    left, top, right, bottom = box_of(every, image.size, margin=1)
    size = ((right - left) * FINE, (bottom - top) * FINE)
    every = (every - (left, top)) * FINE
    canvas = _draw_parts(bird, every, (bird.body - (left, top)) * FINE, size)
    if bird.waterline is not None:
        line = int(round((bird.waterline - top) * FINE))
        canvas = _hidden_below(canvas, line)
    red, green, blue, mask = canvas.reduce(FINE).split()
    colours = _rounded(Image.merge('RGB', (red, green, blue)), mask, light, bird.scale)
    image.paste(colours, (left, top), mask)
    whole = Image.new('L', image.size)
    whole.paste(mask, (left, top))
    return whole


def _draw_parts(
        bird: Bird,
        every: np.ndarray,     # (n, 2): the points of all parts, one after the other
        body: np.ndarray,      # (n, 2): outline of body and head
        size: Tuple[int, int],
) -> Image.Image:
    """Flat parts on a canvas of fine pixels. Its bands are red, green, blue and the mask of all.

    They are called cyan, magenta, yellow and black, because no other mode has four bands that are
    independent of each other.
    """
    canvas = Image.new('CMYK', size, bird.colour + (0,))
    draw = ImageDraw.Draw(canvas)
    points, end = flat(every), 0
    for part in bird.parts:
        start, end = end, end + 2 * len(part.outline)
        if part.on_body:
            blur = part.softness * bird.scale * FINE
            box, mask = _on_body(points[start:end], body, size, blur)
            canvas.paste(part.colour + (255,), box, mask)
        else:
            draw.polygon(points[start:end], fill=part.colour + (255,))
    return canvas


def _on_body(
        points: List[float],         # x, y, x, y, ... of a part that shows only on the body
        body: np.ndarray,            # (n, 2): outline of body and head
        size: Tuple[int, int],       # of the canvas, as both
        blur: float,                 # radius
) -> Tuple[Tuple[int, int, int, int], Image.Image]:
    """(box, mask of the box): where the part shows, at least."""
    clip, whole = Image.new('L', size), Image.new('L', size)
    ImageDraw.Draw(clip).polygon(points, fill=255)
    ImageDraw.Draw(whole).polygon(flat(body), fill=255)
    box = box_of(np.reshape(points, (-1, 2)), size, margin=int(blur) + 2)
    clip = clip.crop(box)
    if blur:
        clip = clip.filter(ImageFilter.BoxBlur(blur))
    return box, ImageChops.multiply(clip, whole.crop(box))


def _hidden_below(canvas: Image.Image, line: int) -> Image.Image:
    """The canvas with a mask of zeros from a row on."""
    red, green, blue, mask = canvas.split()
    ImageDraw.Draw(mask).rectangle((0, line, mask.size[0], mask.size[1]), fill=0)
    return Image.merge('CMYK', (red, green, blue, mask))


def _rounded(canvas: Image.Image, mask: Image.Image, light: float, scale: float) -> Image.Image:
    """Brighter above and towards the light, darker below and at the rim."""
    width, height = canvas.size
    rim = np.asarray(mask.filter(ImageFilter.BoxBlur(0.16 * scale)), np.float32) / 255
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    along = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    shade = 0.85 + 0.20 * rim - 0.11 * down + 0.07 * light * along
    return shaded(canvas, shade)
