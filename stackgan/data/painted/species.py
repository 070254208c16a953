"""The species of painted birds: combinations of colours, and which species are for testing.

Bodies are bright, white or black; wings have muted colours; crowns may have either. Each body
colour occurs with several wing colours and each pair with several crowns, so that no colour
predicts another. Three species of each body colour are held out: training never sees these
combinations, but it sees each of their colours on the same part. A dataset can have more species
for training, up to all combinations that can be told apart, where with few of them the crown
and the beak follow from body and wings.
"""

import zlib
from functools import lru_cache
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

PALETTE: Dict[str, Tuple[int, int, int]] = {                        # sRGB in [0, 255]
    'red': (208, 38, 44),
    'orange': (244, 128, 26),
    'yellow': (250, 214, 48),
    'green': (46, 158, 74),
    'blue': (42, 102, 212),
    'purple': (136, 64, 180),
    'white': (240, 238, 232),
    'black': (40, 40, 46),
    'grey': (138, 142, 150),
    'brown': (124, 80, 48),
}

WINGS_BY_BODY = {                  # colours that contrast with it
    'red': ('black', 'white', 'grey', 'brown'),
    'orange': ('black', 'white', 'grey', 'brown'),
    'yellow': ('black', 'grey', 'brown'),
    'green': ('black', 'white', 'grey', 'brown'),
    'blue': ('black', 'white', 'grey', 'brown'),
    'purple': ('black', 'white', 'grey', 'brown'),
    'white': ('black', 'grey', 'brown'),
    'black': ('white', 'grey', 'brown'),
}
BODY_COLOURS = tuple(WINGS_BY_BODY)
CROWNS = ('white', 'blue', 'yellow', 'black', 'red', 'grey')
BEAKS = ('orange', 'grey', 'yellow', 'black')
FAINT = {('orange', 'red'), ('orange', 'yellow')}      # crowns that are hard to see on a body
SPECIES_OF_A_BODY = 12
HELD_OUT = (2, 6, 10)              # indices of these twelve
FEW = len(BODY_COLOURS) * SPECIES_OF_A_BODY        # species of a dataset, if it does not say
ALL = 360                          # with all combinations
TRAINED = FEW - len(BODY_COLOURS) * len(HELD_OUT)  # of them for training


class Species(NamedTuple):
    """A class of the dataset. Colours are keys of `PALETTE`."""

    number: int        # 1-based, as in classes.txt
    name: str          # '001.White_crowned_Black_winged_Red_Bird'
    body: str
    wing: str
    head: str          # the crown
    beak: str
    split: str         # 'train' or 'test'


@lru_cache(maxsize=None)
def all_species(
        count: int = FEW,      # from 96 to 360
) -> Tuple[Species, ...]:
    """The first `count` species by number, those of fewer always among those of more.

    Body colours take turns: 72 species for training, 24 held out, then more for training.
    """
    rows = [(body, _combinations(body)) for body in BODY_COLOURS]
    train = [place for place in range(SPECIES_OF_A_BODY) if place not in HELD_OUT]
    species: List[Species] = []
    for split, places in (('train', train), ('test', HELD_OUT)):
        for place in places:
            for body, combinations in rows:
                species.append(_species(len(species) + 1, split, body, *combinations[place]))
    more = [_further(body, combinations) for body, combinations in rows]
    for turn in range(max(len(each) for each in more)):
        for body, combinations in zip(BODY_COLOURS, more):
            if turn < len(combinations):
                species.append(_species(len(species) + 1, 'train', body, *combinations[turn]))
    return tuple(species[:count])


def species_of(
        number: int,                   # of an image, 0-based
        species: Sequence[Species],    # of its dataset
) -> Tuple[Species, int]:
    """(its species, which image of that species it is, 0-based).

    Three of four images are for training, in which body colours take turns, and within each body
    colour its species; the fourth is of a held-out species, which take turns.
    """
    turn, place = divmod(number, FEW)
    if place >= TRAINED:
        return [each for each in species if each.split == 'test'][place - TRAINED], turn
    turn, body = divmod(turn * TRAINED + place, len(BODY_COLOURS))
    own = [each for each in species
           if each.split == 'train' and each.body == BODY_COLOURS[body]]
    return own[turn % len(own)], turn // len(own)


def images_for_all(species: Sequence[Species]) -> int:
    """The least number of images of which each species has one."""
    counts = [sum(each.body == body and each.split == 'train' for each in species)
              for body in BODY_COLOURS]
    last = max((count - 1) * len(BODY_COLOURS) + body for body, count in enumerate(counts))
    turns, rest = divmod(last, TRAINED)
    return max(FEW, turns * FEW + rest + 1)


def _combinations(body: str) -> List[Tuple[str, str, str]]:
    """[(wing, head, beak)] for a body colour, chosen evenly from all that can be told apart."""
    found: List[Tuple[str, str, str]] = []
    for wing, head, beaks in _pairs(body):
        found.append((wing, head, beaks[len(found) % len(beaks)]))
    return [found[i * len(found) // SPECIES_OF_A_BODY] for i in range(SPECIES_OF_A_BODY)]


def _further(body: str, few: List[Tuple[str, str, str]]) -> List[Tuple[str, str, str]]:
    """All other combinations of a body colour, but none of the held-out pairs of wing and head."""
    held_out = {few[place][:2] for place in HELD_OUT}
    found = [(wing, head, beak) for wing, head, beaks in _pairs(body) for beak in beaks
             if (wing, head) not in held_out and (wing, head, beak) not in few]
    return sorted(found, key=lambda each: zlib.crc32(' '.join((body,) + each).encode()))


def _pairs(body: str) -> Iterator[Tuple[str, str, List[str]]]:
    """(wing, head, the beaks that go with it): all that can be told apart."""
    for wing in WINGS_BY_BODY[body]:
        for head in CROWNS:
            if head not in (body, wing) and (body, head) not in FAINT:
                yield wing, head, [each for each in BEAKS if each not in (body, head)]


def _species(number: int, split: str, body: str, wing: str, head: str, beak: str) -> Species:
    name = (f'{number:03d}.{head.capitalize()}_crowned_{wing.capitalize()}_winged_'
            f'{body.capitalize()}_Bird')
    return Species(number, name, body, wing, head, beak, split)
