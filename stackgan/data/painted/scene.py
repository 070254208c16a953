"""The contents of an image, decided before it is painted: a function of a seed and a number."""

import threading
from typing import Dict, NamedTuple, Tuple

import numpy as np

from stackgan.data.painted.species import Species, all_species, species_of

PLACES = {                         # pose -> its possible backgrounds
    'perched': ('leaves', 'sky', 'dusk'),
    'standing': ('meadow', 'sand', 'rocks'),
    'swimming': ('water',),
    'flying': ('sky', 'dusk'),
}
POSES = ('perched', 'perched', 'perched', 'standing', 'standing', 'swimming', 'flying')
TILTS = {                          # degrees, positive: bill up
    'perched': (-14, 16), 'standing': (-12, 14), 'swimming': (-8, 10), 'flying': (-14, 24),
}
ASPECTS = (3 / 2, 4 / 3, 4 / 3, 5 / 4, 1, 4 / 5, 3 / 4)      # width / height
BUILDS = {'plump': 1.08, 'slim': 0.92}                        # relative height of the body


class Scene(NamedTuple):
    """The truth about one image."""

    seed: int
    number: int                    # 0-based, of the image in the dataset
    species: Species
    among: int                     # 0-based, of the image among those of its species
    pose: str                      # a key of PLACES
    background: str
    build: str                     # a key of BUILDS
    facing: str                    # 'left' or 'right'
    tilt: float                    # degrees, positive: bill up
    picture: Tuple[int, int]       # width and height in pixels
    size: float                    # longer side of the bird / shorter side of the image
    centre: Tuple[float, float]    # of the bird, as a share of width and height
    brightness: float              # factor on the whole image
    warmth: float                  # > 0: more red, less blue
    vignette: float                # darkening in the corners, a share of the brightness


class _Generators(threading.local):
    """Of a thread: a random generator for each purpose. Making one takes 20 times as long as
    seeding it again, because it is first seeded by the operating system."""

    def __init__(self) -> None:
        self.of: Dict[int, np.random.RandomState] = {}


GENERATORS = _Generators()


def rng_of(seed: int, number: int, purpose: int) -> np.random.RandomState:
    """The random generator of one image for one purpose, independent of those for others.

    The next call for the same purpose, in the same thread, seeds the same object again.
    """
    if purpose not in GENERATORS.of:
        GENERATORS.of[purpose] = np.random.RandomState(0)
    rng = GENERATORS.of[purpose]
    rng.seed([seed, number, purpose])
    return rng


def scene_of(
        seed: int,          # of the dataset
        number: int,        # of the image, 0-based
        image_size: int,    # longer side in pixels
        every: bool = False,    # whether the dataset has all combinations of colours
) -> Scene:
    """The `Scene` of an image."""
    rng = rng_of(seed, number, 0)
    own, among = species_of(number, all_species(every))
    pose = POSES[rng.randint(len(POSES))]
    places = PLACES[pose]
    aspect = ASPECTS[rng.randint(len(ASPECTS))]
    picture = (image_size, int(round(image_size / aspect))) if aspect >= 1 else (
        int(round(image_size * aspect)), image_size)
    size = rng.uniform(0.52, 0.66)
    return Scene(
        seed=seed,
        number=number,
        species=own,
        among=among,
        pose=pose,
        background=places[rng.randint(len(places))],
        build=sorted(BUILDS)[rng.randint(len(BUILDS))],
        facing=('left', 'right')[rng.randint(2)],
        tilt=rng.uniform(*TILTS[pose]),
        picture=picture,
        size=size,
        centre=_centre(rng, picture, size),
        brightness=rng.uniform(0.92, 1.1),
        warmth=rng.uniform(-0.05, 0.05),
        vignette=rng.uniform(0.0, 0.25),
    )


def _centre(rng: np.random.RandomState, picture: Tuple[int, int],
            size: float) -> Tuple[float, float]:
    """Any position that keeps the crop around the bird (1.5 times its size) nearly inside."""
    margin = 0.7 * size * min(picture)
    across, down = [rng.uniform(min(margin, side / 2), max(side - margin, side / 2)) / side
                    for side in picture]
    return across, down
