"""The record of scores: a line each, known again by its key.

    scores.jsonl          one score a line
    refused.json          [{protocol, set, reason}]: the scores there are not
    features/             what the networks saw (see `features`)
    events/               the lines of checkpoints, for TensorBoard

A line's `key` is a digest of all that changes its value. Lines whose `comparable` is the same
differ by the checkpoint alone; those of earlier checkpoints stay in the record.
"""

import logging
import os
import time
from typing import Any, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.files import digest_of, read_json_lines, write_json, write_json_lines
from stackgan.scoring.features import extract, keep
from stackgan.scoring.protocols import ScoredSet, protocols_of, try_score
from stackgan.tensorflow_paths import plain_path

logger = logging.getLogger(__name__)

SCORES, REFUSED, FEATURES, EVENTS = 'scores.jsonl', 'refused.json', 'features', 'events'
ELONGATED = 1.5            # composites that hold several images are longer than this


class Origin(NamedTuple):
    """Where a set comes from."""

    checkpoint: Optional[str] = None     # path of the checkpoint below the volume
    step: Optional[int] = None           # training steps it has seen
    stage: Optional[int] = None


class Rules(NamedTuple):
    """What all scores of a record have in common."""

    splits: int
    seed: int
    captions: Any              # protocols.Captions, or None
    captions_digest: Any       # of the embeddings, or None
    scorer_accuracy: float     # on held-out real images


class Scoring:
    """Scores sets, one after the other, beside the real test images."""

    def __init__(
            self,
            folder,            # to write to; may hold what an interrupted job left
            earlier,           # folders of finished records whose features and lines are used
            extractors,        # [Extractor]
            rules,             # Rules
            real,              # image_sets.RealImages
    ):
        self.folder, self.earlier = folder, earlier
        self.extractors = {each.name: each for each in extractors}
        self.rules, self.real = rules, real
        self.protocols = protocols_of([each.name for each in extractors], rules.splits, rules.seed,
                                      rules.captions)
        self.known = {line['key']: line for path in list(earlier) + [folder]
                      for line in _read_lines(os.path.join(path, SCORES))}
        self.lines, self.refused, self.seen = [], [], {}

    def score(
            self,
            images,            # a set of image_sets
            origin,            # Origin
    ):
        """Adds a line for each protocol; what is known already is not computed again."""
        for protocol in self.protocols:
            if protocol.network == 'match' and not hasattr(images, 'captions'):
                continue
            keys = self._keys(protocol, images)
            if keys['key'] in self.known:
                self.lines.append(self.known[keys['key']])
            else:
                self._compute(protocol, images, origin, keys)
        if not self._is_seen(images):
            keep(images, list(self.extractors.values()), os.path.join(self.folder, FEATURES),
                 self._earlier_features())
        self._write()

    def _earlier_features(self):
        return [os.path.join(path, FEATURES) for path in self.earlier]

    def _compute(self, protocol, images, origin, keys):
        scored = self.see(images)
        real = scored if images is self.real else self.see(self.real)
        started = time.monotonic()
        score, reason = try_score(protocol, scored, real)
        if score is None:
            return self._refuse(protocol.name, images.name, reason)
        extractor = self.extractors[protocol.network]
        line = {
            'protocol': protocol.name, 'set': images.name, 'value': score.value,
            'deviation': score.deviation, 'splits': list(score.parts),
            'seed': self.rules.seed, 'weights': extractor.facts['weights'],
            'precision': extractor.facts['precision'],
            'scorer_accuracy': (self.rules.scorer_accuracy if protocol.network == 'scorer'
                                else None),
            'seconds': round(scored.seconds + time.monotonic() - started, 3)}
        line.update(origin._asdict(), **keys)
        line.update(_count(scored.features[protocol.network]))
        self.lines.append(line)
        self._write()

    def refuse_network(self, network, reason):
        """Records that there are no scores of a network."""
        for kind in (f'inception_score/{network}/full', 'fid/' + network):
            self._refuse(kind, 'all', reason)

    def _refuse(self, protocol, name, reason):
        self.refused.append({'protocol': protocol, 'set': name, 'reason': reason})
        logger.info(f'refused: {protocol} of {name} images: {reason}')

    def see(self, images):
        """`ScoredSet`; each set is looked at once."""
        if not self._is_seen(images):
            started = time.monotonic()
            features = extract(images, list(self.extractors.values()),
                               os.path.join(self.folder, FEATURES), 'score ' + images.name,
                               self._earlier_features())
            self.seen[images.name] = ScoredSet(images, features, time.monotonic() - started)
            for warning in warnings_of(next(iter(features.values())), images.name):
                logger.warning(warning)
        return self.seen[images.name]

    def _is_seen(self, images):
        return images.name in self.seen and self.seen[images.name].images is images

    def _keys(self, protocol, images):
        """{'key', 'comparable'} of a line."""
        facts = {'protocol': protocol.name, 'splits': self.rules.splits, 'seed': self.rules.seed,
                 'network': self.extractors[protocol.network].facts, 'pictures': images.facts}
        if protocol.name.startswith('fid/'):
            facts['real'] = self.real.facts
        if protocol.network == 'match':
            facts['captions'] = self.rules.captions_digest
        alike = dict(images.facts, checkpoint=None)
        return {'key': digest_of(facts), 'comparable': digest_of(dict(facts, pictures=alike))}

    def _write(self):
        """Writes the record: what is scored now, and comparable lines of other checkpoints."""
        alike = {line['comparable'] for line in self.lines}
        now = {line['key'] for line in self.lines}
        lines = self.lines + [line for line in self.known.values()
                              if line['comparable'] in alike and line['key'] not in now]
        order = [protocol.name for protocol in self.protocols]
        lines.sort(key=lambda line: (order.index(line['protocol']), line['set'],
                                     line['step'] or 0))
        write_json_lines(os.path.join(self.folder, SCORES), lines)
        write_json(os.path.join(self.folder, REFUSED), self.refused)

    def finish(self):
        """Writes the events and prints the table."""
        write_events(os.path.join(self.folder, EVENTS),
                     _read_lines(os.path.join(self.folder, SCORES)))
        for text in table(self.lines):
            logger.info(text)


def warnings_of(
        features,          # Features, of any network
        name,              # of the set
):
    """Texts on what is suspicious in a set."""
    counts = _count(features)
    if counts['duplicates']:
        yield ('%d of %d %s images are exact copies of others'
               % (counts['duplicates'], counts['images'], name))
    if counts['elongated']:
        yield ('%d of %d %s images are at least %.1f times as long as wide or high: composites '
               'of several images? They are scored as they are, squeezed into a square'
               % (counts['elongated'], counts['images'], name, ELONGATED))


def _count(features):
    """{'images', 'unreadable', 'duplicates', 'elongated'} of a set."""
    rows = [(part['digest'], part['elongation']) for part in features.blocks()]
    digests, elongation = [np.concatenate(column) for column in zip(*rows)]
    good = elongation > 0
    return {'images': int(good.sum()), 'unreadable': int((~good).sum()),
            'duplicates': int(good.sum() - len(np.unique(digests[good]))),
            'elongated': int((elongation >= ELONGATED).sum())}


def table(
        lines,             # of the sets scored now
):
    """Texts of a table: a row a protocol, a column a set."""
    newest = {(line['protocol'], line['set']): line for line in lines}
    names = sorted({name for _, name in newest}, key=['generated', 'folder', 'real'].index)
    rows = [['protocol'] + names]
    for protocol in sorted({protocol for protocol, _ in newest},
                           key=[line['protocol'] for line in lines].index):
        rows.append([protocol] + [_cell(newest.get((protocol, name))) for name in names])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows]


def _cell(line):
    if line is None:
        return '-'
    deviation = '' if line['deviation'] is None else ' +- {:.3g}'.format(line['deviation'])
    return '%.4g%s (%d)' % (line['value'], deviation, line['images'])


def write_events(
        folder,            # gets a TensorBoard event file
        lines,             # of scores.jsonl
):
    """The scores of checkpoints by their step, with those of real images beside them."""
    real = {line['protocol']: line['value'] for line in lines if line['set'] == 'real'}
    steps = sorted({line['step'] for line in lines if line['step'] is not None})
    with plain_path(folder) as plain, tf.Graph().as_default():      # or it thinks it is eager
        writer = tf.summary.FileWriter(plain)
        for step in steps:
            values = {'scores/' + line['protocol']: line['value'] for line in lines
                      if line['step'] == step}
            values.update({'scores_of_real_images/' + name: value
                           for name, value in real.items()})
            writer.add_summary(tf.Summary(value=[
                tf.Summary.Value(tag=tag, simple_value=value)
                for tag, value in values.items()]), step)
        writer.close()


def _read_lines(path):
    try:
        return read_json_lines(path)
    except (OSError, ValueError):
        return []
