"""Attribute accuracy of painted birds: does an image have what its caption names?

The attributes are the colours of body, wings, crown and beak, and the scene. An `AttributeJudge`
(see attribute_judge) gives a score for each of their values; the highest one is what it reads. An
attribute counts only where the caption names it.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from stackgan.data.painted import VALUES, are_species, asked_by, true_of
from stackgan.data.prepared import Split
from stackgan.scoring.statistics import Score

NETWORK = 'attributes'
ATTRIBUTES = tuple(VALUES)
ALL = 'all'                # of those that the caption names, together
SHUFFLES = 20
OUTPUTS = sum(len(values) for values in VALUES.values())
# Where the scores of an attribute's values begin and end among the OUTPUTS of a judge.
ENDS = np.cumsum([len(VALUES[name]) for name in ATTRIBUTES])
SLICES: Dict[str, slice] = {name: slice(end - len(VALUES[name]), end)
                            for name, end in zip(ATTRIBUTES, ENDS.tolist())}


class CaptionAttributes(NamedTuple):
    """Of every caption of a split, in the order of `ATTRIBUTES`."""

    values: np.ndarray       # [captions, 5] int: what is true of its image, an index of VALUES
    named: np.ndarray        # [captions, 5] bool: whether the caption says so

    @staticmethod
    def chance(name: str) -> Optional[float]:
        """Accuracy of a guess; None for all attributes together."""
        return None if name == ALL else 1.0 / len(VALUES[name])


def caption_attributes(
        split: Split,
        classes: Sequence[str],      # class names of the dataset
) -> Optional[CaptionAttributes]:
    """None for a dataset that is not of painted birds."""
    if not are_species(classes):
        return None
    values, named = [], []
    for item in split.items():
        species = classes[item['class_id']]
        truth = true_of(item['captions'], species)
        row = [VALUES[name].index(truth[name]) for name in ATTRIBUTES]
        for caption in item['captions']:
            asked = asked_by(caption, species)
            values.append(row)
            named.append([name in asked for name in ATTRIBUTES])
    return CaptionAttributes(np.array(values), np.array(named))


def read_by_judge(
        logits: np.ndarray,      # [n, OUTPUTS]
) -> np.ndarray:
    """[n, 5] int: indices of VALUES."""
    return np.stack([logits[:, SLICES[name]].argmax(axis=1) for name in ATTRIBUTES], axis=1)


def attribute_accuracy(
        columns: Sequence[int],          # places in ATTRIBUTES of those that count, together
        read: np.ndarray,                # [n, 5]: what the judge reads in the images
        attributes: CaptionAttributes,
        captions: np.ndarray,            # [n] row of the caption of each image
        seed: int,                       # of the shuffles
) -> Score:
    """The share of images that have what their captions name, of those whose captions name some.

    `more` has 'asked', the number of these images, and 'shuffled', the same share when each image
    gets the caption of another one: near chance unless the images ignore their captions.
    """
    value, asked = _share(columns, read, attributes, captions)
    random = np.random.RandomState(seed)
    shuffled = [_share(columns, read, attributes, others(captions, random))[0]
                for _ in range(SHUFFLES)]
    return Score(value, None, (), {'asked': asked, 'shuffled': float(np.mean(shuffled))})


def _share(columns: Sequence[int], read: np.ndarray, attributes: CaptionAttributes,
           captions: np.ndarray) -> Tuple[float, int]:
    """(share of images with all that is named, number of images that count)."""
    columns = list(columns)
    named = attributes.named[captions][:, columns]
    has = (read == attributes.values[captions])[:, columns] | ~named
    counts = named.any(axis=1)
    if not counts.any():
        raise ValueError('no caption names it')
    return float(has[counts].all(axis=1).mean()), int(counts.sum())


def others(labels: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Each label replaced by that of another image: a random cycle through all of them."""
    order = random.permutation(len(labels))
    result = np.empty_like(labels)
    result[order] = labels[np.roll(order, 1)]
    return result


def legible(
        read: np.ndarray,                # [n, 5]: what the judge reads in real images
        attributes: CaptionAttributes,
        captions: np.ndarray,            # [n] row of the caption of each image
        minimum: float,                  # share that the judge must read correctly
) -> List[int]:
    """Places in ATTRIBUTES of those that the judge can read."""
    return [place for place in range(len(ATTRIBUTES))
            if _share([place], read, attributes, captions)[0] >= minimum]
