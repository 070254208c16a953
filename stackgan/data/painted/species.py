"""The species of painted birds: which colours go together, and which species are for testing.

Bodies are bright, white or black, wings take the quiet colours of feathers, crowns may be either.
Each body colour meets several wing colours and each pair several crowns, so that no colour gives
another away. Three species of each body colour are held out: training never sees their
combinations, though it sees each of their colours in its place.
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

WINGS_BY_BODY = {                  # those that are easy to see on it
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
HELD_OUT = (2, 6, 10)              # of these, by their place among the twelve


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
    rows = [(body, _combinations(body)) for body in BODY_COLOURS]
    train = [place for place in range(SPECIES_OF_A_BODY) if place not in HELD_OUT]
    species = []
    for split, places in (('train', train), ('test', HELD_OUT)):
        for place in places:
            for body, combinations in rows:
                species.append(_species(len(species) + 1, split, body, *combinations[place]))
    return species


def _combinations(body):
    """[(wing, head, beak)] of a body colour, evenly chosen from what suits it and each other."""
    found = []
    for wing in WINGS_BY_BODY[body]:
        for head in CROWNS:
            if head not in (body, wing) and (body, head) not in FAINT:
                beaks = [each for each in BEAKS if each not in (body, head)]
                found.append((wing, head, beaks[len(found) % len(beaks)]))
    return [found[i * len(found) // SPECIES_OF_A_BODY] for i in range(SPECIES_OF_A_BODY)]


def _species(number, split, body, wing, head, beak):
    name = '%03d.%s_crowned_%s_winged_%s_Bird' % (
        number, head.capitalize(), wing.capitalize(), body.capitalize())
    return Species(number, name, body, wing, head, beak, split)
