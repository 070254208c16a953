"""A sheet of what the models will see: stored images with their classes and captions."""

from typing import List, Sequence

import numpy as np
from PIL import Image, ImageDraw

from stackgan.data.prepared import HIGH, LOW, SPLITS, Dataset, Split
from stackgan.files import atomic_write
from stackgan.text_rendering import font, wrap

COLUMNS = 6
ROWS = {'train': 2, 'test': 1}
GAP = 24                             # between two images and around all
FRAME = 4                            # white line around the small image
CAPTION_LINES = 3
LINE = 21                            # height of a line of text in pixels
TEXT = 10 + LINE * (1 + CAPTION_LINES) + 12      # below an image
HEADING = 52
PAPER, INK, PALE = (255, 255, 255), (32, 32, 32), (110, 110, 110)


def write_contact_sheet(
        path: str,               # PNG file to write
        folder: str,             # prepared dataset; dataset.json may still be missing
        name: str,               # of the dataset
        classes: List[str],      # names in the order of their ids
) -> None:
    """Draws images of both splits at 304 px, each with its 76 px version in a corner."""
    dataset = Dataset(folder, name, classes, None)
    parts = []
    for split in SPLITS:
        reader = Split(dataset, split)
        chosen = choose(reader.class_ids, COLUMNS * ROWS[split])
        parts.append((split, reader, chosen))
    width = GAP + COLUMNS * (HIGH + GAP)
    heights = [HEADING + -(-len(chosen) // COLUMNS) * (HIGH + TEXT) for _, _, chosen in parts]
    sheet = Image.new('RGB', (width, sum(heights) + GAP), PAPER)
    top = 0
    for (split, reader, chosen), height in zip(parts, heights):
        _draw_split(sheet, top, f'{name}: {split}', reader, chosen, classes)
        top += height
    with atomic_write(path) as stream:
        sheet.save(stream, 'PNG', compress_level=3)


def choose(
        class_ids: Sequence[int],    # of each image
        count: int,
) -> List[int]:
    """At most `count` images, ascending, evenly spread over as many classes as possible."""
    class_ids = np.asarray(class_ids)
    images = np.argsort(class_ids, kind='stable')
    groups = np.split(images, np.flatnonzero(np.diff(class_ids[images])) + 1)
    picked = _spread(groups, count)
    chosen = [_spread(group, 1)[0] for group in picked]
    if len(chosen) < count:
        rest = np.setdiff1d(np.arange(len(class_ids)), chosen)
        chosen += list(_spread(rest, count - len(chosen)))
    return sorted(int(image) for image in chosen)


def _spread(values: Sequence, count: int) -> list:
    """At most `count` of the values, evenly spaced."""
    if len(values) <= count:
        return list(values)
    return [values[int((number + 0.5) * len(values) / count)] for number in range(count)]


def _draw_split(sheet: Image.Image, top: int, title: str, reader: Split, chosen: List[int],
                classes: List[str]) -> None:
    draw = ImageDraw.Draw(sheet)
    title = f'{title}, {len(chosen)} of {len(reader)} images'
    draw.text((GAP, top + 16), title, font=font(24), fill=INK)
    items = reader.items()
    for place, index in enumerate(chosen):
        row, column = divmod(place, COLUMNS)
        left = GAP + column * (HIGH + GAP)
        upper = top + HEADING + row * (HIGH + TEXT)
        _draw_images(sheet, reader, index, left, upper)
        captions = items[index]['captions']
        _write_below(draw, left, upper + HIGH + 10, classes[items[index]['class_id']], captions)


def _draw_images(sheet: Image.Image, reader: Split, index: int, left: int, upper: int) -> None:
    sheet.paste(Image.fromarray(reader.image(index, HIGH)), (left, upper))
    corner = (left + HIGH - LOW, upper + HIGH - LOW)
    sheet.paste(PAPER, (corner[0] - FRAME, corner[1] - FRAME, left + HIGH, upper + HIGH))
    sheet.paste(Image.fromarray(reader.image(index, LOW)), corner)


def _write_below(draw: ImageDraw.ImageDraw, left: int, upper: int, class_name: str,
                 captions: List[str]) -> None:
    heading = wrap(class_name, font(15), HIGH, 1)
    draw.text((left, upper), heading[0] if heading else '', font=font(15), fill=PALE)
    for number, line in enumerate(wrap(captions[0], font(15), HIGH, CAPTION_LINES), 1):
        draw.text((left, upper + number * LINE), line, font=font(15), fill=INK)
