"""Writes a plan: a PNG for each image, an index, grids, animations. Never a real image."""

import logging
import os
from typing import Any, Dict, List, Sequence

import numpy as np
from PIL import Image

from stackgan.files import atomic_write, write_json_lines
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
) -> List[Dict[str, Any]]:
    """Generates and writes what is not there yet; returns the lines of samples.jsonl."""
    index = _generate(sampler, plan.samples, folder)
    write_json_lines(os.path.join(folder, INDEX), index)
    shown = [write_grid(folder, plan, index)]
    if plan.is_path:
        shown.append(write_animations(folder, plan, index))
    logger.info(f'{len(index)} images of {sampler.label}, {plan.noise}; listed in {INDEX}, shown '
                f"in {', '.join(shown)}")
    return index


def _generate(sampler: ImageSampler, samples: Sequence[PlannedSample],
              folder: str) -> List[Dict[str, Any]]:
    """The lines of samples.jsonl. Batches that an interrupted job left whole are kept."""
    sides = (64, 256)[:sampler.stage]
    for side in sides:
        os.makedirs(os.path.join(folder, str(side)), exist_ok=True)
    index = [dict(facts_of(sample), files={str(side): f'{side}/{number:05d}.png'
                                           for side in sides})
             for number, sample in enumerate(samples)]
    todo = [start for start in range(0, len(samples), sampler.batch_size)
            if not _are_there(folder, index[start:start + sampler.batch_size])]
    done = len(samples) - sum(len(samples[start:start + sampler.batch_size]) for start in todo)
    with Progress('sample', len(samples), 'images', done) as progress:
        for start in todo:
            part = samples[start:start + sampler.batch_size]
            # Padded with others: what --compat imports is only generated in whole batches.
            full = [*part, *samples[:start]][:sampler.batch_size]
            generated = sampler.generate([sample.request for sample in full],
                                         [sample.source for sample in full])
            for i, line in enumerate(index[start:start + len(part)]):
                for side in sides:
                    write_image(os.path.join(folder, line['files'][str(side)]), generated[side][i])
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
