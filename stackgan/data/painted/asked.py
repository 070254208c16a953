"""What a caption of a painted bird asks for, read from its words; and what is true of an image.

A prepared dataset keeps captions and class names, and these say it all: a class is a species, and
half of the sentences name the place.
"""

import re
from typing import Dict, Iterable, Sequence

from stackgan.data.painted.captions import BEAK_WORDS, CROWN_WORDS, PLACE_WORDS, WING_WORDS
from stackgan.data.painted.species import (
    BEAKS,
    BODY_COLOURS,
    CROWNS,
    WINGS_BY_BODY,
    Species,
    all_species,
)

WINGS = tuple(sorted({wing for wings in WINGS_BY_BODY.values() for wing in wings}))
VALUES = {                         # of each attribute
    'body': BODY_COLOURS, 'wings': WINGS, 'crown': CROWNS, 'beak': BEAKS,
    'scene': tuple(PLACE_WORDS)}


def _pattern(colours: Iterable[str], words: Iterable[str]) -> 're.Pattern[str]':
    """'grey wings', 'its wings are grey', 'the bill of this red bird is grey'."""
    either, part = '|'.join(colours), '|'.join(sorted(set(words), key=len, reverse=True))
    return re.compile(rf'\b({either}) (?:{part})\b|'
                      rf'\b(?:{part})(?: of this [a-z ]+ bird)? (?:are|is) ({either})\b')


PATTERNS = {'wings': _pattern(WINGS, WING_WORDS), 'crown': _pattern(CROWNS, CROWN_WORDS),
            'beak': _pattern(BEAKS, BEAK_WORDS)}
SPECIES = {species.name: species for every in (False, True)
           for species in all_species(every)}


def are_species(classes: Sequence[str]) -> bool:
    """Whether all classes of a dataset are species of painted birds."""
    return bool(classes) and all(name in SPECIES for name in classes)


def asked_by(
        caption: str,
        class_name: str,
) -> Dict[str, str]:
    """{attribute: value} of those that the caption names; the body is named by all of them."""
    found = {'body': SPECIES[class_name].body}
    for attribute, pattern in PATTERNS.items():
        match = pattern.search(caption)
        if match:
            found[attribute] = match.group(1) or match.group(2)
    for place, phrases in PLACE_WORDS.items():
        if any(phrase in caption for phrase in phrases):
            found['scene'] = place
    return found


def true_of(
        captions: Iterable[str],       # all ten of an image
        class_name: str,
) -> Dict[str, str]:
    """{attribute: value} of an image, all of them."""
    species: Species = SPECIES[class_name]
    found = {'body': species.body, 'wings': species.wing, 'crown': species.head,
             'beak': species.beak}
    for caption in captions:
        found.update(asked_by(caption, class_name))
    return found
