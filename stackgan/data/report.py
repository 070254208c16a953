"""report.json of a prepared dataset: what came of the raw one, for people."""

import numpy as np

from stackgan.data.prepared import HIGH, SPLITS
from stackgan.files import write_json

BAD_IMAGES = 'bad-images.jsonl'
PUBLISHED = {                # images for training and for testing, classes of each
    'cub': ('CUB-200-2011 as StackGAN splits it', (8855, 2933, 150, 50)),
    'flowers': ('Oxford 102 flowers as StackGAN splits it', (7034, 1155, 82, 20)),
}


def write_report(path, plan, good, records, bad, digest):
    """report.json. It holds no times: equal datasets have equal files."""
    sizes = np.array([size for record in records for size in record['sizes']])
    report = {'made_from': digest, 'bad_images': len(bad), 'remarks': plan.remarks,
              'enlarged': int((sizes[:, 2] < HIGH).sum()),
              'width': _spread(sizes[:, 0]), 'height': _spread(sizes[:, 1])}
    for split in SPLITS:
        counts = [len(item.captions) for item in good[split]]
        report[split] = {'images': len(counts), 'captions': sum(counts),
                         'captions_an_image': _spread(counts),
                         'classes': len({item.class_name for item in good[split]})}
    write_json(path, report)


def _spread(values):
    return {'least': int(np.min(values)), 'mean': round(float(np.mean(values)), 2),
            'most': int(np.max(values))}


def report_lines(report):
    """report.json as lines for people."""
    lines = []
    for split in SPLITS:
        facts = report[split]
        lines.append('%-5s %d images, %d captions (%s an image), %d classes'
                     % (split + ':', facts['images'], facts['captions'],
                        _range(facts['captions_an_image']), facts['classes']))
    lines.append('sizes: width %s, height %s px; %d crops smaller than %d px were enlarged'
                 % (_range(report['width']), _range(report['height']), report['enlarged'], HIGH))
    lines.append('bad images: %s' % (('%d, listed in %s' % (report['bad_images'], BAD_IMAGES))
                                     if report['bad_images'] else 'none'))
    return lines


def _range(spread):
    if spread['least'] == spread['most']:
        return '%d' % spread['least']
    return '%d to %d, mean %g' % (spread['least'], spread['most'], spread['mean'])


def remark_on_counts(report, layout):
    """A line for a dataset whose counts are not those published for its layout, or None."""
    if layout not in PUBLISHED:
        return None
    name, counts = PUBLISHED[layout]
    parts = [report[split] for split in SPLITS]
    found = tuple(part['images'] for part in parts) + tuple(part['classes'] for part in parts)
    if found == counts:
        return None
    return ('%d images for training and %d for testing, in %d and %d classes; %s has %d and %d in '
            '%d and %d: as it should be for a part of it or a dataset of your own'
            % (found + (name,) + counts))
