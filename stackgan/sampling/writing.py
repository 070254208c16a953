"""A plan to files: a PNG for each picture, an index, grids, animations. Never a real picture."""

import os

import numpy as np
from PIL import Image

from stackgan.files import atomic_write, write_json_lines
from stackgan.progress import Progress
from stackgan.sampling.animation import write_animations
from stackgan.sampling.plans import facts_of
from stackgan.sampling.sheets import write_grid

INDEX = 'samples.jsonl'


def write_samples(
        sampler,           # Sampler, or export.model_file.ModelSampler
        plan,              # Plan
        folder,            # gets 64/, 256/, samples.jsonl, grid.png and, of a path, animations/
        say,               # prints a line
):
    """Draws what is not there yet and writes; returns the lines of the index."""
    index = _draw(sampler, plan.shots, folder)
    write_json_lines(os.path.join(folder, INDEX), index)
    shown = [write_grid(folder, plan, index)]
    if plan.is_path:
        shown.append(write_animations(folder, plan, index))
    say('%d pictures of %s, %s; listed in %s, shown in %s'
        % (len(index), sampler.label, plan.noise, INDEX, ', '.join(shown)))
    return index


def _draw(sampler, shots, folder):
    """The lines of the index. Batches whose files an interrupted job left are not drawn again."""
    sides = (64, 256)[:sampler.stage]
    for side in sides:
        os.makedirs(os.path.join(folder, str(side)), exist_ok=True)
    index = [dict(facts_of(shot), files={str(side): '%d/%05d.png' % (side, number)
                                         for side in sides})
             for number, shot in enumerate(shots)]
    todo = [start for start in range(0, len(shots), sampler.batch_size)
            if not _are_there(folder, index[start:start + sampler.batch_size])]
    done = len(shots) - sum(len(shots[start:start + sampler.batch_size]) for start in todo)
    with Progress('sample', len(shots), 'pictures', done) as progress:
        for start in todo:
            part = shots[start:start + sampler.batch_size]
            # Filled up with others: what --compat imports is drawn in whole batches alone.
            full = (part + shots[:start])[:sampler.batch_size]
            drawn = sampler.draw([shot.wanted for shot in full], [shot.source for shot in full])
            for i, line in enumerate(index[start:start + len(part)]):
                for side in sides:
                    write_picture(os.path.join(folder, line['files'][str(side)]), drawn[side][i])
            progress.advance(len(part))
    return index


def _are_there(folder, lines):
    return all(os.path.exists(os.path.join(folder, name))
               for line in lines for name in line['files'].values())


def write_picture(
        path,              # PNG file
        pixels,            # [H, W, 3] uint8
):
    """Writes a picture, whole or not at all."""
    with atomic_write(path) as stream:
        Image.fromarray(np.asarray(pixels)).save(stream, 'PNG')
