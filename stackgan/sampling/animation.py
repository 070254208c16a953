"""Ways as animated GIFs: forward and back without end, both stages side by side, captioned."""

import os

from PIL import Image, ImageDraw

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
from stackgan.sampling.sheets import read_images, stage_names
from stackgan.text_rendering import font, wrap

FOLDER = 'animations'
ANIMATIONS = 16                    # at most
STEP_MS, END_MS = 140, 900         # how long a frame stands: on the way, and at both ends
SIDES = (256, 192, 128)            # of an image: the largest with which the frames fit
MAX_PIXELS = 10 * 1000 * 1000     # of all frames of a file; a pixel takes 0.3 to 1 byte
BAR = 3                            # height of the line that shows how far it is


def write_animations(
        folder,           # with the files of `index`; gets animations/
        plan,             # Plan of ways
        index,            # lines of samples.jsonl, one for each shot
):
    """Writes a GIF for each of the first rows; returns what there is, in words."""
    os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
    rows = plan.rows[:ANIMATIONS]
    with Progress('animations', len(rows), 'files') as progress:
        for number, (path, samples) in enumerate(rows):
            frames = frames_of(path, [read_images(folder, index[sample]) for sample in samples],
                               stage_names(index[0]))
            write_gif(os.path.join(folder, FOLDER, '%05d.gif' % number), frames)
            progress.advance()
    return '{}/{}'.format(FOLDER, ' (%d of %d rows)' % (len(rows), len(plan.rows))
                      if len(rows) < len(plan.rows) else '')


def frames_of(
        path,             # Path
        steps,            # [[image of each stage]], from one end to the other
        names,            # of the stages
):
    """PIL images, one a step."""
    side = [side for side in SIDES if _pixels(side, len(names), len(steps)) <= MAX_PIXELS
            or side == SIDES[-1]][0]
    return [_frame(path, images, names, side, step / float(len(steps) - 1))
            for step, images in enumerate(steps)]


def _pixels(side, stages, steps):
    """Of all frames; the texts are taken as four lines."""
    width, height = 2 * MARGIN + stages * (side + GAP), side + 6 * LINE_HEIGHT + 3 * MARGIN
    return width * height * max(1, 2 * steps - 2)


def _frame(path, images, names, side, place):
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


def _draw_bar(pen, y, width, place):
    """How far it is on the way."""
    pen.rectangle((MARGIN, y, MARGIN + width - 1, y + BAR - 1), _mixed(0.15))
    end = MARGIN + BAR + int(round(place * (width - 1 - BAR)))
    pen.rectangle((MARGIN, y, end, y + BAR - 1), FAINT)


def _texts_of(path, letters, width, place):
    """[(lines, ink)]: of two captions the nearer is the darker; what holds all the way is black."""
    lines = LINES if width > 2 * SIDES[-1] else 2 * LINES
    seeds = ['seed %d' % seed for seed in path.seeds]
    texts = list(zip(path.captions, _shares(path.captions, place)))
    if len(seeds) == 2:
        seeds = ['{}, {:.0f} %'.format(' to '.join(seeds), 100 * place)]
    texts += [(text, 0.5) for text in seeds]
    return [(wrap(text, letters, width, lines), _mixed(share)) for text, share in texts]


def _shares(captions, place):
    return (1.0 - place, place) if len(captions) == 2 else (1.0,)


def _mixed(share):
    """A grey from faint (0) to ink (1)."""
    pale = 200
    return tuple(int(round(pale + share * (ink - pale))) for ink in INK)


def write_gif(
        path,             # file
        frames,           # PIL images of one size, from one end of a way to the other
):
    """Writes them forward and back, without end."""
    order = list(range(len(frames))) + list(range(len(frames) - 2, 0, -1))
    times = [END_MS if place in (0, len(frames) - 1) else STEP_MS for place in order]
    coloured = [_with_palette(frame) for frame in frames]
    with atomic_write(path) as stream:
        coloured[0].save(stream, 'GIF', save_all=True, loop=0, duration=times, optimize=False,
                         append_images=[coloured[place] for place in order[1:]])


def _with_palette(frame):
    """256 colours chosen for this frame, and the others dithered from them.

    An octree keeps small spots of a colour of their own, which a median cut drops, and takes a
    hundredth of a second; one palette for all frames would save nothing that is worth it.
    """
    return frame.quantize(palette=frame.quantize(256, Image.FASTOCTREE),
                          dither=Image.FLOYDSTEINBERG)
