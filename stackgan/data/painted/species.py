"""The species of painted birds: which colours go together, and which species are for testing.

Every body colour comes with six wing colours and every wing colour with six body colours, so
that neither gives the other away. Each pair is in two species, the second with the crown and beak
of its neighbours in the row. The last pair of a row is held out: training never sees a body and a
wing of these colours together, though it sees each colour in its place.
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

SPECIES_BY_BODY = (                # body colour, then wing / crown / beak of its species
    ('red', 'white/grey/yellow brown/blue/black yellow/white/grey blue/black/yellow '
            'green/yellow/black black/yellow/grey'),
    ('orange', 'black/white/black white/blue/grey grey/white/grey yellow/blue/black '
               'green/blue/grey blue/white/black'),
    ('yellow', 'black/red/black grey/blue/grey brown/white/grey blue/red/black '
               'red/blue/black green/white/grey'),
    ('green', 'black/grey/orange white/black/orange grey/yellow/orange brown/red/yellow '
              'blue/grey/yellow red/white/yellow'),
    ('blue', 'black/red/yellow grey/black/orange brown/grey/orange yellow/black/yellow '
             'red/yellow/grey white/red/black'),
    ('purple', 'white/yellow/orange grey/red/grey brown/black/yellow red/grey/orange '
               'green/white/black yellow/grey/yellow'),
    ('white', 'black/blue/orange yellow/red/yellow blue/yellow/black red/black/orange '
              'green/black/yellow brown/yellow/black'),
    ('black', 'white/grey/orange yellow/blue/yellow blue/red/grey red/yellow/orange '
              'green/white/orange grey/yellow/grey'),
)
VARIANTS = 2                       # species of each pair of body and wing colours
BODY_COLOURS = tuple(body for body, _ in SPECIES_BY_BODY)


class Species(NamedTuple):
    """A class of the dataset. Colours are keys of `PALETTE`."""

    number: int        # 1-based, as in classes.txt
    name: str          # '001.Grey_crowned_White_winged_Red_Bird'
    body: str
    wing: str
    head: str          # the crown
    beak: str
    split: str         # 'train' or 'test'


def all_species():
    """The species in the order of their numbers: body colours take turns, held-out ones last."""
    rows = [(body, [entry.split('/') for entry in entries.split()])
            for body, entries in SPECIES_BY_BODY]
    columns = len(rows[0][1])
    species = []
    for column in range(columns):
        split = 'test' if column == columns - 1 else 'train'
        for variant in range(VARIANTS):
            for body, entries in rows:
                head, beak = _crown_and_beak(entries, column, variant)
                species.append(_species(len(species) + 1, body, entries[column][0], head, beak,
                                        split))
    return species


def _crown_and_beak(entries, column, variant):
    """Those of the pair itself, or the next in its row that differ and suit its wings."""
    wing, head, beak = entries[column]
    if variant == 0:
        return head, beak
    row = entries[column + 1:] + entries[:column]
    head = ([other for _, other, _ in row if other not in (head, wing)] + [head])[0]
    return head, ([other for _, _, other in row if other not in (beak, head)] + [beak])[0]


def _species(number, body, wing, head, beak, split):
    name = '%03d.%s_crowned_%s_winged_%s_Bird' % (
        number, head.capitalize(), wing.capitalize(), body.capitalize())
    return Species(number, name, body, wing, head, beak, split)
