"""Sets of images to score: real ones, generated ones, those in a folder.

A set has `name`, `count`, `facts` (all that changes its images) and `readers(first)`, which
yields a function for each image from `first` on that gives its `Image`; any thread may call it.
"""

import itertools
import os
from typing import Any, NamedTuple

import numpy as np

from stackgan.data.image_kinds import EXTENSIONS, is_image
from stackgan.data.images import BadImage, read_image
from stackgan.data.noise import random_state
from stackgan.data.walking import walk
from stackgan.errors import InputError
from stackgan.files import digest_of
from stackgan.sampling.held_out import stream_captions, stream_choices
from stackgan.scoring.views import real_image


class GeneratedImage(NamedTuple):
    pixels: Any            # [H, W, 3] uint8; None: it cannot be read
    elongation: float      # longer side by the shorter one; 0 where it cannot be read


class RealImages:
    """The test images of a dataset, as far as the networks see them."""

    name = 'real'

    def __init__(
            self,
            split,             # data.prepared.Split, the test part
            content,           # digest of the prepared dataset
            seed,              # of the captions
    ):
        self.split, self.count, self.seed = split, len(split), seed
        self.facts = {'set': self.name, 'prepared': content, 'count': self.count}

    def readers(self, first):
        for index in range(first, self.count):
            yield lambda index=index: GeneratedImage(real_image(self.split, index), 1.0)

    def captions(self):
        """[count] row of one of its captions for each image."""
        starts = self.split.caption_starts
        random = random_state(self.seed, 'captions of real pictures')
        return np.array([random.randint(*starts[index:index + 2]) for index in range(self.count)])


class GeneratedImages:
    """Images of random test captions, generated as they are asked for."""

    name = 'generated'

    def __init__(
            self,
            open_sampler,      # () -> sampling.sampler.Sampler; called when images are generated
            split,             # data.prepared.Split, the test part
            embeddings,        # data.prepared.ArrayFile of its captions
            count,
            seed,              # of the captions and of the noise
            facts,             # dict: the checkpoint and all else that changes what it generates
    ):
        self.open_sampler, self.split, self.embeddings = open_sampler, split, embeddings
        self.count, self.seed = count, seed
        self.facts = dict(facts, set=self.name, count=count, seed=seed)

    def readers(self, first):
        with self.open_sampler() as sampler:
            size = sampler.batch_size
            # Whole batches from the beginning: what --compat imports depends on its batch.
            begin = first - first % size
            wanted = stream_captions(self.split, self.embeddings, self.seed, begin)
            for start in range(begin, self.count, size):
                generated = sampler.generate(list(itertools.islice(wanted, size)), self.seed)
                images = generated[max(generated)][:self.count - start]
                for pixels in images[max(first - start, 0):]:
                    yield lambda pixels=pixels: GeneratedImage(pixels, 1.0)

    def captions(self):
        """[count] row of the caption of each image."""
        starts = self.split.caption_starts
        choices = itertools.islice(stream_choices(self.split, self.seed), self.count)
        return np.array([starts[image] + number for image, number in choices])


class FolderImages:
    """The image files below a folder, in the order of their paths."""

    name = 'folder'

    def __init__(self, folder):
        self.folder = folder
        tree = walk(folder)
        faults = [fault for fault in tree.faults
                  if fault.is_folder or fault.path.lower().endswith(EXTENSIONS)]
        self.reasons = {fault.path: 'it ' + fault.reason for fault in faults}
        self.paths = sorted(list(self.reasons) + [
            name for name in tree.files if is_image(os.path.join(folder, name))])
        self.count = len(self.paths)
        if self.count == len(faults):
            raise InputError('{}: no image there ({}){}'.format(
                folder, ', '.join(extension[1:] for extension in EXTENSIONS),
                ''.join(f'; {fault.path} {fault.reason}' for fault in faults[:1])))
        self.facts = {'set': self.name, 'count': self.count, 'files': digest_of(
            [self._state(name) for name in self.paths])}

    def _state(self, name):
        if name in self.reasons:
            return [name, self.reasons[name]]
        state = os.stat(os.path.join(self.folder, name))
        return [name, state.st_size, state.st_mtime_ns]

    def readers(self, first):
        for name in self.paths[first:]:
            path = os.path.join(self.folder, name)
            yield lambda path=path: _read(path)

    def fault(self, index):
        """(path, why it cannot be read) of an image."""
        name = self.paths[index]
        shown = os.fsencode(name).decode('utf-8', 'replace')
        if name in self.reasons:
            return shown, self.reasons[name]
        path = os.path.join(self.folder, name)
        try:
            read_image(path)
        except BadImage as error:
            return shown, str(error)
        return shown, 'it could not be read before'


def _read(path):
    try:
        image = read_image(path)
    except BadImage:
        return GeneratedImage(None, 0.0)
    return GeneratedImage(np.asarray(image), max(image.size) / float(min(image.size)))
