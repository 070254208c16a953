"""The surroundings of the bird, in muted colours only, so that nothing looks like its plumage."""

from typing import Callable, Dict, Tuple

import numpy as np
from numpy.random import RandomState
from PIL import Image, ImageDraw, ImageFilter

from stackgan.data.painted.bird import Bird
from stackgan.data.painted.scene import Scene
from stackgan.data.painted.shapes import (
    Colour,
    darker,
    ellipse,
    fill,
    lighter,
    mixed,
    smooth,
    stroke,
    turned,
)

COARSE = 4                         # soft backgrounds are painted smaller by this factor
LEAF = smooth([(0, 0), (0.4, -0.22), (1, 0), (0.4, 0.22)])     # from its stalk at (0, 0) on
Size = Tuple[int, int]             # width, height in pixels


def paint_background(
        scene: Scene,
        bird: Bird,          # for its position
        rng: RandomState,
) -> Image.Image:
    """Everything behind the bird, as an RGB image of the size of the scene."""
    width, height = scene.picture
    small = (max(width // COARSE, 8), max(height // COARSE, 8))
    base = bird.feet[:, 1].mean() if len(bird.feet) else height
    horizon = (base - bird.scale * rng.uniform(0.25, 1.3)) / height
    horizon = float(min(max(horizon, 0.15), 0.9))
    image = SOFT[scene.background](small, horizon, rng)
    image = image.resize((width, height), Image.BICUBIC)
    if scene.pose == 'perched':
        _branch(image, bird, rng)
    elif scene.pose == 'standing':
        _ground(image, bird, scene.background, rng)
    elif bird.waterline is not None:
        _reflection(image, bird, bird.waterline)
    return image


def paint_foreground(image: Image.Image, bird: Bird, rng: RandomState) -> None:
    """Paints what is in front of the bird on `image`."""
    if bird.waterline is not None:
        _ripples(image, bird, bird.waterline, rng)


def _gradient(size: Size, top: Colour, bottom: Colour) -> Image.Image:
    width, height = size
    share = np.linspace(0, 1, height)[:, None, None]
    column = (np.array(top) * (1 - share) + np.array(bottom) * share).astype(np.uint8)
    return Image.fromarray(np.repeat(column, width, axis=1))


def _blobs(
        image: Image.Image,
        rng: RandomState,
        count: int,
        radius: Tuple[float, float],             # smallest and largest, as shares of the width
        colours: Tuple[Colour, ...],
        rows: Tuple[float, float] = (0.0, 1.0),  # highest and lowest, as shares of the height
        flatness: float = 1.0,                   # height of a blob / its width
        blur: float = 1.5,                       # in pixels
) -> Image.Image:
    """Soft spots of random colours between two heights."""
    width, height = image.size
    draw = ImageDraw.Draw(image)
    for _ in range(count):
        x, y = rng.random_sample() * width, rng.uniform(rows[0], rows[1]) * height
        across = rng.uniform(*radius) * width
        down = across * flatness
        colour = mixed(colours[rng.randint(len(colours))],
                       colours[rng.randint(len(colours))], rng.random_sample())
        draw.ellipse((x - across, y - down, x + across, y + down), fill=colour)
    return image.filter(ImageFilter.GaussianBlur(blur))


def _jitter(rng: RandomState, colour: Colour, amount: float = 10) -> Colour:
    shift = rng.uniform(-amount, amount)
    red, green, blue = [int(value + shift + rng.uniform(-4, 4)) for value in colour]
    return red, green, blue


def _sky(size: Size, horizon: float, rng: RandomState) -> Image.Image:
    top, bottom = _jitter(rng, (146, 172, 200)), _jitter(rng, (204, 212, 212))
    image = _gradient(size, top, bottom)
    cloud = lighter(bottom, 0.35)
    image = _blobs(image, rng, rng.randint(4, 9), (0.05, 0.16), (cloud, bottom), (0.0, 0.9),
                   0.45, 3.5)
    if rng.uniform() < 0.5:
        image = _hills(image, rng, mixed(bottom, (112, 124, 122), 0.6))
    return image


def _dusk(size: Size, horizon: float, rng: RandomState) -> Image.Image:
    top, bottom = _jitter(rng, (136, 132, 160)), _jitter(rng, (216, 190, 176))
    image = _gradient(size, top, bottom)
    image = _blobs(image, rng, rng.randint(3, 7), (0.08, 0.22),
                   (mixed(top, bottom, 0.5), lighter(bottom, 0.15)), (0.1, 0.9), 0.22, 2.5)
    return _hills(image, rng, mixed(top, (84, 80, 92), 0.5))


def _hills(image: Image.Image, rng: RandomState, colour: Colour) -> Image.Image:
    width, height = image.size
    points = [(x * width, height * rng.uniform(0.74, 0.9)) for x in np.linspace(-0.2, 1.2, 7)]
    outline = np.array(points + [(1.3 * width, 1.4 * height), (-0.3 * width, 1.4 * height)])
    fill(image, smooth(outline), colour)
    return image.filter(ImageFilter.GaussianBlur(1.2))


def _leaves(size: Size, horizon: float, rng: RandomState) -> Image.Image:
    dark, light = _jitter(rng, (90, 106, 78)), _jitter(rng, (158, 168, 128))
    image = _gradient(size, mixed(dark, light, rng.uniform(0.2, 0.9)),
                      mixed(dark, light, rng.uniform(0.1, 0.6)))
    image = _blobs(image, rng, 26, (0.05, 0.14), (dark, light), blur=3.0)
    return _blobs(image, rng, 14, (0.02, 0.06), (dark, light, lighter(light, 0.25)), blur=1.0)


def _meadow(size: Size, horizon: float, rng: RandomState) -> Image.Image:
    far, near = _jitter(rng, (168, 174, 140)), _jitter(rng, (120, 132, 92))
    image = _behind(size, horizon, rng, _jitter(rng, (188, 200, 198)), far, near)
    return _blobs(image, rng, 30, (0.02, 0.07), (far, near, darker(near, 0.15)),
                  (horizon + 0.04, 1.0), 0.35, 1.2)


def _sand(size: Size, horizon: float, rng: RandomState) -> Image.Image:
    far, near = _jitter(rng, (208, 196, 170)), _jitter(rng, (188, 170, 140))
    image = _behind(size, horizon, rng, _jitter(rng, (168, 190, 198)), far, near)
    return _blobs(image, rng, 16, (0.05, 0.16), (far, near), (horizon + 0.04, 1.0), 0.16, 1.5)


def _rocks(size: Size, horizon: float, rng: RandomState) -> Image.Image:
    far, near = _jitter(rng, (164, 160, 158)), _jitter(rng, (130, 128, 130))
    image = _behind(size, horizon, rng, _jitter(rng, (190, 196, 200)), far, near)
    return _blobs(image, rng, 22, (0.04, 0.13), (far, near, darker(near, 0.2)),
                  (horizon + 0.06, 1.0), 0.5, 0.8)


def _behind(size: Size, horizon: float, rng: RandomState, sky: Colour, far: Colour,
            near: Colour) -> Image.Image:
    """Sky above the horizon, ground below it."""
    width, height = size
    line = max(int(height * horizon), 1)
    image = Image.new('RGB', size)
    image.paste(_gradient((width, line), darker(sky, 0.12), lighter(sky, 0.15)), (0, 0))
    image = _blobs(image, rng, 12, (0.05, 0.14), (sky, lighter(sky, 0.2), mixed(sky, far, 0.6)),
                   (horizon - 0.25, horizon), 0.6, 2.5)
    image.paste(_gradient((width, height - line), far, near), (0, line))
    return image.filter(ImageFilter.GaussianBlur(0.8))


def _water(size: Size, horizon: float, rng: RandomState) -> Image.Image:
    top, bottom = _jitter(rng, (164, 186, 188)), _jitter(rng, (106, 136, 146))
    image = _gradient(size, top, bottom)
    return _blobs(image, rng, 34, (0.05, 0.2), (top, bottom, mixed(top, bottom, 0.5)),
                  (0.0, 1.0), 0.07, 1.0)


SOFT: Dict[str, Callable[[Size, float, RandomState], Image.Image]] = {
    'sky': _sky, 'dusk': _dusk, 'leaves': _leaves, 'meadow': _meadow, 'sand': _sand,
    'rocks': _rocks, 'water': _water}


def _branch(image: Image.Image, bird: Bird, rng: RandomState) -> None:
    """A branch under both feet, with a few leaves."""
    width = image.size[0]
    (x0, y0), (x1, y1) = bird.feet
    slope = (y1 - y0) / (x1 - x0) + rng.uniform(-0.06, 0.06)
    thick = bird.scale * rng.uniform(0.2, 0.32)
    x = np.linspace(-0.05 * width, 1.05 * width, 14)
    bend = bird.scale * 0.0012 * (x - x0) ** 2 / width * rng.uniform(-4, 4)
    y = y0 + slope * (x - x0) + bend + thick * 0.42
    bark = _jitter(rng, (116, 94, 78))
    for _ in range(rng.randint(4, 10)):
        at = rng.randint(len(x))
        if abs(x[at] - x0) > 0.9 * bird.scale:
            _leaf(image, x[at], y[at], bird.scale * rng.uniform(0.3, 0.55), rng)
    fill(image, stroke(np.stack([x, y], axis=1), np.linspace(1.1, 0.85, 14) * thick), bark)
    upper = np.stack([x, y - 0.26 * thick], axis=1)
    fill(image, stroke(upper, 0.3 * thick), lighter(bark, 0.18))
    lower = np.stack([x, y + 0.34 * thick], axis=1)
    fill(image, stroke(lower, 0.24 * thick), darker(bark, 0.25))


def _leaf(image: Image.Image, x: float, y: float, length: float, rng: RandomState) -> None:
    upwards = rng.uniform() < 0.7
    outline = turned(LEAF * length, rng.uniform(20, 160) * (-1 if upwards else 1)) + (x, y)
    fill(image, outline, _jitter(rng, (116, 132, 92), 18))


def _ground(image: Image.Image, bird: Bird, background: str, rng: RandomState) -> None:
    """A soft shadow under the bird, and grass or pebbles."""
    x, y = bird.feet.mean(axis=0)
    for size in np.linspace(2.3, 0.9, 9) * bird.scale:
        fill(image, ellipse(x, y + 0.04 * bird.scale, size, 0.2 * size), (30, 28, 30), 0.045)
    width, height = image.size
    for _ in range(18):
        at = rng.uniform(0, width), rng.uniform(y - 0.05 * height, height)
        size = bird.scale * rng.uniform(0.06, 0.16)
        ground = image.getpixel((int(min(at[0], width - 1)), int(np.clip(at[1], 0, height - 1))))
        tint = lighter(ground, 0.2) if rng.uniform() < 0.4 else darker(ground, 0.22)
        if background == 'meadow':
            lean = rng.uniform(-0.8, 0.8) * size
            fill(image, stroke([at, (at[0] + lean / 3, at[1] - 1.2 * size),
                                (at[0] + lean, at[1] - 2.4 * size)],
                               np.array([0.3, 0.22, 0.05]) * size), tint)
        else:
            fill(image, ellipse(at[0], at[1], 1.4 * size, 0.7 * size), tint)


def _reflection(image: Image.Image, bird: Bird, waterline: float) -> None:
    """A dim mirror image of the body below the waterline."""
    outline = bird.body.copy()
    outline[:, 1] = waterline + 0.55 * (waterline - outline[:, 1])
    outline[:, 1] = np.maximum(outline[:, 1], waterline)
    outline[:, 0] += 0.03 * bird.scale * np.sin(outline[:, 1] / bird.scale * 14)
    water = image.getpixel((image.size[0] // 2, min(int(waterline), image.size[1] - 1)))
    fill(image, outline, mixed(darker(water, 0.35), bird.colour, 0.2), 0.5)


def _ripples(image: Image.Image, bird: Bird, waterline: float, rng: RandomState) -> None:
    """Bright and dark lines on the water, the longest where the bird meets it."""
    left, right = bird.body[:, 0].min(), bird.body[:, 0].max()
    middle, half = (left + right) / 2, (right - left) / 2
    for line in range(6):
        y = waterline + (0.02 + 0.13 * line) * bird.scale
        reach = half * rng.uniform(0.8, 1.15) * (1.05 - 0.1 * line)
        x = np.linspace(middle - reach, middle + reach, 12) + rng.uniform(-0.2, 0.2) * half
        wave = 0.02 * bird.scale * np.sin(np.linspace(0, rng.uniform(6, 14), 12))
        widths = np.sin(np.linspace(0, np.pi, 12)) * 0.055 * bird.scale + 0.3
        tint = (206, 216, 216) if line % 2 == 0 else (78, 98, 106)
        fill(image, stroke(np.stack([x, y + wave], axis=1), widths), tint, 0.6)
