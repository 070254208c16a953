"""The species of painted birds: combinations of colours, and which species are for testing.

Bodies are bright, white or black; wings have muted colours; crowns may have either. Each body
colour occurs with several wing colours and each pair with several crowns, so that no colour
predicts another. Three species of each body colour are held out: training never sees these
combinations, but it sees each of their colours on the same part.
"""

from typing import Dict, List, NamedTuple, Tuple

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


class Species(NamedTuple):
    """A class of the dataset. Colours are keys of `PALETTE`."""

    number: int        # 1-based, as in classes.txt
    name: str          # '001.White_crowned_Black_winged_Red_Bird'
    body: str
    wing: str
    head: str          # the crown
    beak: str
    split: str         # 'train' or 'test'


def all_species() -> List[Species]:
    """The species in the order of their numbers: body colours take turns, held-out ones last."""
    rows = [(body, _combinations(body)) for body in BODY_COLOURS]
    train = [place for place in range(SPECIES_OF_A_BODY) if place not in HELD_OUT]
    species: List[Species] = []
    for split, places in (('train', train), ('test', HELD_OUT)):
        for place in places:
            for body, combinations in rows:
                species.append(_species(len(species) + 1, split, body, *combinations[place]))
    return species


def _combinations(body: str) -> List[Tuple[str, str, str]]:
    """[(wing, head, beak)] for a body colour, chosen evenly from all that can be told apart."""
    found: List[Tuple[str, str, str]] = []
    for wing in WINGS_BY_BODY[body]:
        for head in CROWNS:
            if head not in (body, wing) and (body, head) not in FAINT:
                beaks = [each for each in BEAKS if each not in (body, head)]
                found.append((wing, head, beaks[len(found) % len(beaks)]))
    return [found[i * len(found) // SPECIES_OF_A_BODY] for i in range(SPECIES_OF_A_BODY)]


def _species(number: int, split: str, body: str, wing: str, head: str, beak: str) -> Species:
    name = (f'{number:03d}.{head.capitalize()}_crowned_{wing.capitalize()}_winged_'
            f'{body.capitalize()}_Bird')
    return Species(number, name, body, wing, head, beak, split)
