"""grid.png: the images of a plan, read back from their files, as many as fit on a page."""

import os
from typing import Any, Dict, List, Tuple

import numpy as np
from PIL import Image

from stackgan.data.images import require_image
from stackgan.files import atomic_write
from stackgan.sampling.grids import LINES, Strips, captioned_grid, lines_of, strip_grid
from stackgan.sampling.plans import Path, Plan

Line = Dict[str, Any]              # of samples.jsonl

GRID = 'grid.png'
ROWS, COLUMNS = 16, 8              # of a grid, at most; Stage-I and Stage-II are one column
PATH_ROWS, PATH_COLUMNS = 8, 12    # of a grid of interpolations
SIDE, SMALL_SIDE = 192, 128        # of an image in it: up to 8 side by side, and more
PATH_SIDE = 128


def write_grid(
        folder: str,        # with the files of `index`; gets grid.png
        plan: Plan,
        index: List[Line],  # lines of samples.jsonl, one for each sample
) -> str:
    """Writes the grid; returns a description of what it shows."""
    sheet, rows, columns = (_path_sheet if plan.is_path else _sheet)(folder, plan, index)
    with atomic_write(os.path.join(folder, GRID)) as stream:
        sheet.save(stream, 'PNG')
    shows = [f'{count} of {of} {what}' for count, of, what in (
        (rows, len(plan.rows), 'rows'), (columns, len(plan.rows[0][1]), 'columns')) if count < of]
    return GRID + (f" ({' and '.join(shows)})" if shows else '')


def _sheet(folder: str, plan: Plan, index: List[Line]) -> Tuple[Image.Image, int, int]:
    """Rows of copies or seeds; as many copies as every row has."""
    rows = plan.rows[:ROWS]
    columns = min([COLUMNS] + [len(samples) for _, samples in rows])
    images = [(text, [image for number in samples[:columns]
                      for image in read_images(folder, index[number])])
              for text, samples in rows]
    names = stage_names(index[0]) * columns
    side_by_side = max(1, min(4, 8 // len(names))) if len(rows) > 3 else 1
    groups = plan.headings[:columns] if plan.headings else None
    side = SIDE if len(names) <= 8 else SMALL_SIDE
    lines = LINES if side_by_side > 1 else lines_of([text for text, _ in rows], len(names), side)
    sheet = captioned_grid(images, side, names, side_by_side, groups, lines)
    return sheet, len(rows), columns


def _path_sheet(folder: str, plan: Plan, index: List[Line]) -> Tuple[Image.Image, int, int]:
    """Rows of interpolations, with evenly chosen steps that include both ends."""
    rows, headings = plan.rows[:PATH_ROWS], plan.headings or []
    steps = len(headings)
    chosen = np.unique(np.linspace(0, steps - 1, min(steps, PATH_COLUMNS)).round().astype(int))
    strips = []
    for path, samples in rows:
        images = [read_images(folder, index[samples[step]]) for step in chosen]
        strips.append(Strips(list(zip(*images)), *_texts(path)))
    sheet = strip_grid(strips, PATH_SIDE, [headings[step] for step in chosen],
                       stage_names(index[0]))
    return sheet, len(rows), len(chosen)


def _texts(path: Path) -> Tuple[str, str, str]:
    """Texts of an interpolation: below its first image, below its last, and to the left."""
    left, right = (path.captions + ('',))[:2]
    return left, right, 'seed ' + ' to '.join(map(str, path.seeds))


def stage_names(
        line: Line,  # of the index
) -> List[str]:
    """['Stage-I', 'Stage-II'], or the first alone."""
    return ['Stage-I', 'Stage-II'][:len(line['files'])]


def read_images(
        folder: str,  # of the samples
        line: Line,   # of the index
) -> List[np.ndarray]:
    """[[S, S, 3] uint8] of its files, the smallest first."""
    return [np.asarray(require_image(os.path.join(folder, name)))
            for _, name in sorted(line['files'].items(), key=lambda item: int(item[0]))]
