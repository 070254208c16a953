"""Interpolations as animated GIFs: forward and back, endlessly, both stages side by side."""

import os
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stackgan.files import atomic_write
from stackgan.progress import Progress
from stackgan.sampling.grids import (
    FAINT,
    GAP,
    INK,
    LETTER_SIZE,
    LINE_HEIGHT,
    LINES,
    MARGIN,
    PAPER,
    shown,
)
from stackgan.sampling.plans import Path, Plan
from stackgan.sampling.sheets import read_images, stage_names
from stackgan.text_rendering import font, wrap

Colour = Tuple[int, ...]           # RGB, 0 to 255

FOLDER = 'animations'
ANIMATIONS = 16                    # at most
STEP_MS, END_MS = 140, 900         # how long a frame is shown: in between, and at both ends
SIDES = (256, 192, 128)            # of an image: the largest with which the frames fit
MAX_PIXELS = 10 * 1000 * 1000     # of all frames of a file; a pixel takes 0.3 to 1 byte
BAR = 3                            # height of the position bar


def write_animations(
        folder: str,                  # with the files of `index`; gets animations/
        plan: Plan,                   # of interpolations
        index: List[Dict[str, Any]],  # lines of samples.jsonl, one for each sample
) -> str:
    """Writes a GIF for each of the first rows; returns a description of what it wrote."""
    os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
    rows = plan.rows[:ANIMATIONS]
    with Progress('animations', len(rows), 'files') as progress:
        for number, (path, samples) in enumerate(rows):
            frames = frames_of(path, [read_images(folder, index[sample]) for sample in samples],
                               stage_names(index[0]))
            write_gif(os.path.join(folder, FOLDER, f'{number:05d}.gif'), frames)
            progress.advance()
    part = f' ({len(rows)} of {len(plan.rows)} rows)' if len(rows) < len(plan.rows) else ''
    return f'{FOLDER}/{part}'


def frames_of(
        path: Path,
        steps: Sequence[Sequence[np.ndarray]],  # the image of each stage, from one end to the other
        names: Sequence[str],                   # of the stages
) -> List[Image.Image]:
    """One frame a step."""
    side = [side for side in SIDES if _pixels(side, len(names), len(steps)) <= MAX_PIXELS
            or side == SIDES[-1]][0]
    return [_frame(path, images, names, side, step / (len(steps) - 1))
            for step, images in enumerate(steps)]


def _pixels(side: int, stages: int, steps: int) -> int:
    """Pixels of all frames, with four lines of text."""
    width, height = 2 * MARGIN + stages * (side + GAP), side + 6 * LINE_HEIGHT + 3 * MARGIN
    return width * height * max(1, 2 * steps - 2)


def _frame(path: Path, images: Sequence[np.ndarray], names: Sequence[str], side: int,
           place: float) -> Image.Image:
    letters = font(LETTER_SIZE)
    width = len(names) * (side + GAP) - GAP
    texts = _texts_of(path, letters, width, place)
    top = MARGIN // 2 + LINE_HEIGHT
    below = top + side + MARGIN + BAR
    height = below + MARGIN + sum(len(lines) * LINE_HEIGHT + GAP for lines, _ in texts)
    frame = Image.new('RGB', (width + 2 * MARGIN, height), PAPER)
    pen = ImageDraw.Draw(frame)
    for i, (name, image) in enumerate(zip(names, images)):
        left = MARGIN + i * (side + GAP)
        pen.text((left, MARGIN // 2 - 2), name, FAINT, letters)
        frame.paste(shown(image, side), (left, top))
    _draw_bar(pen, below - MARGIN // 2 - BAR, width, place)
    y = below + GAP
    for lines, ink in texts:
        for line in lines:
            pen.text((MARGIN, y), line, ink, letters)
            y += LINE_HEIGHT
        y += GAP
    return frame


def _draw_bar(pen: ImageDraw.ImageDraw, y: int, width: int, place: float) -> None:
    """The position between the ends."""
    pen.rectangle((MARGIN, y, MARGIN + width - 1, y + BAR - 1), _mixed(0.15))
    end = MARGIN + BAR + int(round(place * (width - 1 - BAR)))
    pen.rectangle((MARGIN, y, end, y + BAR - 1), FAINT)


def _texts_of(path: Path, letters: ImageFont.FreeTypeFont, width: int,
              place: float) -> List[Tuple[List[str], Colour]]:
    """[(lines, ink)]: the nearer caption is darker; a text that holds throughout is black."""
    lines = LINES if width > 2 * SIDES[-1] else 2 * LINES
    seeds = [f'seed {seed}' for seed in path.seeds]
    texts = list(zip(path.captions, _shares(path.captions, place)))
    if len(seeds) == 2:
        seeds = [f"{' to '.join(seeds)}, {100 * place:.0f} %"]
    texts += [(text, 0.5) for text in seeds]
    return [(wrap(text, letters, width, lines), _mixed(share)) for text, share in texts]


def _shares(captions: Sequence[str], place: float) -> Tuple[float, ...]:
    return (1.0 - place, place) if len(captions) == 2 else (1.0,)


def _mixed(share: float) -> Colour:
    """A grey from faint (0) to ink (1)."""
    pale = 200
    return tuple(int(round(pale + share * (ink - pale))) for ink in INK)


def write_gif(
        path: str,
        frames: Sequence[Image.Image],  # of one size, from one end of an interpolation to the other
) -> None:
    """Writes them forward and back, in an endless loop."""
    order = list(range(len(frames))) + list(range(len(frames) - 2, 0, -1))
    times = [END_MS if place in (0, len(frames) - 1) else STEP_MS for place in order]
    coloured = [_with_palette(frame) for frame in frames]
    with atomic_write(path) as stream:
        coloured[0].save(stream, 'GIF', save_all=True, loop=0, duration=times, optimize=False,
                         append_images=[coloured[place] for place in order[1:]])


def _with_palette(frame: Image.Image) -> Image.Image:
    """The frame dithered with 256 colours chosen for it.

    An octree keeps small spots of a distinct colour, which a median cut drops, and takes a
    hundredth of a second; one palette for all frames would not save enough to be worth it.
    """
    return frame.quantize(palette=frame.quantize(256, Image.FASTOCTREE),
                          dither=Image.FLOYDSTEINBERG)
