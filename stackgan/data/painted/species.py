"""The species of painted birds: combinations of colours, and which species are for testing.

Bodies are bright, white or black; wings have muted colours; crowns may have either. Each body
colour occurs with several wing colours and each pair with several crowns, so that no colour
predicts another. Three species of each body colour are held out: training never sees these
combinations, but it sees each of their colours on the same part. With 9 species of a body colour
for training, crown and beak mostly follow from body and wings; a dataset of all combinations
that can be told apart has none of that, and holds out each body's wings and crowns one by one, so
that training sees any two parts of a held-out species together.
"""

import zlib
from collections import defaultdict
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
TURN, TRAINED = 96, 72             # of so many images, the first so many are for training


Combination = Tuple[str, str, str]             # wing, head, beak
Pair = Tuple[str, str, List[str]]              # wing, head, the beaks that go with them


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
        every: bool = False,       # all combinations, in place of 12 of each body colour
) -> Tuple[Species, ...]:
    """The species in the order of their numbers: body colours take turns, held-out ones last."""
    rows = _every_combination() if every else [_few_combinations(body) for body in BODY_COLOURS]
    species: List[Species] = []
    for split in ('train', 'test'):
        lists = [each[split] for each in rows]
        for turn in range(max(len(each) for each in lists)):
            for body, combinations in zip(BODY_COLOURS, lists):
                if turn < len(combinations):
                    species.append(_species(len(species) + 1, split, body, combinations[turn],
                                            every))
    return tuple(species)


def species_of(
        number: int,                   # of an image, 0-based
        species: Sequence[Species],    # of its dataset
) -> Tuple[Species, int]:
    """(its species, which image of that species it is, 0-based).

    Three of four images are for training, in which body colours take turns, and within each body
    colour its species; the fourth is of a held-out species, which take turns.
    """
    turn, place = divmod(number, TURN)
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
    return max(TURN, turns * TURN + rest + 1)


def _few_combinations(body: str) -> Dict[str, List[Combination]]:
    """Of a body colour, by split: chosen evenly from all that can be told apart."""
    found: List[Combination] = []
    for wing, head, beaks in _pairs(body):
        found.append((wing, head, beaks[len(found) % len(beaks)]))
    few = [found[i * len(found) // SPECIES_OF_A_BODY] for i in range(SPECIES_OF_A_BODY)]
    return {'train': [each for place, each in enumerate(few) if place not in HELD_OUT],
            'test': [few[place] for place in HELD_OUT]}


def _every_combination() -> List[Dict[str, List[Combination]]]:
    """Of each body colour, by split. Held out are three pairs of wing and head, all different,
    each with one beak, and over all bodies each colour about as often as the others."""
    rows: List[Dict[str, List[Combination]]] = []
    used: Dict[Tuple[str, str], int] = defaultdict(int)        # (part, its colour)
    for body in BODY_COLOURS:
        pairs = list(_pairs(body))
        test: List[Combination] = []
        for _ in HELD_OUT:
            wings, heads = {each[0] for each in test}, {each[1] for each in test}
            wing, head, beaks = min(
                (pair for pair in pairs if pair[0] not in wings and pair[1] not in heads),
                key=lambda pair: used['wing', pair[0]] + used['head', pair[1]])
            test.append((wing, head, min(beaks, key=lambda beak: used['beak', beak])))
            for part in zip(('wing', 'head', 'beak'), test[-1]):
                used[part] += 1
        held_out = [each[:2] for each in test]
        train = [(wing, head, beak) for wing, head, beaks in pairs for beak in beaks
                 if (wing, head) not in held_out]
        rows.append({'train': sorted(train, key=_mixed), 'test': test})
    return rows


def _mixed(combination: Combination) -> int:
    """A number by which to sort, so that neighbours have little in common."""
    return zlib.crc32(' '.join(combination).encode())


def _pairs(body: str) -> Iterator[Pair]:
    """All that can be told apart on a body."""
    for wing in WINGS_BY_BODY[body]:
        for head in CROWNS:
            if head not in (body, wing) and (body, head) not in FAINT:
                yield wing, head, [each for each in BEAKS if each not in (body, head)]


def _species(number: int, split: str, body: str, combination: Combination,
             with_beak: bool) -> Species:
    wing, head, beak = combination
    parts = [beak.capitalize() + '_billed_'] if with_beak else []
    parts += [head.capitalize() + '_crowned_', wing.capitalize() + '_winged_',
              body.capitalize() + '_Bird']
    return Species(number, f'{number:03d}.' + ''.join(parts), body, wing, head, beak, split)
