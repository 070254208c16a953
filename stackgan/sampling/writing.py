"""A plan to files: a PNG for each image, an index, grids, animations. Never a real image."""

import logging
import os

import numpy as np
from PIL import Image

from stackgan.files import atomic_write, write_json_lines
from stackgan.progress import Progress
from stackgan.sampling.animation import write_animations
from stackgan.sampling.plans import facts_of
from stackgan.sampling.sheets import write_grid

logger = logging.getLogger(__name__)

INDEX = 'samples.jsonl'


def write_samples(
        sampler,           # Sampler, or export.model_file.ModelSampler
        plan,              # Plan
        folder,            # gets 64/, 256/, samples.jsonl, grid.png and, of a path, animations/
):
    """Generates what is not there yet and writes; returns the lines of the index."""
    index = _generate(sampler, plan.samples, folder)
    write_json_lines(os.path.join(folder, INDEX), index)
    shown = [write_grid(folder, plan, index)]
    if plan.is_path:
        shown.append(write_animations(folder, plan, index))
    logger.info('%d images of %s, %s; listed in %s, shown in %s'
        % (len(index), sampler.label, plan.noise, INDEX, ', '.join(shown)))
    return index


def _generate(sampler, samples, folder):
    """The lines of the index. Batches whose files an interrupted job left are not sampled again."""
    sides = (64, 256)[:sampler.stage]
    for side in sides:
        os.makedirs(os.path.join(folder, str(side)), exist_ok=True)
    index = [dict(facts_of(sample), files={str(side): '%d/%05d.png' % (side, number)
                                           for side in sides})
             for number, sample in enumerate(samples)]
    todo = [start for start in range(0, len(samples), sampler.batch_size)
            if not _are_there(folder, index[start:start + sampler.batch_size])]
    done = len(samples) - sum(len(samples[start:start + sampler.batch_size]) for start in todo)
    with Progress('sample', len(samples), 'images', done) as progress:
        for start in todo:
            part = samples[start:start + sampler.batch_size]
            # Filled up with others: what --compat imports is generated in whole batches alone.
            full = (part + samples[:start])[:sampler.batch_size]
            generated = sampler.generate([sample.wanted for sample in full],
                                         [sample.source for sample in full])
            for i, line in enumerate(index[start:start + len(part)]):
                for side in sides:
                    write_image(os.path.join(folder, line['files'][str(side)]), generated[side][i])
            progress.advance(len(part))
    return index


def _are_there(folder, lines):
    return all(os.path.exists(os.path.join(folder, name))
               for line in lines for name in line['files'].values())


def write_image(
        path,              # PNG file
        pixels,            # [H, W, 3] uint8
):
    """Writes an image, whole or not at all."""
    with atomic_write(path) as stream:
        Image.fromarray(np.asarray(pixels)).save(stream, 'PNG')
