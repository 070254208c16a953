"""Samples with the nearest training images beside them, to see what a generator memorised.

The real images are in nearest.png alone: 64/ and 256/ hold generated ones only.
"""

import logging
import os

import numpy as np
from PIL import Image, ImageDraw

from stackgan.data.images import BICUBIC
from stackgan.data.prepared import HIGH, LOW
from stackgan.files import atomic_write, write_json, write_json_lines
from stackgan.progress import Progress
from stackgan.sampling.grids import FAINT, GAP, INK, MARGIN, PAPER, shown
from stackgan.sampling.nearest import DISTANCE, GROUP, SIDE, nearest, training_image
from stackgan.sampling.sheets import read_images, stage_names
from stackgan.text_rendering import font, wrap

logger = logging.getLogger(__name__)

SHEET, FACTS = 'nearest.png', 'nearest.json'
ROWS = 12                          # of the sheet, at most
SHOWN_SIDE = 160
LETTER_SIZE, LINE_HEIGHT, LINES = 12, 16, 5     # below each image
COMPARED = 200                     # training images whose nearest other one is sought


def add_nearest(
        folder,           # with samples; gets nearest.png, nearest.json and more in samples.jsonl
        index,            # lines of samples.jsonl
        split,            # data.prepared.Split, the training part
        count,            # neighbours of each sample
):
    """Finds, writes and reports; returns the lines of the index with `nearest` in each."""
    items, found = split.items(), []
    chosen = np.unique(np.linspace(0, len(split) - 1, min(len(split), COMPARED)).astype(np.int64))
    passes = -(-len(index) // GROUP) + 1
    with Progress('nearest', passes * len(split), 'training images') as progress:
        for start in range(0, len(index), GROUP):
            samples = np.stack([_small(folder, line) for line in index[start:start + GROUP]])
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


def _small(folder, line):
    """[64, 64, 3] uint8 of the largest image of a line, shrunk as `preprocess` does."""
    image = Image.fromarray(read_images(folder, line)[-1])
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, image.size[1]), BICUBIC).resize((SIDE, SIDE), BICUBIC)
    return np.asarray(image)


def _facts(index, split, others):
    own = [line['nearest'][0]['distance'] for line in index]
    return {'distance': DISTANCE, 'compared': stage_names(index[0])[-1],
            'training_pictures': len(split),
            'samples': dict(_summary(own), count=len(own)),
            'training_to_nearest_other': dict(_summary(others), count=len(others))}


def _summary(distances):
    return {'median': round(float(np.median(distances)), 3),
            'least': round(float(np.min(distances)), 3)}


def _describe(facts, count):
    samples, others = facts['samples'], facts['training_to_nearest_other']
    return ('nearest of %d training images: median distance %.1f, least %.1f; of %d training '
            'images to their nearest other one %.1f and %.1f; %s shows %d of %d samples'
            % (facts['training_pictures'], samples['median'], samples['least'], others['count'],
               others['median'], others['least'], SHEET, min(count, ROWS), count))


def _write_sheet(folder, lines, found, split, items, facts):
    columns = 1 + len(lines[0]['nearest'])
    step, height = SHOWN_SIDE + GAP, SHOWN_SIDE + GAP + LINES * LINE_HEIGHT + MARGIN
    width, letters = columns * step - GAP, font(LETTER_SIZE)
    note = wrap('Distance: RMS difference of pixel values at 64 px. Between a training image and '
                'its nearest other one: median {median:.1f}, least {least:.1f}.'.format(**facts['training_to_nearest_other']), letters, width, LINES)
    top = MARGIN + (len(note) + 1) * LINE_HEIGHT
    sheet = Image.new('RGB', (2 * MARGIN + width, top + len(lines) * height), PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, line in enumerate(note):
        pen.text((MARGIN, MARGIN // 2 + i * LINE_HEIGHT), line, INK, letters)
    for i, heading in enumerate(['sample', 'nearest in training'] + [
            '%d.' % place for place in range(2, columns)]):
        pen.text((MARGIN + i * step, top - LINE_HEIGHT - 2), heading, FAINT, letters)
    for row, (line, neighbours) in enumerate(zip(lines, found)):
        y = top + row * height
        _write_cell(sheet, pen, (MARGIN, y), read_images(folder, line)[-1],
                    _noise_of(line), _caption_of(line))
        for i, (image, distance, turned) in enumerate(zip(*neighbours)):
            _write_cell(sheet, pen, (MARGIN + (i + 1) * step, y),
                        _training_shown(split, image, turned),
                        '{:.1f}{}'.format(distance, ', mirrored' if turned else ''),
                        _end_of(os.path.basename(items[image]['name'])),
                        items[image]['captions'][0])
    with atomic_write(os.path.join(folder, SHEET)) as stream:
        sheet.save(stream, 'PNG')


def _training_shown(split, image, turned):
    """The part of the 304 px image that was compared at 64 px, turned as it was."""
    side = HIGH * SIDE // LOW
    first = (HIGH - side) // 2
    pixels = split.image(image, HIGH, first, side)[:, first:first + side]
    return pixels[:, ::-1] if turned else pixels


def _caption_of(line):
    other = line.get('other_caption')
    return line['caption'] + (f' \u2192 {other}' if other else '')


def _noise_of(line):
    seeds = 'seed %d' % line['seed']
    if 'other_seed' in line:
        seeds += ' to %d' % line['other_seed']
    if 'position' in line:
        return '{}, {:.0f} %'.format(seeds, 100 * line['position'])
    return seeds + (', copy %d' % line['copy'] if line['copy'] else '')


def _end_of(name):
    """The end of a name, which tells the images of a class apart, as far as it fits."""
    letters, cut = font(LETTER_SIZE), name
    while letters.getlength(cut) > SHOWN_SIDE:
        cut = '\u2026' + cut[2:]
    return cut


def _write_cell(sheet, pen, place, image, *texts):
    """An image with texts below it: the last one on as many lines as are left."""
    letters = font(LETTER_SIZE)
    sheet.paste(shown(np.ascontiguousarray(image), SHOWN_SIDE), place)
    y = place[1] + SHOWN_SIDE + GAP // 2
    lines = [(line, FAINT if text is texts[0] else INK) for text in texts[:-1]
             for line in wrap(text, letters, SHOWN_SIDE, 1)]
    lines += [(line, INK) for line in wrap(texts[-1], letters, SHOWN_SIDE, LINES - len(lines))]
    for number, (line, ink) in enumerate(lines):
        pen.text((place[0], y + number * LINE_HEIGHT), line, ink, letters)
