"""Small inputs for tests: a prepared dataset of coloured squares with ideal embeddings."""

import os
import signal
import time

import numpy as np

from stackgan.config import load_config
from stackgan.data.prepared import shard_name
from stackgan.files import write_json, write_json_lines
from stackgan.progress import Progress

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLOURS = {'red': (200, 40, 40), 'green': (40, 180, 60), 'blue': (50, 60, 200),
           'yellow': (210, 200, 50)}
TINY = ['model.generator_filters=8', 'model.discriminator_filters=8', 'model.condition_dim=8',
        'model.noise_dim=6', 'model.embedding_dim=16', 'train.batch_size=4',
        'train.generator_learning_rate=2e-4', 'train.discriminator_learning_rate=2e-4',
        'model.stage1_modulation=false', 'model.stage1_encoder_features=false',
        'model.stage2_residual=false',
        'model.stage2_skip_connections=false',
        'model.stage2_sub_pixel=false', 'model.stage2_residual_blocks=4',
        'train.caption_matching_weight=0', 'train.caption_similarity_weight=0',
        'train.wrong_candidates=1', 'text.whitening=false', 'train.augment_translation=0',
        'stage2.adversarial_weight=1',
        'stage2.super_resolution_weight=0', 'stage2.super_resolution_noise=0',
        'stage2.super_resolution_scatter=0',
        'stage2.low_resolution_consistency=10', 'stage2.batch_size=2', 'train.log_every_steps=2',
        'train.sample_every_steps=4',
        'train.checkpoint_every_steps=3', 'platform.deterministic=true', 'sample.batch_size=4']


def tiny_config(*overrides):
    """The default configuration with tiny networks, deterministic."""
    return load_config(os.path.join(ROOT, 'configs', 'painted-birds.yaml'),
                       TINY + list(overrides))


def make_prepared(
        folder,           # made here
        images=12,        # in each split
        captions=3,       # an image
        seed=0,
):
    """Writes a prepared dataset in two shards a split; returns the folder."""
    names = list(COLOURS)
    for split in ('train', 'test'):
        random = np.random.RandomState([seed, split == 'test'])
        path = os.path.join(str(folder), split)
        os.makedirs(path)
        class_ids = np.arange(images, dtype=np.int32) % len(names)
        for side in (76, 304):
            pixels = np.stack([draw_image(random, COLOURS[names[c]], side) for c in class_ids])
            half = images // 2 + 1
            np.save(os.path.join(path, shard_name(side, 0)), pixels[:half])
            np.save(os.path.join(path, shard_name(side, 1)), pixels[half:])
        np.save(os.path.join(path, 'class_ids.npy'), class_ids)
        np.save(os.path.join(path, 'caption_counts.npy'), np.full(images, captions, np.int32))
        write_json_lines(os.path.join(path, 'items.jsonl'), [
            {'name': '%s/%d' % (names[c], i), 'class_id': int(c),
             'captions': ['a %s square number %d said %d' % (names[c], i, k)
                          for k in range(captions)]} for i, c in enumerate(class_ids)])
    write_json(os.path.join(str(folder), 'dataset.json'), {
        'name': 'toy', 'layout': 'folder', 'classes': names, 'embedding_dim': None,
        'splits': {}})
    return str(folder)


def draw_image(random, colour, side):
    """A square of a colour somewhere on grey, with noise."""
    image = np.full((side, side, 3), 128.0)
    size = side // 2
    top, left = random.randint(0, side - size, 2)
    image[top:top + size, left:left + size] = colour
    return np.clip(image + random.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def make_embeddings(folder, prepared, dim=16):
    """Writes train.npy and test.npy: a direction of its class plus noise for each caption."""
    os.makedirs(str(folder))
    directions = np.random.RandomState(5).standard_normal((len(COLOURS), dim))
    for split in ('train', 'test'):
        class_ids = np.load(os.path.join(prepared, split, 'class_ids.npy'))
        counts = np.load(os.path.join(prepared, split, 'caption_counts.npy'))
        rows = directions[np.repeat(class_ids, counts)]
        rows = rows + 0.1 * np.random.RandomState(6).standard_normal(rows.shape)
        np.save(os.path.join(str(folder), split + '.npy'), rows.astype(np.float32))
    return str(folder)


def make_training_data(folder):
    """(prepared dataset, its embeddings) in new folders there."""
    prepared = make_prepared(folder / 'prepared')
    return prepared, make_embeddings(folder / 'embeddings', prepared)


def pause_where_told():
    """Lets this process wait to be killed, however fast it or its killer is.

    TOY_PAUSE: a share of the work and the beginning of its label, e.g. '0.5 train'; beyond that
    share progress is not counted any more.
    """
    told = os.environ.get('TOY_PAUSE')
    if not told:
        return
    share, label = told.split(' ', 1)
    advance = Progress.advance

    def pausing(self, units=1, note=None):
        if self.label.startswith(label) and self.done + units > float(share) * self.total:
            time.sleep(600)
        advance(self, units, note)

    Progress.advance = pausing


class NeverStop:
    """A stop that is never requested."""

    requested = False

    def deferred(self):
        from contextlib import contextmanager

        @contextmanager
        def nothing():
            yield self
        return nothing()


def heed():
    """Lets a child be asked to stop, whatever this process was started to ignore (nohup)."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
