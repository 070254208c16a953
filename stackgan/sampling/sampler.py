"""Captions to picture files: one PNG each, an index, a captioned grid. Never a real picture."""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from stackgan.checkpoints import Checkpoints, averages_of, read_facts, restore
from stackgan.config.schema import Model
from stackgan.errors import InputError
from stackgan.files import atomic_write, write_json_lines
from stackgan.networks.layers import drawing_pass
from stackgan.platforms.session import open_session
from stackgan.progress import Progress
from stackgan.sampling.drawing import build_drawing, draw
from stackgan.sampling.grids import captioned_grid
from stackgan.sampling.wanted import noise_of

GRID_CAPTIONS = 16         # rows of the grid, at most
SHOWN_SIDE = 192


class Sampler:
    """A trained generator on a session. Use as a context manager."""

    def __init__(
            self,
            folder,            # of a finished stage
            which,             # 'last' or 'best' of its checkpoints, or the path of one
            batch_size,
            platform,          # the `platform` section
            averaged=True,     # draw with the moving averages, where the checkpoint has them
    ):
        self.batch_size = batch_size
        store = Checkpoints(os.path.join(folder, 'checkpoints'), None)
        self.checkpoint = {'last': store.last, 'best': store.best}.get(which, lambda: which)()
        if self.checkpoint is None:
            raise InputError('%s: no checkpoint there; train that stage first' % folder)
        facts = read_facts(self.checkpoint)
        self.stage, self.dims = facts['stage'], Model(**facts['model'])
        self.compat = facts.get('compat')                  # of an imported one
        graph = tf.Graph()
        with graph.as_default():
            self.graph = build_drawing(self.stage, batch_size, self.dims,
                                       mode=drawing_pass(self.compat))
            self.variables = {v.op.name: v for v in tf.global_variables()}
            names = (averages_of(self.variables.values(), self.checkpoint) if averaged
                     else self.variables)
            saver = tf.train.Saver(names)
        self.session = open_session(platform, graph)
        restore(self.session, saver, names, self.checkpoint, is_part=True)
        self.has_averages = set(names) != set(self.variables)
        self.label = 'checkpoint ' + os.path.basename(self.checkpoint)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.session.close()

    def draw(
            self,
            wanted,            # [Wanted]
            seed,              # of the noise
            advance=None,      # called with the number of pictures after each batch
    ):
        """{side: [N, side, side, 3] uint8} for sides 64 and, with Stage-II, 256."""
        noise = noise_of([each.caption for each in wanted], [each.copy for each in wanted], seed,
                         self.dims)
        return draw(self.session, self.graph, np.stack([each.embedding for each in wanted]),
                    noise, advance)


def write_samples(
        sampler,           # Sampler, or export.model_file.ModelSampler
        wanted,            # [Wanted]
        seed,              # of the noise
        folder,            # gets 64/, 256/, samples.jsonl and grid.png
        say,               # prints a line
):
    """Draws and writes; returns the lines of the index."""
    size = sampler.batch_size
    index, rows = [], {}
    with Progress('sample', len(wanted), 'pictures') as progress:
        for start in range(0, len(wanted), size):
            part = wanted[start:start + size]
            drawn = sampler.draw(part, seed)
            for i, each in enumerate(part):
                pictures = {side: drawn[side][i] for side in sorted(drawn)}
                index.append(_write_one(folder, start + i, each, pictures, seed))
                if each.caption in rows or len(rows) < GRID_CAPTIONS:
                    rows.setdefault(each.caption, []).append(pictures)
            progress.advance(len(part))
    write_json_lines(os.path.join(folder, 'samples.jsonl'), index)
    _write_grid(folder, rows, sampler.stage)
    say('%d pictures of %s, seed %d; all in %s'
        % (len(index), sampler.label, seed, 'samples.jsonl and grid.png'))
    return index


def _write_one(folder, number, wanted, pictures, seed):
    line = dict(wanted.facts, caption=wanted.caption, seed=seed, copy=wanted.copy, files={})
    for side, picture in pictures.items():
        name = '%d/%05d.png' % (side, number)
        os.makedirs(os.path.join(folder, str(side)), exist_ok=True)
        with atomic_write(os.path.join(folder, name)) as stream:
            Image.fromarray(picture).save(stream, 'PNG')
        line['files'][str(side)] = name
    return line


def _write_grid(folder, rows, stage):
    """Every picture of captions of one's own; the first of each held-out one."""
    copies = min(len(pictures) for pictures in rows.values())
    shown = [(caption, [picture for each in pictures[:copies] for _, picture in sorted(each.items())])
             for caption, pictures in rows.items()]
    names = ['Stage-I', 'Stage-II'][:stage] * copies
    columns = max(1, min(4, 8 // len(names))) if len(rows) > 3 else 1
    sheet = captioned_grid(shown, SHOWN_SIDE, names, columns)
    with atomic_write(os.path.join(folder, 'grid.png')) as stream:
        sheet.save(stream, 'PNG')
