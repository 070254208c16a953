"""Grids of images: one row per caption, written below it; interpolations as strips."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw

from stackgan.text_rendering import font, wrap

MARGIN, GAP = 12, 4
LETTER_SIZE, LINE_HEIGHT, LINES = 14, 19, 2
PAPER, INK, FAINT = (255, 255, 255), (34, 34, 34), (120, 120, 120)


class Strips(NamedTuple):
    """Images that correspond step by step, in strips one above the other."""

    strips: List[Sequence[np.ndarray]]     # of equal length
    left: str                              # written below the first image
    right: str                             # written below the last image
    name: str                              # written to the left of both


def captioned_grid(
        rows: Sequence[Tuple[str, Sequence[np.ndarray]]],  # caption, [S, S, 3] uint8 images
        side: int,                                 # shown size of every image, in pixels
        headings: Optional[Sequence[str]] = None,  # a text above each column; None: none
        columns: int = 1,                          # rows of the list that are shown side by side
        groups: Optional[Sequence[str]] = None,    # above the headings, evenly spread; None: none
        lines: int = LINES,                        # that a caption may take up
) -> Image.Image:
    """A PIL image of all rows."""
    letters = font(LETTER_SIZE)
    width = max(len(images) for _, images in rows) * (side + GAP) - GAP
    height = side + GAP + lines * LINE_HEIGHT + MARGIN // 2
    above = [texts for texts in (groups, headings) if texts]
    top = MARGIN + LINE_HEIGHT * len(above)
    down = -(-len(rows) // columns)
    sheet = Image.new('RGB', (MARGIN + columns * (width + MARGIN),
                              top + down * height + MARGIN // 2), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (caption, images) in enumerate(rows):
        left = MARGIN + (number // down) * (width + MARGIN)
        y = top + (number % down) * height
        for i, image in enumerate(images):
            sheet.paste(shown(image, side), (left + i * (side + GAP), y))
        if number % down == 0:
            for level, texts in enumerate(above):
                _write_above(pen, texts, left, MARGIN // 2 + level * LINE_HEIGHT, width)
        for i, line in enumerate(wrap(caption, letters, width, lines)):
            pen.text((left, y + side + GAP + i * LINE_HEIGHT), line, INK, letters)
    return sheet


def strip_grid(
        rows: Sequence[Strips],
        side: int,                # every image is shown at this size, in pixels
        headings: Sequence[str],  # a text above each step
        labels: Sequence[str],    # a text before each strip
) -> Image.Image:
    """A PIL image of interpolations, each with its strips and two texts below."""
    letters = font(LETTER_SIZE)
    before = MARGIN + int(max(letters.getlength(text) for text in
                              [*labels, *(row.name for row in rows)])) + MARGIN
    width = len(headings) * (side + GAP) - GAP
    height = len(labels) * (side + GAP) + LINES * LINE_HEIGHT + MARGIN
    top = MARGIN + LINE_HEIGHT
    sheet = Image.new('RGB', (before + width + MARGIN, top + len(rows) * height), PAPER)
    pen = ImageDraw.Draw(sheet)
    _write_above(pen, headings, before, MARGIN // 2, width)
    for number, row in enumerate(rows):
        y = top + number * height
        for strip, label in zip(row.strips, labels):
            pen.text((MARGIN, y + (side - LINE_HEIGHT) // 2), label, FAINT, letters)
            for i, image in enumerate(strip):
                sheet.paste(shown(image, side), (before + i * (side + GAP), y))
            y += side + GAP
        pen.text((MARGIN, y), row.name, FAINT, letters)
        half = (width - MARGIN) // 2 if row.right else width
        for i, line in enumerate(wrap(row.left, letters, half, LINES)):
            pen.text((before, y + i * LINE_HEIGHT), line, INK, letters)
        for i, line in enumerate(wrap(row.right, letters, half, LINES)):
            pen.text((before + width - letters.getlength(line), y + i * LINE_HEIGHT), line, INK,
                     letters)
    return sheet


def lines_of(
        captions: Sequence[str],
        images: int,  # side by side
        side: int,    # each is shown at this size, in pixels
) -> int:
    """Lines that the longest caption takes below so many images, at least 2 and at most 8."""
    width = images * (side + GAP) - GAP
    return max([LINES] + [len(wrap(text, font(LETTER_SIZE), width, 4 * LINES))
                          for text in captions])


def _write_above(pen: ImageDraw.ImageDraw, texts: Sequence[str], left: int, top: int,
                 width: int) -> None:
    """Texts evenly spread over a width, each cut to its share."""
    letters, share = font(LETTER_SIZE), (width + GAP) // len(texts)
    for i, text in enumerate(texts):
        for line in wrap(text, letters, share - GAP, 1):
            pen.text((left + i * share, top), line, FAINT, letters)


def shown(
        pixels: np.ndarray,  # [S, S, 3] uint8
        side: int,           # in pixels
) -> Image.Image:
    """The image as a PIL image of that size."""
    image = Image.fromarray(pixels)
    if image.size == (side, side):
        return image
    return image.resize((side, side), Image.BICUBIC if image.size[0] < side else Image.LANCZOS)
