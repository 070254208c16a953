"""Sets of images to score: real ones, generated ones, those in a folder."""

import itertools
import os
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from stackgan.data.image_kinds import EXTENSIONS, is_image
from stackgan.data.images import BadImage, read_image
from stackgan.data.noise import random_state
from stackgan.data.prepared import ArrayFile, Split
from stackgan.data.walking import walk
from stackgan.errors import InputError
from stackgan.files import digest_of
from stackgan.sampling.held_out import stream_captions, stream_choices
from stackgan.sampling.sample_request import SampleRequest
from stackgan.sampling.sampler import Sampler
from stackgan.scoring.views import real_image, resized


class LoadedImage(NamedTuple):
    pixels: Optional[np.ndarray]     # [H, W, 3] uint8; None: it cannot be read
    elongation: float                # longer side / shorter side; 0 if it cannot be read


Reader = Callable[[], LoadedImage]
IMAGES, VARIETY, ATTRIBUTES_ONLY = 'images', 'variety', 'attributes'     # purposes of a set
NOISES = 4                                 # of each caption of a `VarietyImages`
SMALL, SIDE = 64, 256                      # of Stage-I's images, and to what they are enlarged


class ImageSet:
    """What all sets have."""

    name: str                        # unique among those of a record
    column: str                      # `set` of its lines
    purpose = IMAGES                 # of the protocols that it is for
    count: int                       # images
    facts: Dict[str, Any]            # everything that changes the images
    has_captions = False

    def readers(self, first: int) -> Iterator[Reader]:
        """Yields a function for each image from `first` on; any thread may call it."""
        raise NotImplementedError

    def captions(self) -> np.ndarray:
        """[count] int: row of the caption of each image, of a set that has captions."""
        raise NotImplementedError

    def groups(self) -> np.ndarray:
        """[count] int: the images among which variety is measured have the same number."""
        raise NotImplementedError


class RealImages(ImageSet):
    """The test images of a dataset: the part of each that the networks see."""

    name = column = 'real'
    has_captions = True

    def __init__(
            self,
            split: Split,      # the test part
            content: str,      # digest of the prepared dataset
            seed: int,         # of the captions
    ) -> None:
        self.split, self.count, self.seed = split, len(split), seed
        self.facts = {'set': self.name, 'prepared': content, 'count': self.count}

    def readers(self, first: int) -> Iterator[Reader]:
        for index in range(first, self.count):
            yield partial(self._read, index)

    def _read(self, index: int) -> LoadedImage:
        return LoadedImage(real_image(self.split, index), 1.0)

    def groups(self) -> np.ndarray:
        """Those of a class."""
        return self.split.class_ids

    def captions(self) -> np.ndarray:
        """[count] int: row of a random one of its captions for each image."""
        starts = self.split.caption_starts
        random = random_state(self.seed, 'captions of real pictures')
        return np.array([random.randint(*starts[index:index + 2]) for index in range(self.count)])


class SmallRealImages(RealImages):
    """The same as small as Stage-I's images, and enlarged like them: for attribute accuracy."""

    name = column = 'real64'
    purpose = ATTRIBUTES_ONLY

    def _read(self, index: int) -> LoadedImage:
        return LoadedImage(resized(resized(real_image(self.split, index), SMALL), SIDE), 1.0)


class GeneratedImages(ImageSet):
    """Images of random test captions, generated when they are read."""

    has_captions = True

    def __init__(
            self,
            open_sampler: Callable[[], Sampler],    # called when images are generated
            split: Split,                           # the test part
            embeddings: ArrayFile,                  # of its captions
            count: int,
            seed: int,                              # of the captions and of the noise
            facts: Dict[str, Any],                  # the checkpoint and all else that changes them
            column: str = 'generated',              # or 'stage1'
    ) -> None:
        self.open_sampler, self.split, self.embeddings = open_sampler, split, embeddings
        self.name = self.column = column
        self.count, self.seed = count, seed
        self.facts = dict(facts, set=self.name, count=count, seed=seed)

    def requests(self, first: int) -> Iterator[SampleRequest]:
        """What is generated, from image `first` on."""
        return stream_captions(self.split, self.embeddings, self.seed, first)

    def readers(self, first: int) -> Iterator[Reader]:
        with self.open_sampler() as sampler:
            size = sampler.batch_size
            # Whole batches from the beginning: what --compat imports depends on its batch.
            begin = first - first % size
            wanted = self.requests(begin)
            for start in range(begin, self.count, size):
                generated = sampler.generate(list(itertools.islice(wanted, size)), self.seed)
                images = generated[max(generated)][:self.count - start]
                for pixels in images[max(first - start, 0):]:
                    yield partial(self._loaded, pixels)

    def _loaded(self, pixels: np.ndarray) -> LoadedImage:
        return LoadedImage(resized(pixels, SIDE) if self.column == 'stage1' else pixels, 1.0)

    def captions(self) -> np.ndarray:
        """[count] int: row of the caption of each image."""
        starts = self.split.caption_starts
        choices = itertools.islice(stream_choices(self.split, self.seed), self.count)
        return np.array([starts[image] + number for image, number in choices])


def variety_count(
        count: int,              # images of the `GeneratedImages` beside it
) -> int:
    """Images of a `VarietyImages`: NOISES of 2 to 200 captions, a fifth more images to generate."""
    return NOISES * min(max(count // (5 * NOISES), 2), 200)


class VarietyImages(GeneratedImages):
    """NOISES images of each of some test captions: all captions, then all again.

    `count` is NOISES times the number of captions.
    """

    purpose = VARIETY
    has_captions = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.name = {'generated': 'variety', 'stage1': 'stage1-variety'}[self.column]
        self.facts['set'] = self.name

    def requests(self, first: int) -> Iterator[SampleRequest]:
        captions = self.count // NOISES
        once = list(itertools.islice(super().requests(0), captions))
        return (once[index % captions]._replace(copy=index // captions)
                for index in itertools.count(first))

    def groups(self) -> np.ndarray:
        """Those of a caption."""
        return np.arange(self.count) % (self.count // NOISES)


class FolderImages(ImageSet):
    """The image files below a folder, in the order of their paths."""

    name = column = 'folder'

    def __init__(self, folder: str) -> None:
        self.folder = folder
        tree = walk(folder)
        faults = [fault for fault in tree.faults
                  if fault.is_folder or fault.path.lower().endswith(EXTENSIONS)]
        self.reasons = {fault.path: 'it ' + fault.reason for fault in faults}
        self.paths = sorted(list(self.reasons) + [
            name for name in tree.files if is_image(os.path.join(folder, name))])
        self.count = len(self.paths)
        if self.count == len(faults):
            kinds = ', '.join(extension[1:] for extension in EXTENSIONS)
            first = ''.join(f'; {fault.path} {fault.reason}' for fault in faults[:1])
            raise InputError(f'{folder}: no image there ({kinds}){first}')
        self.facts = {'set': self.name, 'count': self.count, 'files': digest_of(
            [self._state(name) for name in self.paths])}

    def _state(self, name: str) -> List[Any]:
        if name in self.reasons:
            return [name, self.reasons[name]]
        state = os.stat(os.path.join(self.folder, name))
        return [name, state.st_size, state.st_mtime_ns]

    def readers(self, first: int) -> Iterator[Reader]:
        for name in self.paths[first:]:
            yield partial(_read, os.path.join(self.folder, name))

    def fault(self, index: int) -> Tuple[str, str]:
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


def _read(path: str) -> LoadedImage:
    try:
        image = read_image(path)
    except BadImage:
        return LoadedImage(None, 0.0)
    return LoadedImage(np.asarray(image), max(image.size) / float(min(image.size)))
