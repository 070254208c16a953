"""Grids of pictures, a row a caption, the caption written under its row."""

from PIL import Image, ImageDraw

from stackgan.lettering import font, wrap

MARGIN, GAP = 12, 4
LETTER_SIZE, LINE_HEIGHT, LINES = 14, 19, 2
PAPER, INK, FAINT = (255, 255, 255), (34, 34, 34), (120, 120, 120)


def captioned_grid(
        rows,             # [(caption, [picture, ...])]; pictures are [S, S, 3] uint8 of any S
        side,             # every picture is shown this large, in pixels
        headings=None,    # a text above each column; None: none
        columns=1,        # rows of the list that stand side by side
):
    """A PIL image of all rows."""
    letters = font(LETTER_SIZE)
    width = max(len(pictures) for _, pictures in rows) * (side + GAP) - GAP
    height = side + GAP + LINES * LINE_HEIGHT + MARGIN // 2
    top = MARGIN + (LINE_HEIGHT if headings else 0)
    down = -(-len(rows) // columns)
    sheet = Image.new('RGB', (MARGIN + columns * (width + MARGIN), top + down * height + MARGIN // 2),
                      PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (caption, pictures) in enumerate(rows):
        left = MARGIN + (number // down) * (width + MARGIN)
        y = top + (number % down) * height
        for i, picture in enumerate(pictures):
            x = left + i * (side + GAP)
            sheet.paste(_shown(picture, side), (x, y))
            if headings and number % down == 0:
                pen.text((x, MARGIN // 2), headings[i], FAINT, letters)
        for i, line in enumerate(wrap(caption, letters, width, LINES)):
            pen.text((left, y + side + GAP + i * LINE_HEIGHT), line, INK, letters)
    return sheet


def _shown(picture, side):
    image = Image.fromarray(picture)
    if image.size == (side, side):
        return image
    return image.resize((side, side), Image.BICUBIC if image.size[0] < side else Image.LANCZOS)
