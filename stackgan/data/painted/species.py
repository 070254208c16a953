"""The species of painted birds: which colours go together, and which species are for testing.

Every body colour comes with eight wing colours, every wing colour with five or more body colours,
so that neither gives the other away. Each pair of body and wing is in three species, which differ
in crown and beak. Of three pairs of each body colour the third species is held out: training never
sees its combination, though it sees each of its colours in its place.
"""

from typing import NamedTuple

PALETTE = {                        # sRGB in [0, 255]
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

WINGS_BY_BODY = (                  # of each body colour
    ('red', 'white brown yellow green blue grey purple black'),
    ('orange', 'black white grey green purple brown yellow blue'),
    ('yellow', 'black grey brown blue red purple orange green'),
    ('green', 'black white grey brown blue orange yellow red'),
    ('blue', 'black grey brown yellow red orange green white'),
    ('purple', 'white grey brown red green black orange yellow'),
    ('white', 'black yellow blue red green purple orange brown'),
    ('black', 'white yellow blue red green orange purple grey'),
)
CROWNS = ('white', 'blue', 'yellow', 'black', 'red', 'grey')
BEAKS = ('orange', 'grey', 'yellow', 'black')
FAINT = {('white', 'grey'), ('orange', 'red'), ('orange', 'yellow'), ('yellow', 'white')}
# Crowns that are hard to see on a body.
VARIANTS = 3                       # species of each pair of body and wing colours
HELD_OUT_COLUMNS = (0, 3, 6)       # of a body colour's wings, shifted from one body to the next
BODY_COLOURS = tuple(body for body, _ in WINGS_BY_BODY)


class Species(NamedTuple):
    """A class of the dataset. Colours are keys of `PALETTE`."""

    number: int        # 1-based, as in classes.txt
    name: str          # '001.White_crowned_Black_winged_Red_Bird'
    body: str
    wing: str
    head: str          # the crown
    beak: str
    split: str         # 'train' or 'test'


def all_species():
    """The species in the order of their numbers: body colours take turns, held-out ones last."""
    combinations = {'train': [], 'test': []}
    for column in range(len(WINGS_BY_BODY[0][1].split())):
        for variant in range(VARIANTS):
            for row, (body, wings) in enumerate(WINGS_BY_BODY):
                is_held_out = variant == VARIANTS - 1 and (column + row) % 8 in HELD_OUT_COLUMNS
                combinations['test' if is_held_out else 'train'].append(
                    _combination(body, wings.split()[column], row, column, variant))
    return [_species(number, split, *combination) for number, (split, combination) in enumerate(
        ((split, each) for split in ('train', 'test') for each in combinations[split]), 1)]


def _combination(body, wing, row, column, variant):
    """(body, wing, head, beak): crowns and beaks take turns, none as what it lies on."""
    crowns = [each for each in CROWNS if each not in (body, wing) and (body, each) not in FAINT]
    head = crowns[(row + column + variant) % len(crowns)]
    beaks = [each for each in BEAKS if each not in (body, head)]
    return body, wing, head, beaks[(row + 2 * column + variant) % len(beaks)]


def _species(number, split, body, wing, head, beak):
    name = '%03d.%s_crowned_%s_winged_%s_Bird' % (
        number, head.capitalize(), wing.capitalize(), body.capitalize())
    return Species(number, name, body, wing, head, beak, split)
