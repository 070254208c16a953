"""The record of scores: one line each, identified by its key.

    scores.jsonl          one score per line
    refused.json          [{protocol, set, reason}]: the scores that were refused
    features/             what the networks compute for each set (see `features`)
    events/               the lines of checkpoints, for TensorBoard

A line's `key` is a digest of everything that affects its value. Lines with the same `comparable`
differ in the checkpoint alone; those of earlier checkpoints stay in the record.
"""

import logging
import os
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.files import digest_of, read_json_lines, write_json, write_json_lines
from stackgan.platforms.parts import ALONE, Parts
from stackgan.scoring.attributes import NETWORK, CaptionAttributes
from stackgan.scoring.extractor import Extractor
from stackgan.scoring.features import Features, extract, keep
from stackgan.scoring.image_sets import ATTRIBUTES_ONLY, ImageSet, RealImages
from stackgan.scoring.protocols import Network, Protocol, near_chance, protocols_of, try_score
from stackgan.scoring.scored_set import Captions, ScoredSet
from stackgan.scoring.table import table
from stackgan.tensorflow_paths import plain_path

logger = logging.getLogger(__name__)

SCORES, REFUSED, FEATURES, EVENTS = 'scores.jsonl', 'refused.json', 'features', 'events'
TAGS = {'generated': 'scores/', 'stage1': 'scores_of_stage1_images/',
        'real': 'scores_of_real_images/'}       # of TensorBoard
ELONGATED = 1.5            # composites that hold several images are longer than this
Line = Dict[str, Any]      # of scores.jsonl


class Origin(NamedTuple):
    """Where a set comes from."""

    checkpoint: Optional[str] = None     # path of the checkpoint below the volume
    step: Optional[int] = None           # training steps it has seen
    stage: Optional[int] = None


class Rules(NamedTuple):
    """What all scores of a record have in common."""

    splits: int
    seed: int
    captions: Optional[Captions]
    captions_digest: Optional[str]       # of the embeddings
    scorer_accuracy: Optional[float]     # on held-out real images, in [0, 1]
    attributes: Optional[CaptionAttributes] = None       # of painted birds
    clip_captions: Optional[Captions] = None             # of score.clip


class Scoring:
    """Scores sets, one after the other, beside the real test images."""

    def __init__(
            self,
            folder: str,                # to write to; may hold what an interrupted job left
            earlier: Sequence[str],     # folders of finished records, to reuse what is in them
            extractors: Sequence[Extractor],
            rules: Rules,
            real: RealImages,
            parts: Parts = ALONE,     # of the features, by several workers
    ) -> None:
        self.folder, self.earlier = folder, earlier
        self.extractors = {each.name: each for each in extractors}
        self.rules, self.real, self.parts = rules, real, parts
        networks = [Network(each.name, each.classes > 0, each.dim > 0) for each in extractors]
        self.protocols = protocols_of(networks, rules.splits, rules.seed, rules.captions,
                                      rules.attributes, rules.clip_captions)
        self.known = {line['key']: line for path in list(earlier) + [folder]
                      for line in _read_lines(os.path.join(path, SCORES))}
        self.lines: List[Line] = []
        self.refused: List[Dict[str, Any]] = []
        self.seen: Dict[str, ScoredSet] = {}
        self.near_chance: Set[Tuple[str, str]] = set()    # (protocol, real images)

    def score(
            self,
            images: ImageSet,
            origin: Origin,
    ) -> None:
        """Adds a line for each protocol; scores that are known are not computed again."""
        for protocol in self.protocols:
            if not _applies(protocol, images) or self._is_refused(protocol, images):
                continue
            keys = self._keys(protocol, images)
            line = self.known.get(keys['key']) or self._compute(protocol, images, origin, keys)
            if line and not self._is_near_chance(protocol, images, line):
                self.lines.append(line)
                self._write()
        if not self._is_seen(images):
            keep(images, self._extractors_for(images), os.path.join(self.folder, FEATURES),
                 self._earlier_features())
        self._write()

    def _extractors_for(self, images: ImageSet) -> List[Extractor]:
        """Those whose features a protocol reads."""
        names = {protocol.network for protocol in self.protocols if _applies(protocol, images)}
        return [each for name, each in self.extractors.items() if name in names]

    def _earlier_features(self) -> List[str]:
        return [os.path.join(path, FEATURES) for path in self.earlier]

    def _is_refused(self, protocol: Protocol, images: ImageSet) -> bool:
        """Whether the protocol cannot judge real images, such as these are to look like."""
        return ((protocol.name, 'real') in self.near_chance
                or images.column == 'stage1' and (protocol.name, 'real64') in self.near_chance)

    def _is_near_chance(self, protocol: Protocol, images: ImageSet, line: Line) -> bool:
        """Refuses, here and from now on, a protocol that cannot judge these real images."""
        reason = (near_chance(protocol, line['value']) if images.column in ('real', 'real64')
                  else None)
        if reason:
            self.near_chance.add((protocol.name, images.column))
            self.refuse(protocol.name, 'stage1' if images.column == 'real64' else 'all', reason)
        return bool(reason)

    def _compute(self, protocol: Protocol, images: ImageSet, origin: Origin,
                 keys: Dict[str, str]) -> Optional[Line]:
        """A line; None for a score that is refused."""
        scored = self.see(images)
        real = scored if images is self.real else self.see(self.real)
        started = time.monotonic()
        score, reason = try_score(protocol, scored, real)
        if score is None:
            self.refuse(protocol.name, images.column, reason)
            return None
        extractor = self.extractors[protocol.network]
        line = {
            'protocol': protocol.name, 'set': images.column, 'value': score.value,
            'deviation': score.deviation, 'splits': list(score.parts),
            'seed': self.rules.seed, 'weights': extractor.facts['weights'],
            'precision': extractor.facts['precision'],
            'preprocessing': extractor.facts.get('preprocessing'),
            'scorer_accuracy': (self.rules.scorer_accuracy if protocol.network == 'scorer'
                                else None),
            'seconds': round(scored.seconds + time.monotonic() - started, 3)}
        line.update(origin._asdict(), **keys)
        line.update(_count(scored.features[protocol.network]), **score.more)
        return line

    def refuse_network(self, network: str, reason: str) -> None:
        """Records that a network gives no scores."""
        for protocol in protocols_of([Network(network)], self.rules.splits, self.rules.seed, None,
                                     self.rules.attributes):
            self.refuse(protocol.name, 'all', reason)

    def refuse(self, protocol: str, name: str, reason: Optional[str]) -> None:
        """Records why there is no score of a set; 'all': of no set."""
        self.refused.append({'protocol': protocol, 'set': name, 'reason': reason})
        logger.info(f'refused: {protocol} of {name} images: {reason}')

    def see(self, images: ImageSet) -> ScoredSet:
        """`ScoredSet`; the features of a set are computed once."""
        if not self._is_seen(images):
            started = time.monotonic()
            features = extract(images, self._extractors_for(images),
                               os.path.join(self.folder, FEATURES), 'score ' + images.name,
                               self._earlier_features(), self.parts)
            self.seen[images.name] = ScoredSet(images, features, time.monotonic() - started)
            for warning in warnings_of(next(iter(features.values())), images.name):
                logger.warning(warning)
        return self.seen[images.name]

    def _is_seen(self, images: ImageSet) -> bool:
        return images.name in self.seen and self.seen[images.name].images is images

    def _keys(self, protocol: Protocol, images: ImageSet) -> Dict[str, str]:
        """{'key', 'comparable'} of a line."""
        facts = {'protocol': protocol.name, 'splits': self.rules.splits, 'seed': self.rules.seed,
                 'network': self.extractors[protocol.network].facts, 'pictures': images.facts}
        if protocol.needs_real:
            facts['real'] = self.real.facts
        if protocol.network == 'match':
            facts['captions'] = self.rules.captions_digest
        alike = dict(images.facts, checkpoint=None)
        return {'key': digest_of(facts), 'comparable': digest_of(dict(facts, pictures=alike))}

    def _write(self) -> None:
        """Writes the record: the lines of now, and comparable lines of other checkpoints."""
        alike = {line['comparable'] for line in self.lines}
        now = {line['key'] for line in self.lines}
        lines = self.lines + [line for line in self.known.values()
                              if line['comparable'] in alike and line['key'] not in now]
        order = [protocol.name for protocol in self.protocols]
        lines.sort(key=lambda line: (order.index(line['protocol']), line['set'],
                                     line['step'] or 0))
        write_json_lines(os.path.join(self.folder, SCORES), lines)
        write_json(os.path.join(self.folder, REFUSED), self.refused)

    def finish(self) -> None:
        """Writes the events and prints the table."""
        write_events(os.path.join(self.folder, EVENTS),
                     _read_lines(os.path.join(self.folder, SCORES)))
        for text in table(self.lines):
            logger.info(text)


def _applies(protocol: Protocol, images: ImageSet) -> bool:
    if images.column == 'real':
        return True
    if images.purpose == ATTRIBUTES_ONLY:
        return protocol.network == NETWORK
    return (protocol.purpose == images.purpose
            and (images.has_captions or not protocol.needs_captions))


def warnings_of(
        features: Features,  # of any network
        name: str,           # of the set
) -> Iterator[str]:
    """Warnings about a set: duplicates, composites."""
    counts = _count(features)
    if counts['duplicates']:
        yield (f'{counts["duplicates"]} of {counts["images"]} {name} images are exact copies of '
               'others')
    if counts['elongated']:
        yield (f'the long side of {counts["elongated"]} of {counts["images"]} {name} images is at '
               f'least {ELONGATED} times the short one: composites of several images? They are '
               'scored as they are, squeezed into a square')


def _count(features: Features) -> Dict[str, int]:
    """{'images', 'unreadable', 'duplicates', 'elongated'} of a set."""
    rows = [(part['digest'], part['elongation']) for part in features.blocks()]
    digests, elongation = [np.concatenate(column) for column in zip(*rows)]
    good = elongation > 0
    return {'images': int(good.sum()), 'unreadable': int((~good).sum()),
            'duplicates': int(good.sum() - len(np.unique(digests[good]))),
            'elongated': int((elongation >= ELONGATED).sum())}


def write_events(
        folder: str,            # gets a TensorBoard event file
        lines: Sequence[Line],  # of scores.jsonl
) -> None:
    """The scores of checkpoints by their step, with those of real images beside them."""
    real = {line['protocol']: line['value'] for line in lines if line['set'] == 'real'}
    steps = sorted({line['step'] for line in lines if line['step'] is not None})
    with plain_path(folder) as plain, tf.Graph().as_default():      # FileWriter refuses eager mode
        writer = tf.summary.FileWriter(plain)
        for step in steps:
            values = {TAGS[line['set']] + line['protocol']: line['value'] for line in lines
                      if line['step'] == step}
            values.update({TAGS['real'] + name: value
                           for name, value in real.items()})
            writer.add_summary(tf.Summary(value=[
                tf.Summary.Value(tag=tag, simple_value=value)
                for tag, value in values.items()]), step)
        writer.close()


def _read_lines(path: str) -> List[Line]:
    try:
        return read_json_lines(path)
    except (OSError, ValueError):
        return []
