"""Protocols: from the features of a set to a score whose name says how it is computed.

    inception_score/<network>/full     every image, shuffled with a seed (as torch-fidelity)
    inception_score/stackgan/public    the number of the public script for a shuffle of that seed
    fid/<network>                      Fréchet distance to the real test images
    kid/<network>                      kernel distance to them, unbiased
    precision/<network>, recall/...    by the 3 nearest neighbours among them
    variety/<network>                  of several noises of one caption
    r_precision/top1_of_100            with the text and image encoder of the run
    clip_score/<network>               CLIPScore: a caption against its image
    r_precision/<network>/top1_of_100  the same with the networks of score.clip
    attribute_accuracy/<attribute>     of painted birds: what their captions name

`<network>` is scorer, stackgan, imagenet, judge-<digest> or clip-<digest>: scores of different
networks never compare. Distances, precision and recall of the real images are those between two
halves of them.
"""

from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.errors import StackganError
from stackgan.scoring import attributes as of_captions
from stackgan.scoring import protocol_scores as scores
from stackgan.scoring.image_sets import IMAGES, VARIETY
from stackgan.scoring.scored_set import Captions, ScoredSet
from stackgan.scoring.statistics import Score
from stackgan.scoring.statistics.r_precision import OTHERS

CLIP = 'clip-'                 # names of networks of score.clip begin with this
MIN_REAL_R_PRECISION = 0.3     # chance is 0.01
MIN_REAL_ATTRIBUTE = 0.95
MIN_REAL_INCEPTION_SCORE = 1.5     # of a judge of one's own; chance is 1

ScoreOf = Callable[[ScoredSet, ScoredSet], Score]      # of a set, given that of the real images


class Network(NamedTuple):
    """What protocols must know of an extractor."""

    name: str
    has_classes: bool = True
    has_features: bool = True


class Protocol(NamedTuple):
    """One way to score, with one network."""

    name: str
    network: str                   # name of the extractor
    score: ScoreOf
    purpose: str = IMAGES          # of the sets that it scores
    needs_captions: bool = False   # of those sets
    needs_real: bool = False       # the real images are part of the score
    minimum_real: Optional[float] = None
    # Real images that score less show that the network cannot judge. None: any score will do.
    chance: Optional[float] = None


def protocols_of(
        networks: Sequence[Network],
        splits: int,
        seed: int,                         # of shuffles and choices
        captions: Optional[Captions],      # None: no R-precision
        attributes: Optional[of_captions.CaptionAttributes] = None,
                                           # None: no attribute accuracy
        clip_captions: Optional[Captions] = None,      # as score.clip embeds them; None: no scores
) -> List[Protocol]:
    """The protocols in the order of the record."""
    found: List[Protocol] = []
    for network in networks:
        if network.name == of_captions.NETWORK or network.name.startswith(CLIP):
            continue
        if network.has_classes:
            found += _of_classes(network.name, splits, seed)
        if network.has_features and network.name != 'match':
            found += _of_features(network.name, seed)
    names = [network.name for network in networks]
    if 'match' in names and captions:
        found.append(Protocol(
            'r_precision/top1_of_100', 'match',
            scores.r_precision_of('match', captions, splits, seed),
            needs_captions=True, minimum_real=MIN_REAL_R_PRECISION, chance=1.0 / (1 + OTHERS)))
    if clip_captions:
        for name in names:
            found += _of_clip(name, clip_captions, splits, seed) if name.startswith(CLIP) else []
    if of_captions.NETWORK in names and attributes:
        found += [_of_attribute(name, attributes, seed)
                  for name in of_captions.ATTRIBUTES + (of_captions.ALL,)]
    return found


def _of_clip(network: str, captions: Captions, splits: int, seed: int) -> List[Protocol]:
    return [
        Protocol('clip_score/' + network, network,
                 scores.clip_score_of(network, captions, splits, seed), needs_captions=True),
        Protocol(f'r_precision/{network}/top1_of_100', network,
                 scores.r_precision_of(network, captions, splits, seed), needs_captions=True,
                 minimum_real=MIN_REAL_R_PRECISION, chance=1.0 / (1 + OTHERS))]


def _of_attribute(name: str, attributes: of_captions.CaptionAttributes, seed: int) -> Protocol:
    score = scores.attribute_accuracy_of(name, attributes, MIN_REAL_ATTRIBUTE, seed)
    return Protocol('attribute_accuracy/' + name, of_captions.NETWORK, score, needs_captions=True,
                    needs_real=name == of_captions.ALL,
                    minimum_real=None if name == of_captions.ALL else MIN_REAL_ATTRIBUTE,
                    chance=attributes.chance(name))


def _of_classes(network: str, splits: int, seed: int) -> List[Protocol]:
    kinds = ('full', 'public') if network == 'stackgan' else ('full',)
    minimum = MIN_REAL_INCEPTION_SCORE if network.startswith('judge-') else None
    return [Protocol(f'inception_score/{network}/{kind}', network,
                     scores.inception_score_of(network, kind, splits, seed),
                     minimum_real=minimum, chance=1.0) for kind in kinds]


def _of_features(network: str, seed: int) -> List[Protocol]:
    return [
        Protocol('fid/' + network, network, scores.frechet_of(network, seed), needs_real=True),
        Protocol('kid/' + network, network, scores.kernel_of(network, seed), needs_real=True),
        Protocol('precision/' + network, network, scores.precision_of(network, seed),
                 needs_real=True),
        Protocol('recall/' + network, network, scores.recall_of(network, seed), needs_real=True),
        Protocol('variety/' + network, network, scores.variety_of(network), VARIETY,
                 needs_real=True)]


def near_chance(
        protocol: Protocol,
        real: float,             # value of the real test images
) -> Optional[str]:
    """Why a protocol says nothing, given what it says of real images; None: it does."""
    if protocol.minimum_real is None or real >= protocol.minimum_real:
        return None
    chance = '' if protocol.chance is None else f' (chance {protocol.chance:.3g})'
    return (f'real test images score only {real:.3g}{chance}; a score on which they do not reach '
            f'{protocol.minimum_real:.3g} says nothing about generated ones')


def try_score(protocol: Protocol, scored: ScoredSet,
              real: ScoredSet) -> Tuple[Optional[Score], Optional[str]]:
    """(Score, None), or (None, why there is no score)."""
    try:
        return protocol.score(scored, real), None
    except (StackganError, ValueError) as error:
        return None, str(error)
