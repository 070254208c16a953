"""Whether generated birds have the body colour that their captions ask for.

A small judge learns body colours from real training images. It counts colours (a histogram in
red, green and blue with soft bins) in the regions of a grid around the middle of an image and
weights the counts linearly: ridge regression on one-hot targets, in closed form. It also learns
from shifted, blurred, noisy, darker and brighter copies, because generated images are not as
sharp as real ones. Its accuracy on real test images is part of every report on generated ones;
without enough of it, there is no report. NumPy only.
"""

from typing import Any, Dict, Iterator, NamedTuple, Sequence, Tuple

import numpy as np

from stackgan.errors import InputError, StackganError
from stackgan.files import read_json_lines
from stackgan.scoring.attributes import others
from stackgan.scoring.colour_counts import as_features, ridge_weights, soft_counts

VIEW = 64                    # side of what the judge looks at, as the networks do
STORED = 76                  # side of an image from which training crops a view
BORDER = 5                   # pixels along each edge of a view that are left out
CELLS = 6                    # regions along each side of the rest
BINS = 5                     # of each channel
BLUR_PASSES = 4              # of (1, 2, 1) / 4: a standard deviation of 1.4 pixels
NOISE = 12.0                 # standard deviation, in values of [0, 255]
LIGHTS = (0.75, 1.2)         # factors on the brightness
RIDGE = 0.05                 # relative to the mean square of a feature
BATCH = 128                  # images at a time
MIN_REAL_ACCURACY = 0.8      # a judge below it may not judge
SHUFFLES = 20


class Judge(NamedTuple):
    """Tells body colours. Made by `train_judge`."""

    names: Tuple[str, ...]   # of the colours; a label is an index of it
    weights: np.ndarray      # (features + 1, colours) float64

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Labels, (n,) int64, of images (n, side, side, 3) uint8 in [0, 255].

        The side is 64 or 76 or a multiple of these, as stored and generated images have.
        """
        labels = [np.zeros(0, np.int64)]
        for start in range(0, len(images), BATCH):
            scores = colour_counts(_views(images[start:start + BATCH])) @ self.weights
            labels.append(np.argmax(scores, axis=1))
        return np.concatenate(labels)

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Share in [0, 1] of images whose label (n,) is the predicted one."""
        return float(np.mean(self.predict(images) == np.asarray(labels)))


def train_judge(
        images: np.ndarray,    # (n, side, side, 3) uint8 in [0, 255], real training images
        labels: np.ndarray,    # (n,) ints, indices of `names`
        names: Sequence[str],  # colours; each needs an image
        seed: int = 0,         # of the copies' noise and shifts
) -> Judge:
    """The `Judge` that knows the colours of these images."""
    labels = np.asarray(labels)
    missing = [name for index, name in enumerate(names) if not np.any(labels == index)]
    if missing:
        raise StackganError(f'colour judge: no training image of {", ".join(missing)}')
    random = np.random.RandomState([seed, len(images)])
    squares: Any = 0.0
    products: Any = 0.0
    rows = 0
    for start in range(0, len(images), BATCH):
        targets = np.eye(len(names))[labels[start:start + BATCH]]
        for views in _varied(images[start:start + BATCH], random):
            features = colour_counts(views)
            squares = squares + features.T @ features
            products = products + features.T @ targets
            rows += len(features)
    return Judge(tuple(names), ridge_weights(squares, products, rows, RIDGE))


def colour_report(
        predicted: np.ndarray,  # (n,) labels that the judge gives to generated images
        asked: np.ndarray,      # (n,) labels: body colours of the captions they were generated from
        names: Sequence[str],   # colours; a label is an index of it
        real_accuracy: float,   # of the judge on real test images, in [0, 1]
        seed: int = 0,          # of the shuffles
) -> Dict[str, Any]:
    """How well generated images follow their captions' body colours: a dict for a record.

    `shuffled_accuracy` pairs each image with the caption of another one, at random, and is
    near `chance` unless images or captions are all alike.
    """
    predicted, asked = np.asarray(predicted), np.asarray(asked)
    if real_accuracy < MIN_REAL_ACCURACY:
        raise StackganError(
            f'colour classifier: accuracy {100 * real_accuracy:.1f} % on real test images; at '
            f'least {100 * MIN_REAL_ACCURACY:.0f} % is required to judge generated ones; train it '
            'on more images')
    if predicted.shape != asked.shape or len(asked) < 2:
        raise StackganError(f'colour report: {len(predicted)} images for {len(asked)} captions; '
                            'equally many, and at least two, are needed')
    random = np.random.RandomState(seed)
    shuffled = [np.mean(predicted == others(asked, random)) for _ in range(SHUFFLES)]
    per_colour = {}
    for index, name in enumerate(names):
        members = asked == index
        per_colour[name] = float(np.mean(predicted[members] == index)) if members.any() else None
    return {
        'accuracy': float(np.mean(predicted == asked)),
        'count': int(len(asked)),
        'shuffled_accuracy': float(np.mean(shuffled)),
        'shuffles': SHUFFLES,
        'chance': 1.0 / len(names),
        'real_accuracy': float(real_accuracy),
        'per_colour': per_colour,
        'seed': seed,
    }


def read_body_colours(path: str) -> Dict[str, str]:
    """{'<class>/<image>': body colour} from an attributes.jsonl."""
    try:
        return {record['name']: record['body'] for record in read_json_lines(path)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: not the attributes of a painted dataset ({error}); run '
                         'make-dataset')


def _views(images: np.ndarray, top: int = (STORED - VIEW) // 2,
           left: int = (STORED - VIEW) // 2) -> np.ndarray:
    """(n, 64, 64, 3): averaged down; what was stored for cropping is cropped at (top, left)."""
    images = np.asarray(images)
    side = images.shape[1]
    for base in (VIEW, STORED):
        if side % base == 0 and images.shape[1:] == (side, side, 3):
            step = side // base
            if step > 1:
                blocks = images.reshape(-1, base, step, base, step, 3)
                images = blocks.mean(axis=(2, 4), dtype=np.float32)
            return images if base == VIEW else images[:, top:top + VIEW, left:left + VIEW]
    raise ValueError(f'images of shape {images.shape}; expected (n, side, side, 3) with a multiple '
                     'of 64 or 76 as side')


def _varied(images: np.ndarray, random: np.random.RandomState) -> Iterator[np.ndarray]:
    """Yields the views of images that a judge is trained on."""
    far = STORED - VIEW
    middle = _views(images)
    yield middle
    for corner in ((0, 0), (0, far), (far, 0), (far, far)):
        yield _views(images, *corner)
    yield blurred(middle)
    yield blurred(_views(images, *random.randint(0, far + 1, 2)))
    yield np.clip(middle + random.normal(0, NOISE, middle.shape), 0, 255)
    for light in LIGHTS:
        shifted = _views(images, *random.randint(0, far + 1, 2)).astype(np.float32)
        yield np.clip(shifted * light, 0, 255)


def blurred(
        views: np.ndarray,             # [n, S, S, 3]
        passes: int = BLUR_PASSES,     # of (1, 2, 1) / 4 along each axis
) -> np.ndarray:
    views = np.asarray(views, np.float32)
    for axis in (1, 2) * passes:
        size = views.shape[axis]
        before = np.take(views, np.maximum(np.arange(size) - 1, 0), axis=axis)
        after = np.take(views, np.minimum(np.arange(size) + 1, size - 1), axis=axis)
        views = 0.5 * views + 0.25 * (before + after)
    return views


def colour_counts(
        views: np.ndarray,             # [n, 64, 64, 3] in [0, 255]
) -> np.ndarray:
    """(n, features + 1): the shares of colours in each region, as `as_features` gives them.

    Mirrored regions count as one, so a mirrored image has the same features.
    """
    views = views[:, BORDER:VIEW - BORDER, BORDER:VIEW - BORDER]
    side = views.shape[1]
    cell = np.arange(side) * CELLS // side
    cell = np.minimum(cell, CELLS - 1 - cell)[None, :] + cell[:, None] * (CELLS // 2)
    return as_features(soft_counts(views, cell, BINS), side ** 2 / (CELLS * (CELLS // 2)))
