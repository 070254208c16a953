"""Protocols: from the features of a set to a score whose name says how it was made.

    inception_score/<network>/full     every image, shuffled with a seed (as torch-fidelity)
    inception_score/stackgan/public    the number of the public script for a shuffle of that seed
    fid/<network>                      against the real test images; for those themselves:
                                       between two halves of them
    r_precision/top1_of_100            with the text and image encoder of the run

`<network>` is scorer, stackgan or imagenet: numbers of different networks never compare.
"""

from typing import Any, NamedTuple

import numpy as np

from stackgan.data.noise import random_state
from stackgan.errors import StackganError
from stackgan.scoring.statistics import Score
from stackgan.scoring.statistics.frechet import Moments, frechet_distance
from stackgan.scoring.statistics.inception_score import (
    PUBLIC_BATCH,
    full_parts,
    inception_score,
    public_parts,
    softmax,
)
from stackgan.scoring.statistics.r_precision import is_own_nearest, other_captions, r_precision

MIN_IN_A_SPLIT = 2       # a single image always scores 1
PARTS = {'full': full_parts, 'public': public_parts}


class Captions(NamedTuple):
    """The test captions, for R-precision."""

    embeddings: Any          # data.prepared.ArrayFile, a row a caption
    classes: np.ndarray      # [captions] int


class ScoredSet(NamedTuple):
    """A set with what the networks see in it."""

    images: Any              # a set of image_sets
    features: dict           # {network name: Features}
    seconds: float           # that seeing took


class Protocol(NamedTuple):
    """One way to score, of one network."""

    name: str
    network: str             # name of the extractor
    score: Any               # (ScoredSet, ScoredSet of the real images) -> Score


def protocols_of(
        networks,            # names of the extractors there are
        splits,
        seed,                # of shuffles and choices
        captions,            # Captions; None: no R-precision
):
    """[Protocol] in the order of the record."""
    found = []
    for network in networks:
        if network == 'match':
            continue
        for kind in ('full', 'public') if network == 'stackgan' else ('full',):
            found.append(Protocol(f'inception_score/{network}/{kind}', network,
                                  _inception(network, kind, splits, seed)))
        found.append(Protocol('fid/' + network, network, _frechet(network, seed)))
    if 'match' in networks and captions:
        found.append(Protocol('r_precision/top1_of_100', 'match',
                              _match(captions, splits, seed)))
    return found


def minimum_images(
        splits,
        kind='full',         # or 'public'
):
    """Images that an inception score over `splits` needs."""
    least = MIN_IN_A_SPLIT * splits
    return least if kind == 'full' else -(-least // PUBLIC_BATCH) * PUBLIC_BATCH


def readable(
        features,            # Features
):
    """Number of images that could be read."""
    return sum(len(rows) for rows in features.good_blocks())


def _inception(network, kind, splits, seed):
    def score(scored, real):
        features = scored.features[network]
        count, least = readable(features), minimum_images(splits, kind)
        if count < least:
            raise StackganError('%d images for %d splits; at least %d are needed'
                                % (count, splits, least))
        return inception_score((softmax(rows['logits']) for rows in features.good_blocks()),
                               PARTS[kind](count, splits, seed), splits)
    return score


def _frechet(network, seed):
    def score(scored, real):
        if scored is real:
            one, other = _halves(real.features[network], seed)
        else:
            one, other = _moments(scored.features[network]), _moments(real.features[network])
        value = frechet_distance(one, other)
        return Score(value, None, ())
    return score


def _moments(features):
    moments = Moments()
    for rows in features.good_blocks():
        moments.add(rows['features'])
    return moments


def _halves(features, seed):
    halves, row = (Moments(), Moments()), 0
    half_of_row = full_parts(features.count, 2, seed)
    for rows in features.blocks():
        for half, moments in enumerate(halves):
            moments.add(rows['features'][half_of_row[row:row + len(rows)] == half])
        row += len(rows)
    return halves


def _match(captions, folds, seed):
    def score(scored, real):
        own_rows, hits = scored.images.captions(), []
        for rows in scored.features['match'].blocks():
            for image in rows['features']:
                index = len(hits)
                own = own_rows[index]
                others = other_captions(random_state(seed, 'other captions', index),
                                        captions.classes[own], captions.classes)
                texts = [captions.embeddings.read(int(row)) for row in [own] + list(others)]
                hits.append(is_own_nearest(image, np.stack(texts)))
        return r_precision(hits, folds, seed)
    return score


def try_score(
        protocol,            # Protocol
        scored,              # ScoredSet
        real,                # ScoredSet
):
    """(Score, None), or (None, the reason why there is none)."""
    try:
        return protocol.score(scored, real), None
    except (StackganError, ValueError) as error:
        return None, str(error)
