"""Samples beside their nearest training images, to see what a generator memorised.

Real images appear in nearest.png only; 64/ and 256/ hold generated ones.
"""

import logging
import os
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw

from stackgan.data.prepared import Split
from stackgan.files import atomic_write, write_json, write_json_lines
from stackgan.progress import Progress
from stackgan.sampling.grids import FAINT, GAP, INK, MARGIN, PAPER, shown
from stackgan.sampling.nearest import (
    DISTANCE,
    GROUP,
    compared,
    nearest,
    training_image,
    training_shown,
)
from stackgan.sampling.sheets import Line, read_images, stage_names
from stackgan.text_rendering import font, wrap

logger = logging.getLogger(__name__)

SHEET, FACTS = 'nearest.png', 'nearest.json'
ROWS = 12                          # of the sheet, at most
SHOWN_SIDE = 160
LETTER_SIZE, LINE_HEIGHT, LINES = 12, 16, 5     # below each image
COMPARED = 200                     # training images compared with the rest of the training set


def add_nearest(
        folder: str,        # with samples; gets nearest.png, nearest.json and more in samples.jsonl
        index: List[Line],  # lines of samples.jsonl
        split: Split,       # the training part
        count: int,         # neighbours of each sample
) -> List[Line]:
    """Writes the sheet and its facts; returns the lines of samples.jsonl, each with `nearest`."""
    items = split.items()
    found: List[tuple] = []
    chosen = np.unique(np.linspace(0, len(split) - 1, min(len(split), COMPARED)).astype(np.int64))
    passes = -(-len(index) // GROUP) + 1
    with Progress('nearest', passes * len(split), 'training images') as progress:
        for start in range(0, len(index), GROUP):
            samples = np.stack([compared(read_images(folder, line)[-1])
                                for line in index[start:start + GROUP]])
            found += list(zip(*nearest(samples, split, count, None, progress.advance)))
        others = nearest(np.stack([training_image(split, each) for each in chosen]), split, 1,
                         chosen, progress.advance).distances[:, 0]
    index = [dict(line, nearest=[{'image': items[image]['name'], 'distance': round(distance, 3),
                                  'mirrored': bool(turned)}
                                 for image, distance, turned in zip(*neighbours)])
             for line, neighbours in zip(index, found)]
    write_json_lines(os.path.join(folder, 'samples.jsonl'), index)
    facts = _facts(index, split, others)
    write_json(os.path.join(folder, FACTS), facts)
    _write_sheet(folder, index[:ROWS], found[:ROWS], split, items, facts)
    logger.info(_describe(facts, len(index)))
    return index


def _facts(index: List[Line], split: Split, others: np.ndarray) -> Dict[str, Any]:
    own = [line['nearest'][0]['distance'] for line in index]
    return {'distance': DISTANCE, 'compared': stage_names(index[0])[-1],
            'training_pictures': len(split),
            'samples': dict(_summary(own), count=len(own)),
            'training_to_nearest_other': dict(_summary(others), count=len(others))}


def _summary(distances: Sequence[float]) -> Dict[str, float]:
    return {'median': round(float(np.median(distances)), 3),
            'least': round(float(np.min(distances)), 3)}


def _describe(facts: Dict[str, Any], count: int) -> str:
    samples, others = facts['samples'], facts['training_to_nearest_other']
    return (f"nearest of {facts['training_pictures']} training images: median distance "
            f"{samples['median']:.1f}, minimum {samples['least']:.1f}; from {others['count']} "
            f"training images to their nearest other one: {others['median']:.1f} and "
            f"{others['least']:.1f}; {SHEET} shows {min(count, ROWS)} of {count} samples")


def _write_sheet(folder: str, lines: List[Line], found: List[tuple], split: Split,
                 items: List[dict], facts: Dict[str, Any]) -> None:
    columns = 1 + len(lines[0]['nearest'])
    step, height = SHOWN_SIDE + GAP, SHOWN_SIDE + GAP + LINES * LINE_HEIGHT + MARGIN
    width, letters = columns * step - GAP, font(LETTER_SIZE)
    others = facts['training_to_nearest_other']
    note = wrap('Distance: RMS difference of pixel values at 64 px. Between a training image and '
                f"its nearest other one: median {others['median']:.1f}, minimum "
                f"{others['least']:.1f}.", letters, width, LINES)
    top = MARGIN + (len(note) + 1) * LINE_HEIGHT
    sheet = Image.new('RGB', (2 * MARGIN + width, top + len(lines) * height), PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, text in enumerate(note):
        pen.text((MARGIN, MARGIN // 2 + i * LINE_HEIGHT), text, INK, letters)
    headings = ['sample', 'nearest in training'] + [f'{place}.' for place in range(2, columns)]
    for i, heading in enumerate(headings):
        pen.text((MARGIN + i * step, top - LINE_HEIGHT - 2), heading, FAINT, letters)
    for row, (line, neighbours) in enumerate(zip(lines, found)):
        y = top + row * height
        _write_cell(sheet, pen, (MARGIN, y), read_images(folder, line)[-1],
                    _noise_of(line), _caption_of(line))
        for i, (image, distance, turned) in enumerate(zip(*neighbours)):
            _write_cell(sheet, pen, (MARGIN + (i + 1) * step, y),
                        training_shown(split, image, turned),
                        f'{distance:.1f}' + (', mirrored' if turned else ''),
                        _end_of(os.path.basename(items[image]['name'])),
                        items[image]['captions'][0])
    with atomic_write(os.path.join(folder, SHEET)) as stream:
        sheet.save(stream, 'PNG')


def _caption_of(line: Line) -> str:
    other = line.get('other_caption')
    return line['caption'] + (f' \u2192 {other}' if other else '')


def _noise_of(line: Line) -> str:
    seeds = f"seed {line['seed']}"
    if 'other_seed' in line:
        seeds += f" to {line['other_seed']}"
    if 'position' in line:
        return f"{seeds}, {100 * line['position']:.0f} %"
    return seeds + (f", copy {line['copy']}" if line['copy'] else '')


def _end_of(name: str) -> str:
    """As much of the end of a name as fits: it tells the images of a class apart."""
    letters, cut = font(LETTER_SIZE), name
    while letters.getlength(cut) > SHOWN_SIDE:
        cut = '\u2026' + cut[2:]
    return cut


def _write_cell(sheet: Image.Image, pen: ImageDraw.ImageDraw, place: Tuple[int, int],
                image: np.ndarray, *texts: str) -> None:
    """An image with texts below it; the last text takes the remaining lines."""
    letters = font(LETTER_SIZE)
    sheet.paste(shown(np.ascontiguousarray(image), SHOWN_SIDE), place)
    y = place[1] + SHOWN_SIDE + GAP // 2
    lines = [(line, FAINT if text is texts[0] else INK) for text in texts[:-1]
             for line in wrap(text, letters, SHOWN_SIDE, 1)]
    lines += [(line, INK) for line in wrap(texts[-1], letters, SHOWN_SIDE, LINES - len(lines))]
    for number, (line, ink) in enumerate(lines):
        pen.text((place[0], y + number * LINE_HEIGHT), line, ink, letters)
