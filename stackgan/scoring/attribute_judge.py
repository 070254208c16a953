"""The judge of attributes of painted birds: closed-form readers of colour counts.

It learns from the real training images of the dataset, in two steps. Counts in the regions of a
grid (see `colour`) tell body, wings, crown and scene. The colours of crown and wings then show
where the head is, and counts around the bill tell the beak. Both by kernel ridge regression, in
NumPy only. A linear reader of the same counts takes clearly brown or grey wings for black or white
ones where the shape of a generated bird is unlike a real one's.

Both steps also learn from shifted, mirrored, blurred, darker and brighter copies, because
generated images are not as sharp as real ones.
"""

from typing import Callable, List, Sequence, Tuple

import numpy as np

from stackgan.data.painted import PALETTE, VALUES, true_of
from stackgan.data.prepared import HIGH, Split
from stackgan.errors import StackganError
from stackgan.files import digest_of
from stackgan.progress import Progress
from stackgan.scoring.attributes import ATTRIBUTES, NETWORK, OUTPUTS, SLICES
from stackgan.scoring.colour import BATCH, blurred, colour_counts
from stackgan.scoring.colour_counts import KernelReader, as_features, kernel_ridge, soft_counts
from stackgan.scoring.extractor import Extractor
from stackgan.scoring.views import SEEN, real_image, resized

VERSION = 2                # raised when the same images make another judge
SIDE = 128                 # of what it looks at
NEAR = 28.0                # colours this far from one of the palette still count, in [0, 255]
WINDOW = 38.0              # pixels around the middle in which the bird is looked for
HEAD = 14.0                # pixels: size of a head
PATCH, LEFT, ABOVE = 40, 4, 12     # side of the patch at the bill, and where the head is in it
CELLS, BINS = 8, 4         # of the patch, and of each channel
RIDGE = 0.01               # of the kernel regressions
LEARNS_FROM = 2000         # training images, at most
COPIES = 2                 # of each


class AttributeJudge(Extractor):
    """The `Extractor` whose logits are 1 for the values it reads, and 0 for others."""

    name, classes, dim = NETWORK, OUTPUTS, 0

    def __init__(
            self,
            split: Split,                # the training part of painted birds
            classes: Sequence[str],      # their class names
            content: str,                # digest of the prepared dataset
    ) -> None:
        """Raises StackganError where training images lack a value."""
        self.split, self.labels = split, _labels(split, classes)
        for column, attribute in enumerate(ATTRIBUTES):
            missing = set(range(len(VALUES[attribute]))) - set(self.labels[:, column].tolist())
            if missing:
                raise StackganError(f'no training image with {attribute} '
                                    f'{VALUES[attribute][min(missing)]}; paint more images')
        self.facts = {'extractor': self.name, 'precision': 'float64',
                      'weights': digest_of([VERSION, content])}
        self.readers: Tuple[KernelReader, ...] = ()      # learned when they are first needed

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return resized(pixels, SIDE)

    def run(self, prepared: List[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
        if not self.readers:
            self.readers = _learned(self.split, self.labels)
        by_grid, at_the_bill = self.readers
        images = np.stack(prepared)
        scores = by_grid.scores(colour_counts(_halved(images)))
        crowns, wings = [scores[:, SLICES[name]].argmax(axis=1) for name in ('crown', 'wings')]
        patches = np.stack([_patch_at_the_bill(*each) for each in zip(images, crowns, wings)])
        scores[:, SLICES['beak']] = at_the_bill.scores(_features_of_patches(patches))
        read = np.zeros((len(images), OUTPUTS), np.float32)
        for name in ATTRIBUTES:
            best = scores[:, SLICES[name]].argmax(axis=1)
            read[np.arange(len(read)), SLICES[name].start + best] = 1
        return read, np.empty((len(read), 0), np.float32)


def _labels(split: Split, classes: Sequence[str]) -> np.ndarray:
    """[images, 5] int: indices of VALUES."""
    truths = [true_of(item['captions'], classes[item['class_id']]) for item in split.items()]
    return np.array([[VALUES[name].index(truth[name]) for name in ATTRIBUTES]
                     for truth in truths])


def _learned(split: Split, labels: np.ndarray) -> Tuple[KernelReader, ...]:
    """The readers of the grid and of the bill."""
    random = np.random.RandomState(len(labels))
    chosen = np.unique(np.linspace(0, len(labels) - 1, LEARNS_FROM).astype(int))
    labels = labels[chosen]
    targets = np.concatenate([np.eye(len(VALUES[name]))[labels[:, column]]
                              for column, name in enumerate(ATTRIBUTES)], axis=1)
    crowns, wings = [labels[:, ATTRIBUTES.index(name)] for name in ('crown', 'wings')]
    images, patches = [], []
    with Progress('score: judge of attributes', len(labels), 'images') as progress:
        for index, crown, wing in zip(chosen.tolist(), crowns, wings):
            for copy in range(COPIES):
                image = _copy(split, index, random, is_plain=copy == 0)
                images.append(_halved(image[np.newaxis])[0])
                patches.append(_patch_at_the_bill(image, crown, wing))
            progress.advance()
    targets = targets.repeat(COPIES, axis=0)
    return (kernel_ridge(_features(colour_counts, images), targets, RIDGE),
            kernel_ridge(_features(_features_of_patches, patches), targets[:, SLICES['beak']],
                         RIDGE))


def _features(features_of: Callable[[np.ndarray], np.ndarray],
              images: List[np.ndarray]) -> np.ndarray:
    return np.concatenate([features_of(np.stack(images[start:start + BATCH]))
                           for start in range(0, len(images), BATCH)])


def _features_of_patches(
        patches: np.ndarray,     # [n, PATCH, PATCH, 3]
) -> np.ndarray:
    cell = np.arange(PATCH) * CELLS // PATCH
    cells = cell[:, np.newaxis] * CELLS + cell
    return as_features(soft_counts(patches, cells, BINS), (PATCH / CELLS) ** 2)


def _copy(split: Split, index: int, random: np.random.RandomState, is_plain: bool) -> np.ndarray:
    """[SIDE, SIDE, 3]: a random part of a training image, half of the time mirrored."""
    top, left = random.randint(0, HIGH - SEEN + 1, 2)
    pixels = resized(real_image(split, index, top, left), SIDE)
    if random.randint(2):
        pixels = pixels[:, ::-1]
    passes, light = random.randint(1, 7), random.uniform(0.85, 1.15)
    if is_plain:
        return pixels
    return np.clip(blurred(pixels[np.newaxis], passes)[0] * light, 0, 255)


def _halved(images: np.ndarray) -> np.ndarray:
    """[N, SIDE / 2, SIDE / 2, 3] float32."""
    half = SIDE // 2
    return images.reshape(len(images), half, 2, half, 2, 3).mean(axis=(2, 4), dtype=np.float32)


_DOWN, _ACROSS = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
_MIDDLE = (SIDE - 1) / 2
_NEAR_MIDDLE = np.exp(-((_ACROSS - _MIDDLE) / WINDOW) ** 4 - ((_DOWN - _MIDDLE) / WINDOW) ** 4)


def _patch_at_the_bill(
        image: np.ndarray,       # [SIDE, SIDE, 3]
        crown: int,              # index of VALUES['crown']
        wings: int,              # index of VALUES['wings']
) -> np.ndarray:
    """[PATCH, PATCH, 3]: the bill, and the front of the head left of it."""
    on_crown = _nearness(image, VALUES['crown'][crown])
    on_wings = _nearness(image, VALUES['wings'][wings])
    if _mean(_ACROSS, on_crown) < _mean(_ACROSS, on_wings):          # it faces left
        image, on_crown = image[:, ::-1], on_crown[:, ::-1]
    x, y = _head(on_crown)
    padded = np.pad(image, ((PATCH, PATCH), (PATCH, PATCH), (0, 0)), mode='edge')
    top, left = y - ABOVE + PATCH, x - LEFT + PATCH
    return padded[top:top + PATCH, left:left + PATCH]


def _nearness(image: np.ndarray, colour: str) -> np.ndarray:
    """[SIDE, SIDE]: how near pixels are to a colour of the palette and to the middle."""
    off = image.astype(np.float32) - np.array(PALETTE[colour], np.float32)
    return np.exp(-(off ** 2).sum(axis=2) / (2 * NEAR ** 2)) * _NEAR_MIDDLE


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float((values * weights).sum() / (weights.sum() + 1e-6))


def _head(on_crown: np.ndarray) -> Tuple[int, int]:
    """(x, y) of the crown of a bird that faces right: mean shift from where most of it is."""
    on_crown = on_crown * (_ACROSS > 0.44 * SIDE)
    x, y = _mean(_ACROSS, on_crown), _mean(_DOWN, on_crown)
    for _ in range(3):
        near = on_crown * np.exp(-((_ACROSS - x) ** 2 + (_DOWN - y) ** 2) / (2 * HEAD ** 2))
        x, y = _mean(_ACROSS, near), _mean(_DOWN, near)
    low, high = SIDE // 6, SIDE - SIDE // 6
    return int(np.clip(round(x), low, high)), int(np.clip(round(y), low, high))
