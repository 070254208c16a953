"""Grids of images, a row a caption, the caption written under its row; ways as strips."""

from typing import Any, List, NamedTuple

from PIL import Image, ImageDraw

from stackgan.text_rendering import font, wrap

MARGIN, GAP = 12, 4
LETTER_SIZE, LINE_HEIGHT, LINES = 14, 19, 2
PAPER, INK, FAINT = (255, 255, 255), (34, 34, 34), (120, 120, 120)


class Strips(NamedTuple):
    """Images that belong together step by step, in strips one above the other."""

    strips: List[Any]     # of as many images each
    left: str             # written under its beginning
    right: str            # written under its end
    name: str             # written before both


def captioned_grid(
        rows,             # [(caption, [image, ...])]; images are [S, S, 3] uint8 of any S
        side,             # every image is shown this large, in pixels
        headings=None,    # a text above each column; None: none
        columns=1,        # rows of the list that stand side by side
        groups=None,      # texts above the headings, each above as many columns; None: none
        lines=LINES,      # that a caption may take
):
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
        rows,             # [Strips]
        side,             # every image is shown this large, in pixels
        headings,         # a text above each step
        labels,           # a text before each strip
):
    """A PIL image of ways, each with its strips and two texts under it."""
    letters = font(LETTER_SIZE)
    before = MARGIN + int(max(letters.getlength(text) for text in
                              labels + [row.name for row in rows])) + MARGIN
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
        captions,         # texts
        images,           # beside each other
        side,             # each is shown this large, in pixels
):
    """Lines that the longest of them takes under so many images, at least 2 and at most 8."""
    width = images * (side + GAP) - GAP
    return max([LINES] + [len(wrap(text, font(LETTER_SIZE), width, 4 * LINES))
                          for text in captions])


def _write_above(pen, texts, left, top, width):
    """Texts evenly spread over a width, each cut to its share."""
    letters, share = font(LETTER_SIZE), (width + GAP) // len(texts)
    for i, text in enumerate(texts):
        for line in wrap(text, letters, share - GAP, 1):
            pen.text((left + i * share, top), line, FAINT, letters)


def shown(
        pixels,           # [S, S, 3] uint8
        side,             # wanted, in pixels
):
    """The image as a PIL image of that size."""
    image = Image.fromarray(pixels)
    if image.size == (side, side):
        return image
    return image.resize((side, side), Image.BICUBIC if image.size[0] < side else Image.LANCZOS)
