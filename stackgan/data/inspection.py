"""What a raw folder holds, before anything is prepared: layout, counts, odd files, a sheet."""

import os
import re
from collections import Counter
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from PIL import Image, ImageDraw

from stackgan.config.schema import Data, Split
from stackgan.data.contact_sheet import GAP, INK, LINE, PALE, PAPER
from stackgan.data.image_colours import BadImage
from stackgan.data.images import read_image
from stackgan.data.layouts import Plan, read_plan
from stackgan.data.layouts.common import SPLITS, Item, some
from stackgan.data.layouts.detection import Detected, detect, hint_of
from stackgan.data.walking import walk
from stackgan.errors import InputError
from stackgan.files import atomic_write
from stackgan.text_rendering import font, wrap

SHOWN = 10                   # captions on the sheet, with their images
TRIED = 40                   # images opened at most to find that many
SIDE = 200                   # of an image on the sheet, in pixels
CAPTION_LINES = 4
COLUMNS = 5
TEST_SHARE = 0.1             # as configs/folder.yaml
LATIN = re.compile('[0-9A-Za-z]')
FAULTS_SHOWN = 5


class Shown(NamedTuple):
    """An image of the sheet."""

    item: Item
    image: Image.Image       # RGB, upright, at most SIDE x SIDE


class Inspection(NamedTuple):
    """What `inspect` found."""

    detected: Detected
    lines: List[str]                 # for people
    settings: Dict[str, Any]         # the section `data` that fits, without `raw` and `name`
    shown: List[Shown]


def inspect(
        raw: str,                        # folder of a raw dataset
        layout: Optional[str] = None,    # None: detected
) -> Inspection:
    """`Inspection` of a folder. Raises InputError for one that fits no layout or is malformed."""
    if not os.path.isdir(raw):
        raise InputError(f'{raw}: not a folder that can be read')
    tree = walk(raw)
    found = detect(raw, tree)
    if layout:
        found = [each for each in found if each.layout == layout
                 ] or [Detected(layout, 'as you say')]
    if not found:
        raise InputError(f'{raw}: fits no layout: {hint_of(tree)}. docs/datasets.md lists them')
    detected = found[0]
    lines = [f'layout {detected.layout}, because of {detected.why}']
    others = ', '.join(f'{each.layout} ({each.why})' for each in found[1:]
                       if each.layout != 'sidecars')       # they are beside images/ files as well
    if others:
        lines.append(f'it also fits: {others}; choose with --layout')
    if detected.is_packed:
        lines.append('its archives are unpacked by preprocess; no counts before that')
        return Inspection(detected, lines, _section(_settings(raw, detected.layout)), [])
    settings, plan = _plan(raw, detected.layout)
    items = [item for split in SPLITS for item in plan.splits[split]]
    shown, faults = _shown(raw, [item for item in items if not item.problem])
    lines += _counts(plan) + _facts(items, shown) + _odd(items, faults)
    has_splits = any(remark.startswith('splits by the names') for remark in plan.remarks)
    remarks = [remark.replace('; data.split.by: ratio is not used', '')
               for remark in plan.remarks]
    return Inspection(detected, lines + remarks, _section(settings, has_splits), shown)


def _settings(raw: str, layout: str) -> Data:
    """The settings with which a layout is read first: as the dataset was published."""
    published = layout in ('cub', 'flowers')
    return Data(layout=layout, crop='box' if layout == 'cub' else 'centre',
                split=Split(by='lists') if published else Split(test_share=TEST_SHARE))


def _plan(raw: str, layout: str) -> Tuple[Data, Plan]:
    """(settings that fit, the plan): the zero-shot lists or a column split if there are such."""
    first = _settings(raw, layout)
    tried = [first, Data(layout=layout, crop='centre', split=Split(by='class'))]
    if layout == 'folder':
        tried = [Data(layout=layout, split=Split(by='lists')), first]
    if layout not in ('cub', 'flowers', 'folder'):
        tried = [first]
    for settings in tried[:-1]:
        try:
            return settings, read_plan(raw, settings)
        except InputError:
            pass                     # the last one's message is shown
    return tried[-1], read_plan(raw, tried[-1])


def _section(settings: Data, has_splits: bool = False) -> Dict[str, Any]:
    """The keys of `data` that the configuration must give."""
    by: Dict[str, Any] = {'by': settings.split.by}
    if settings.split.by == 'ratio' and not has_splits:
        by['test_share'] = settings.split.test_share
    return {'layout': settings.layout, 'crop': settings.crop, 'on_bad_image': 'skip', 'split': by}


def _counts(plan: Plan) -> List[str]:
    lines = []
    for split in SPLITS:
        items = plan.splits[split]
        captions = sum(len(item.captions) for item in items)
        classes = len({item.class_name for item in items})
        lines.append(f'{split}: {len(items)} images, {captions} captions, {classes} classes')
    return lines


def _facts(items: Sequence[Item], shown: Sequence[Shown]) -> List[str]:
    counts = Counter(len(item.captions) for item in items if not item.problem)
    texts = [caption for item in items for caption in item.captions]
    lines = ['captions per image: ' + ', '.join(
        f'{count} ({images} images)' for count, images in sorted(counts.items())[:6])]
    words = [len(text.split()) for text in texts]
    if words:
        lines.append(f'words per caption: {min(words)} to {max(words)}, mean '
                     f'{sum(words) / len(words):.1f}')
    foreign = sum(not LATIN.search(text) for text in texts)
    if foreign:
        lines.append(f'captions without a Latin letter or digit: {foreign}; the encoder that is '
                     'trained here reads Latin letters only (docs/encoders.md lists others)')
    return lines


def _odd(items: Sequence[Item], faults: Sequence[str]) -> List[str]:
    """Images that cannot be used, as far as that is known before all are read."""
    found = [f'{item.path}: {item.problem}' for item in items if item.problem] + list(faults)
    if not found:
        return ['odd files: none found; preprocess reads every image']
    more = [f'... and {len(found) - FAULTS_SHOWN} more'] if len(found) > FAULTS_SHOWN else []
    return [f'images that cannot be used: {len(found)}'] + [
        '  ' + line for line in found[:FAULTS_SHOWN] + more]


def _shown(raw: str, items: Sequence[Item]) -> Tuple[List[Shown], List[str]]:
    """(images for the sheet, evenly spread; faults of those that could not be opened)."""
    shown: List[Shown] = []
    faults: List[str] = []
    step = max(1, len(items) // SHOWN)
    order = [*items[::step], *items[1::step]] if step > 1 else list(items)
    for item in order[:TRIED]:
        try:
            image = read_image(os.path.join(raw, item.path))
        except BadImage as error:
            faults.append(f'{item.path}: {error}')
            continue
        image.thumbnail((SIDE, SIDE))
        shown.append(Shown(item, image))
        if len(shown) == SHOWN:
            break
    return shown, faults


def write_sheet(
        path: str,               # PNG file to write
        title: str,
        shown: Sequence[Shown],
) -> None:
    """Draws the images with their class and their first caption below each."""
    rows = -(-len(shown) // COLUMNS)
    below = LINE * (1 + CAPTION_LINES) + 16
    sheet = Image.new('RGB', (GAP + COLUMNS * (SIDE + GAP), 48 + rows * (SIDE + below) + GAP),
                      PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 12), title, font=font(20), fill=INK)
    for place, (item, image) in enumerate(shown):
        row, column = divmod(place, COLUMNS)
        left, upper = GAP + column * (SIDE + GAP), 48 + row * (SIDE + below)
        sheet.paste(image, (left + (SIDE - image.width) // 2, upper + SIDE - image.height))
        _write_below(draw, left, upper + SIDE + 6, item)
    with atomic_write(path) as stream:
        sheet.save(stream, 'PNG', compress_level=3)


def _write_below(draw: ImageDraw.ImageDraw, left: int, upper: int, item: Item) -> None:
    heading = wrap(item.class_name, font(13), SIDE, 1)
    draw.text((left, upper), some(heading), font=font(13), fill=PALE)
    for number, line in enumerate(wrap(item.captions[0], font(14), SIDE, CAPTION_LINES), 1):
        draw.text((left, upper + number * LINE), line, font=font(14), fill=INK)
