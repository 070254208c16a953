"""report.json of a prepared dataset: a summary for people."""

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from stackgan.data.layouts import Plan
from stackgan.data.layouts.common import Item
from stackgan.data.prepared import HIGH, SPLITS
from stackgan.files import write_json

BAD_IMAGES = 'bad-images.jsonl'
PUBLISHED = {                # images for training and for testing, classes of each
    'cub': ('CUB-200-2011 as StackGAN splits it', (8855, 2933, 150, 50)),
    'flowers': ('Oxford 102 flowers as StackGAN splits it', (7034, 1155, 82, 20)),
}


def write_report(
        path: str,
        plan: Plan,
        good: Dict[str, List[Item]],         # for each split, the items in the shards
        records: List[Dict[str, Any]],       # of all shards
        bad: List[Tuple[str, Item]],         # (split, item with a problem)
        digest: str,                         # of everything that the dataset is made from
) -> None:
    """Writes report.json. It contains no times, so that equal datasets have equal files."""
    sizes = np.array([size for record in records for size in record['sizes']])
    report: Dict[str, Any] = {
        'made_from': digest, 'bad_images': len(bad), 'remarks': plan.remarks,
        'enlarged': int((sizes[:, 2] < HIGH).sum()),
        'width': _spread(sizes[:, 0]), 'height': _spread(sizes[:, 1])}
    for split in SPLITS:
        counts = [len(item.captions) for item in good[split]]
        report[split] = {'images': len(counts), 'captions': sum(counts),
                         'captions_an_image': _spread(counts),
                         'classes': len({item.class_name for item in good[split]})}
    write_json(path, report)


def _spread(values: Any) -> Dict[str, float]:
    return {'least': int(np.min(values)), 'mean': round(float(np.mean(values)), 2),
            'most': int(np.max(values))}


def report_lines(report: Dict[str, Any]) -> List[str]:
    """report.json as lines of text."""
    lines = []
    for split in SPLITS:
        facts = report[split]
        name, per_image = f'{split}:', _range(facts['captions_an_image'])
        lines.append(f'{name:<5} {facts["images"]} images, {facts["captions"]} captions '
                     f'({per_image} per image), {facts["classes"]} classes')
    lines.append(f'sizes: width {_range(report["width"])}, height {_range(report["height"])} px; '
                 f'{report["enlarged"]} crops smaller than {HIGH} px were enlarged')
    bad = report['bad_images']
    lines.append(f'bad images: {bad}, listed in {BAD_IMAGES}' if bad else 'bad images: none')
    return lines


def _range(spread: Dict[str, float]) -> str:
    if spread['least'] == spread['most']:
        return str(spread['least'])
    return f'{spread["least"]} to {spread["most"]}, mean {spread["mean"]:g}'


def remark_on_counts(report: Dict[str, Any], layout: str) -> Optional[str]:
    """A line for a dataset whose counts are not those published for its layout, or None."""
    if layout not in PUBLISHED:
        return None
    name, counts = PUBLISHED[layout]
    parts = [report[split] for split in SPLITS]
    found = tuple(part['images'] for part in parts) + tuple(part['classes'] for part in parts)
    if found == counts:
        return None
    return (f'{found[0]} images for training and {found[1]} for testing, in {found[2]} and '
            f'{found[3]} classes; {name} has {counts[0]} and {counts[1]} in {counts[2]} and '
            f'{counts[3]}: expected for a part of it or a dataset of your own')
