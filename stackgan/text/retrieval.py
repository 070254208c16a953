"""How well a text and an image encoder meet on classes that neither has seen.

Scores are cosines, as in training. Class means, as in reedscot/cvpr2016, are over the captions or
the images of a class. Every figure comes with that of guessing.
"""

from typing import Any, Dict, Iterable, List, Tuple

import numpy as np

from stackgan.text.encoder import BATCH, ImageEncoder, TextEncoder
from stackgan.text.pairs import Pairs

MAX_IMAGES = 4096              # of a larger test split so many are looked at, evenly spaced
SEVERAL = 5                    # first images looked at for "any of the first"
PRECISION_AT = 50


def evaluate(
        pairs: Pairs,          # of the test split
        text: TextEncoder,
        image: ImageEncoder,
) -> Dict[str, Any]:
    """`score` of a split, with the number of captions, images and classes."""
    images = np.linspace(0, len(pairs.split) - 1, min(len(pairs.split), MAX_IMAGES)).astype(int)
    classes, labels = np.unique(pairs.split.class_ids[images], return_inverse=True)
    image_features = np.concatenate([image.embed(pairs.centres(images[start:start + BATCH]))
                                     for start in range(0, len(images), BATCH)])
    starts = pairs.split.caption_starts
    rows = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in images])
    own = np.repeat(labels, np.diff(starts)[images])
    batches = ((text.embed([pairs.captions[row] for row in rows[start:start + BATCH]]),
                own[start:start + BATCH]) for start in range(0, len(rows), BATCH))
    counts = {'classes': len(classes), 'images': len(images), 'captions': len(rows)}
    return dict(counts, **score(image_features, labels, batches))


def score(
        image_features: np.ndarray,    # [N, D] float32: image features, of any length
        labels: np.ndarray,            # [N] int: class of each, 0 to C - 1, each class there
        captions: Iterable[Tuple[np.ndarray, np.ndarray]],     # (text features [n, D], classes [n])
) -> Dict[str, Dict[str, float]]:
    """{figure: {'value', 'chance'}}; memory holds the text features of one batch."""
    image_features = _unit(image_features)
    sizes = np.bincount(labels)                                       # images of each class
    means = _sums(image_features, labels, len(sizes)) / sizes[:, np.newaxis]
    text_sums: Any = 0.0
    text_counts: Any = 0
    batches_found: List[np.ndarray] = []
    for features, own in captions:
        features = _unit(features)
        batches_found.append(_find_images(features, own, image_features, labels, means))
        text_sums = text_sums + _sums(features, own, len(sizes))
        text_counts = text_counts + np.bincount(own, minlength=len(sizes))
    class_texts = text_sums / text_counts[:, np.newaxis]
    found = np.concatenate(batches_found).mean(0)
    own_share = sizes / len(labels)
    weights = text_counts / text_counts.sum()
    chance_of_any = [_chance_of_any(size, len(labels), SEVERAL) for size in sizes]
    figures = {
        'caption_to_class': (found[0], 1.0 / len(sizes)),
        'caption_to_image_top1': (found[1], weights @ own_share),
        f'caption_to_image_top{SEVERAL}': (found[2], weights @ chance_of_any),
        'image_to_class': (np.mean(np.argmax(image_features @ class_texts.T, 1) == labels),
                           1.0 / len(sizes)),
        f'precision_at_{PRECISION_AT}': (_precision(class_texts, image_features, labels, sizes),
                                         own_share.mean()),
    }
    return {name: {'value': float(value), 'chance': float(chance)}
            for name, (value, chance) in figures.items()}


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _sums(features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    sums = np.zeros((classes, features.shape[1]))
    np.add.at(sums, labels, features)
    return sums


def _find_images(features: np.ndarray, own: np.ndarray, images: np.ndarray, labels: np.ndarray,
                 means: np.ndarray) -> np.ndarray:
    """[n, 3] of 0 and 1: the best class mean is the own one, so is the class of the best image,
    and that of any of the first images."""
    ranked = np.argsort(-(features @ images.T), axis=1, kind='stable')[:, :SEVERAL]
    is_own = labels[ranked] == own[:, np.newaxis]
    return np.stack([np.argmax(features @ means.T, 1) == own, is_own[:, 0], is_own.any(1)], 1)


def _chance_of_any(size: int, total: int, tries: int) -> float:
    """Probability that `tries` different images of `total` hold one of a class of `size`."""
    misses = [(total - size - k) / (total - k) for k in range(min(tries, total))]
    return 1.0 - np.prod(np.maximum(misses, 0.0))


def _precision(class_texts: np.ndarray, images: np.ndarray, labels: np.ndarray,
               sizes: np.ndarray) -> float:
    """Share of the first 50 images, or as many as the class has, that are of the class; the mean
    over classes. Differs from reedscot/cvpr2016: always 50 there, which a small class cannot fill.
    """
    shares = []
    for label, text in enumerate(class_texts):
        first = np.argsort(-(images @ text), kind='stable')[:min(PRECISION_AT, sizes[label])]
        shares.append(np.mean(labels[first] == label))
    return np.mean(shares)
