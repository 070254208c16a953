"""The function of each protocol: (scored set, real set) -> Score."""

from typing import Callable, List, Tuple

import numpy as np

from stackgan.data.noise import random_state
from stackgan.errors import StackganError
from stackgan.scoring.attributes import (
    ALL,
    ATTRIBUTES,
    NETWORK,
    CaptionAttributes,
    attribute_accuracy,
    legible,
    read_by_judge,
)
from stackgan.scoring.features import Features
from stackgan.scoring.scored_set import Captions, ScoredSet, readable
from stackgan.scoring.statistics import Score
from stackgan.scoring.statistics.clip_score import clip_score
from stackgan.scoring.statistics.frechet import Moments, frechet_distance
from stackgan.scoring.statistics.inception_score import (
    PUBLIC_BATCH,
    full_parts,
    inception_score,
    public_parts,
    softmax,
)
from stackgan.scoring.statistics.kernel_distance import kernel_distance
from stackgan.scoring.statistics.neighbours import share_within, some_rows
from stackgan.scoring.statistics.r_precision import is_own_nearest, other_captions, r_precision
from stackgan.scoring.statistics.variety import distances_within, variety

MIN_IN_A_SPLIT = 2         # a single image always scores 1
PARTS = {'full': full_parts, 'public': public_parts}

ScoreOf = Callable[[ScoredSet, ScoredSet], Score]


def minimum_images(
        splits: int,
        kind: str = 'full',      # or 'public'
) -> int:
    """Images that an inception score over `splits` needs."""
    minimum = MIN_IN_A_SPLIT * splits
    return minimum if kind == 'full' else -(-minimum // PUBLIC_BATCH) * PUBLIC_BATCH


def inception_score_of(network: str, kind: str, splits: int, seed: int) -> ScoreOf:
    def score(scored: ScoredSet, real: ScoredSet) -> Score:
        features = scored.features[network]
        count, minimum = readable(features), minimum_images(splits, kind)
        if count < minimum:
            raise StackganError(f'{count} images for {splits} splits; at least {minimum} are '
                                'needed')
        return inception_score((softmax(rows['logits']) for rows in features.good_blocks()),
                               PARTS[kind](count, splits, seed), splits)
    return score


def frechet_of(network: str, seed: int) -> ScoreOf:
    def score(scored: ScoredSet, real: ScoredSet) -> Score:
        if scored is real:
            one, other = _halves_of_moments(real.features[network], seed)
        else:
            one, other = _moments(scored.features[network]), _moments(real.features[network])
        return Score(frechet_distance(one, other), None, ())
    return score


def _moments(features: Features) -> Moments:
    moments = Moments()
    for rows in features.good_blocks():
        moments.add(rows['features'])
    return moments


def _halves_of_moments(features: Features, seed: int) -> Tuple[Moments, Moments]:
    halves, row = (Moments(), Moments()), 0
    half_of_row = full_parts(features.count, 2, seed)
    for rows in features.blocks():
        for half, moments in enumerate(halves):
            moments.add(rows['features'][half_of_row[row:row + len(rows)] == half])
        row += len(rows)
    return halves


def kernel_of(network: str, seed: int) -> ScoreOf:
    def score(scored: ScoredSet, real: ScoredSet) -> Score:
        return kernel_distance(*_pair(scored, real, network, seed), seed)
    return score


def precision_of(network: str, seed: int) -> ScoreOf:
    def score(scored: ScoredSet, real: ScoredSet) -> Score:
        one, other = [some_rows(rows, seed) for rows in _pair(scored, real, network, seed)]
        return Score(share_within(one, manifold=other), None, ())
    return score


def recall_of(network: str, seed: int) -> ScoreOf:
    def score(scored: ScoredSet, real: ScoredSet) -> Score:
        one, other = [some_rows(rows, seed) for rows in _pair(scored, real, network, seed)]
        return Score(share_within(other, manifold=one), None, ())
    return score


def _pair(scored: ScoredSet, real: ScoredSet, network: str,
          seed: int) -> Tuple[np.ndarray, np.ndarray]:
    """Features of the scored and the real images; of the real ones, two halves of them."""
    if scored is not real:
        return scored.rows(network), real.rows(network)
    rows = real.rows(network)
    half = full_parts(len(rows), 2, seed)
    return rows[half == 0], rows[half == 1]


def variety_of(network: str) -> ScoreOf:
    def score(scored: ScoredSet, real: ScoredSet) -> Score:
        return variety(*[distances_within(each.rows(network), each.images.groups())
                         for each in (scored, real)])
    return score


def r_precision_of(network: str, captions: Captions, folds: int, seed: int) -> ScoreOf:
    def score(scored: ScoredSet, real: ScoredSet) -> Score:
        own_rows = scored.images.captions()
        hits: List[bool] = []
        for rows in scored.features[network].blocks():
            for image in rows['features']:
                index = len(hits)
                own = own_rows[index]
                others = other_captions(random_state(seed, 'other captions', index),
                                        captions.classes[own], captions.classes)
                texts = [captions.embeddings.read(int(row)) for row in [own] + list(others)]
                hits.append(is_own_nearest(image, np.stack(texts)))
        return r_precision(hits, folds, seed)
    return score


def clip_score_of(network: str, captions: Captions, folds: int, seed: int) -> ScoreOf:
    def score(scored: ScoredSet, real: ScoredSet) -> Score:
        images = scored.rows(network)
        texts = [captions.embeddings.read(int(row)) for row in scored.images.captions()]
        return clip_score(images, np.stack(texts), folds, seed)
    return score


def attribute_accuracy_of(name: str, attributes: CaptionAttributes, minimum: float,
                          seed: int) -> ScoreOf:
    """Of one attribute, or of all together that the judge reads well enough."""
    def read(scored: ScoredSet) -> np.ndarray:
        return read_by_judge(scored.features[NETWORK].rows_of('logits'))

    def score(scored: ScoredSet, real: ScoredSet) -> Score:
        columns = [ATTRIBUTES.index(name)] if name != ALL else legible(
            read(real), attributes, real.images.captions(), minimum)
        return attribute_accuracy(columns, read(scored), attributes, scored.images.captions(),
                                  seed)
    return score
