"""Writes a plan: a PNG for each image, an index, grids, animations. Never a real image."""

import logging
import os
from typing import Any, Dict, List, Sequence

import numpy as np
from PIL import Image

from stackgan.files import atomic_write, write_json_lines
from stackgan.platforms.parts import ALONE, Parts
from stackgan.progress import Progress
from stackgan.sampling.animation import write_animations
from stackgan.sampling.plans import Plan, PlannedSample, facts_of
from stackgan.sampling.sample_request import ImageSampler
from stackgan.sampling.sheets import write_grid

logger = logging.getLogger(__name__)

INDEX = 'samples.jsonl'


def write_samples(
        sampler: ImageSampler,
        plan: Plan,
        folder: str,  # gets 64/, 256/, samples.jsonl, grid.png and, of interpolations, animations/
        parts: Parts = ALONE,    # of several workers: each writes its images, worker 0 the rest
) -> List[Dict[str, Any]]:
    """Generates and writes what is not there yet; returns the lines of samples.jsonl."""
    index = _generate(sampler, plan.samples, folder, parts)
    parts.finish()
    if parts.rank:
        return index
    write_json_lines(os.path.join(folder, INDEX), index)
    shown = [write_grid(folder, plan, index)]
    if plan.is_path:
        shown.append(write_animations(folder, plan, index))
    logger.info(f'{len(index)} images of {sampler.label}, {plan.noise}; listed in {INDEX}, shown '
                f"in {', '.join(shown)}")
    return index


def _generate(sampler: ImageSampler, samples: Sequence[PlannedSample], folder: str,
              parts: Parts) -> List[Dict[str, Any]]:
    """The lines of samples.jsonl. Batches that an interrupted job left whole are kept."""
    sides = (64, 256)[:sampler.stage]
    for side in sides:
        os.makedirs(os.path.join(folder, str(side)), exist_ok=True)
    index = [dict(facts_of(sample), files={str(side): f'{side}/{number:05d}.png'
                                           for side in sides})
             for number, sample in enumerate(samples)]
    # In turn, so that what an interrupted job left to do is shared evenly too.
    starts = range(0, len(samples), sampler.batch_size)[parts.rank::parts.size]
    todo = [start for start in starts
            if not _are_there(folder, index[start:start + sampler.batch_size])]
    counts = [sum(len(samples[start:start + sampler.batch_size]) for start in each)
              for each in (starts, todo)]
    with Progress('sample', counts[0], 'images', counts[0] - counts[1]) as progress:
        for start in todo:
            part = samples[start:start + sampler.batch_size]
            # Padded with others: what --compat imports is only generated in whole batches.
            full = [*part, *samples[:start]][:sampler.batch_size]
            generated = sampler.generate([sample.request for sample in full],
                                         [sample.source for sample in full])
            for i, line in enumerate(index[start:start + len(part)]):
                for side in sides:
                    write_image(os.path.join(folder, line['files'][str(side)]), generated[side][i])
            parts.advance()
            progress.advance(len(part))
    return index


def _are_there(folder: str, lines: Sequence[Dict[str, Any]]) -> bool:
    return all(os.path.exists(os.path.join(folder, name))
               for line in lines for name in line['files'].values())


def write_image(
        path: str,           # PNG file
        pixels: np.ndarray,  # [H, W, 3] uint8
) -> None:
    """Writes an image atomically."""
    with atomic_write(path) as stream:
        Image.fromarray(np.asarray(pixels)).save(stream, 'PNG')
