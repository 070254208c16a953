"""The species of painted birds: which colours go together, and which species are for testing.

Every body colour comes with eight wing colours, every wing colour with five or more body colours,
so that neither gives the other away. Each pair of body and wing is in three species, which differ
in crown and beak. The last pair of a body colour is held out: training never sees a body and
wings of these colours together, though it sees each colour in its place.
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

WINGS_BY_BODY = (                  # of each body colour; the last is held out
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
    rows = [(body, wings.split()) for body, wings in WINGS_BY_BODY]
    columns = len(rows[0][1])
    species = []
    for column in range(columns):
        split = 'test' if column == columns - 1 else 'train'
        for variant in range(VARIANTS):
            for row, (body, wings) in enumerate(rows):
                wing = wings[column]
                crowns = [each for each in CROWNS
                          if each not in (body, wing) and (body, each) not in FAINT]
                head = crowns[(row + column + variant) % len(crowns)]
                beaks = [each for each in BEAKS if each not in (body, head)]
                beak = beaks[(row + 2 * column + variant) % len(beaks)]
                species.append(_species(len(species) + 1, body, wing, head, beak, split))
    return species


def _species(number, body, wing, head, beak, split):
    name = '%03d.%s_crowned_%s_winged_%s_Bird' % (
        number, head.capitalize(), wing.capitalize(), body.capitalize())
    return Species(number, name, body, wing, head, beak, split)
