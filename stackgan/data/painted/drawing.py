"""A scene as an image: background, bird, foreground and light."""

from typing import NamedTuple, Tuple

import numpy as np
from PIL import Image

from stackgan.data.painted.backgrounds import paint_background, paint_foreground
from stackgan.data.painted.bird import paint_bird, place_bird
from stackgan.data.painted.light import shaded
from stackgan.data.painted.scene import Scene, rng_of


class Painting(NamedTuple):
    """An image and where the bird is in it."""

    picture: Image.Image             # RGB
    mask: Image.Image                # L: share of each pixel that is bird, 0 to 255
    box: Tuple[int, int, int, int]   # x, y, width, height of the smallest box around the bird


def paint(scene: Scene) -> Painting:
    """Paints a scene; the same scene gives the same painting."""
    bird = place_bird(scene, rng_of(scene.seed, scene.number, 1))
    rng = rng_of(scene.seed, scene.number, 2)
    image = paint_background(scene, bird, rng)
    mask = paint_bird(image, bird, rng.uniform(-1, 1))
    paint_foreground(image, bird, rng)
    left, top, right, bottom = mask.getbbox()
    return Painting(_lit(image, scene, rng), mask, (left, top, right - left, bottom - top))


def _lit(image: Image.Image, scene: Scene, rng: np.random.RandomState) -> Image.Image:
    """Brightness, warmth, vignette, a mottled texture and fine grain over the whole image."""
    width, height = image.size
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    gain = scene.brightness * (1 - 0.5 * scene.vignette * (across ** 2 + down ** 2))
    gain *= 1 + _mottle(rng, width, height)
    grain = rng.randint(-5, 6, (height, width), np.int8).astype(np.float32)
    return shaded(image, gain, (1 + scene.warmth, 1, 1 - scene.warmth), grain)


def _mottle(rng: np.random.RandomState, width: int, height: int) -> np.ndarray:
    """Uneven brightness like brushed paint: (height, width) float32 in about +-0.03."""
    coarse = rng.randint(0, 256, (height // 9 + 2, width // 9 + 2), np.uint8)
    soft = Image.fromarray(coarse).resize((width, height), Image.BICUBIC)
    return (np.asarray(soft, np.float32) - 128) * (0.028 / 128)
