"""Attribute accuracy on held-out captions of painted birds: the body colour."""

import os
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from stackgan.data.images import require_image
from stackgan.data.prepared import LOW, Split, open_dataset
from stackgan.scoring.colour import colour_report, read_body_colours, train_judge

JUDGED_FROM = 600        # real images that the judge is trained on, at most


def judge_samples(
        folder: str,                      # with the files of `index`
        index: Sequence[Dict[str, Any]],  # lines of samples.jsonl, generated from held-out captions
        prepared: str,                    # folder of the prepared dataset
        attributes: str,                  # path of attributes.jsonl
) -> Dict[str, Dict[str, Any]]:
    """{side: `colour_report`} of the generated images, by a judge trained on the real ones."""
    bodies = read_body_colours(attributes)
    names = sorted(set(bodies.values()))
    dataset = open_dataset(prepared)
    judge = train_judge(*_real(Split(dataset, 'train'), bodies, names), names)
    real_accuracy = judge.accuracy(*_real(Split(dataset, 'test'), bodies, names))
    asked = [names.index(bodies[line['image']]) for line in index]
    reports = {}
    for side in sorted(index[0]['files'], key=int):
        generated = np.stack([np.asarray(require_image(os.path.join(folder, line['files'][side])))
                              for line in index])
        reports[side] = colour_report(judge.predict(generated), asked, names, real_accuracy)
    return reports


def describe(
        reports: Dict[str, Dict[str, Any]],  # of `judge_samples`
) -> str:
    """One line for people."""
    sides = sorted(reports, key=int)
    first = reports[sides[0]]
    shares = ', '.join(f'{side} px {100 * reports[side]["accuracy"]:.1f} %' for side in sides)
    return (f'attribute accuracy, body colour: {shares} of {first["count"]} held-out captions '
            f'(chance {100 * first["chance"]:.1f} %, captions shuffled '
            f'{100 * first["shuffled_accuracy"]:.1f} %, judge on real test images '
            f'{100 * first["real_accuracy"]:.1f} %)')


def _real(split: Split, bodies: Dict[str, str],
          names: Sequence[str]) -> Tuple[np.ndarray, List[int]]:
    """(images, labels) of real images, evenly spaced."""
    items = split.items()
    chosen = np.unique(np.linspace(0, len(items) - 1, min(len(items), JUDGED_FROM)).astype(int))
    return (np.stack([split.image(i, LOW) for i in chosen]),
            [names.index(bodies[items[i]['name']]) for i in chosen])
