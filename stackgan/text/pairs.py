"""Images with their captions, as batches for the training of the text encoder."""

from typing import Tuple

import numpy as np

from stackgan.data.prepared import LOW, Split
from stackgan.text.alphabet import encode_captions
from stackgan.text.image_encoder import SIZE

CENTRE = (LOW - SIZE) // 2


class Pairs:
    """Images and captions of one split. Holds the captions' codes in memory, 201 bytes each."""

    def __init__(self, split: Split) -> None:
        captions = [item['captions'] for item in split.items()]
        self.captions = [text for texts in captions for text in texts]
        self.codes = encode_captions(self.captions)
        self.split = split
        order = np.argsort(split.class_ids, kind='stable')
        _, firsts = np.unique(split.class_ids[order], return_index=True)
        self.members = np.split(order, firsts[1:])     # images of each class that has any
        self.image_of_caption = np.repeat(np.arange(len(split)), np.diff(split.caption_starts))

    def batch(
            self,
            size: int,     # number of pairs, at most the number of classes
            seed: int,
            step: int,     # of training, from 0
    ) -> Tuple[np.ndarray, np.ndarray]:
        """(codes [size, 201] uint8, images [size, 64, 64, 3] uint8), a function of seed and step.

        All of different classes; of each a random image, one of its captions, a random crop,
        mirrored half of the time. The order of the draws is part of the format of a resumed
        training (see `training.trainable`).
        """
        random = np.random.RandomState([seed, step])
        classes = random.permutation(len(self.members))[:size]
        rows, crops = [], []
        for members in (self.members[number] for number in classes):
            image = members[random.randint(len(members))]
            rows.append(random.randint(*self.split.caption_starts[image:image + 2]))
            crops.append(self._random_crop(image, random))
        return self.codes[rows], np.stack(crops)

    def random_crops(self, images: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """A part of each image, mirrored half of the time: [len(images), 64, 64, 3] uint8."""
        return np.stack([self._random_crop(image, random) for image in images])

    def centres(self, images: np.ndarray) -> np.ndarray:
        """The middles of images: [len(images), 64, 64, 3] uint8."""
        return np.stack([self._crop(image, CENTRE, CENTRE) for image in images])

    def _random_crop(self, image: int, random: np.random.RandomState) -> np.ndarray:
        top, left = random.randint(LOW - SIZE + 1, size=2)
        pixels = self._crop(image, top, left)
        return pixels[:, ::-1] if random.randint(2) else pixels

    def _crop(self, image: int, top: int, left: int) -> np.ndarray:
        return self.split.image(image, LOW, top, SIZE)[:, left:left + SIZE]
