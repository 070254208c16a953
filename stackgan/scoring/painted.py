"""Held-out captions of painted birds: does the image have the body colour that was asked for?"""

import os

import numpy as np

from stackgan.data.images import require_image
from stackgan.data.prepared import LOW, Split, open_dataset
from stackgan.scoring.colour import colour_report, read_body_colours, train_judge

JUDGED_FROM = 600        # real images that the judge learns from, at most


def judge_samples(
        folder,           # with the files of `index`
        index,            # lines of samples.jsonl, generated from held-out captions
        prepared,         # folder of the prepared dataset
        attributes,       # path of attributes.jsonl
):
    """{side: `colour_report`} of the generated images, by a judge of the real ones."""
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
        reports,          # of `judge_samples`
):
    """One line for people."""
    sides = sorted(reports, key=int)
    first = reports[sides[0]]
    shares = ', '.join('{} px {:.1f} %'.format(side, 100 * reports[side]['accuracy'])
                       for side in sides)
    return ('attribute accuracy, body colour: %s of %d held-out captions (chance %.1f %%, captions '
            'shuffled %.1f %%, judge on real test images %.1f %%)'
            % (shares, first['count'], 100 * first['chance'], 100 * first['shuffled_accuracy'],
               100 * first['real_accuracy']))


def _real(split, bodies, names):
    """(images, labels) of real ones, evenly chosen."""
    items = split.items()
    chosen = np.unique(np.linspace(0, len(items) - 1, min(len(items), JUDGED_FROM)).astype(int))
    return (np.stack([split.image(i, LOW) for i in chosen]),
            [names.index(bodies[items[i]['name']]) for i in chosen])
