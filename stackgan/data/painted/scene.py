"""What is in an image, decided before anything is drawn: a function of the seed and a number."""

from typing import NamedTuple, Tuple

import numpy as np

from stackgan.data.painted.species import Species, all_species

PLACES = {                         # pose -> backgrounds it is seen in
    'perched': ('leaves', 'sky', 'dusk'),
    'standing': ('meadow', 'sand', 'rocks'),
    'swimming': ('water',),
    'flying': ('sky', 'dusk'),
}
POSES = ('perched', 'perched', 'perched', 'standing', 'standing', 'swimming', 'flying')
TILTS = {                          # degrees, bill up is positive
    'perched': (-14, 16), 'standing': (-12, 14), 'swimming': (-8, 10), 'flying': (-14, 24),
}
ASPECTS = (3 / 2, 4 / 3, 4 / 3, 5 / 4, 1, 4 / 5, 3 / 4)      # width / height
BUILDS = {'plump': 1.08, 'slim': 0.92}                        # height of a body, relative


class Scene(NamedTuple):
    """The truth about one image."""

    seed: int
    number: int                    # 0-based, of the image in the dataset
    species: Species
    pose: str                      # a key of PLACES
    background: str
    build: str                     # a key of BUILDS
    facing: str                    # 'left' or 'right'
    tilt: float                    # degrees, bill up is positive
    picture: Tuple[int, int]       # width and height in pixels
    size: float                    # longer side of the bird / shorter side of the image
    centre: Tuple[float, float]    # of the bird, as a share of width and height
    brightness: float              # factor on the whole image
    warmth: float                  # > 0: more red, less blue
    vignette: float                # darkening in the corners, a share of the brightness


def generator(seed, number, purpose):
    """Random numbers of one image for one purpose, whatever else is drawn."""
    return np.random.RandomState([seed, number, purpose])


def scene_of(
        seed,            # of the dataset
        number,          # of the image, 0-based
        image_size,      # longer side in pixels
):
    """The `Scene` of an image. Species take turns, so that each has its share."""
    random = generator(seed, number, 0)
    species = all_species()
    pose = POSES[random.randint(len(POSES))]
    places = PLACES[pose]
    aspect = ASPECTS[random.randint(len(ASPECTS))]
    picture = (image_size, int(round(image_size / aspect))) if aspect >= 1 else (
        int(round(image_size * aspect)), image_size)
    size = random.uniform(0.52, 0.66)
    return Scene(
        seed=seed,
        number=number,
        species=species[number % len(species)],
        pose=pose,
        background=places[random.randint(len(places))],
        build=sorted(BUILDS)[random.randint(len(BUILDS))],
        facing=('left', 'right')[random.randint(2)],
        tilt=random.uniform(*TILTS[pose]),
        picture=picture,
        size=size,
        centre=_centre(random, picture, size),
        brightness=random.uniform(0.92, 1.1),
        warmth=random.uniform(-0.05, 0.05),
        vignette=random.uniform(0.0, 0.25),
    )


def _centre(random, picture, size):
    """Anywhere that keeps the crop around the bird (1.5 times its size) nearly inside."""
    margin = 0.7 * size * min(picture)
    return tuple(random.uniform(min(margin, side / 2), max(side - margin, side / 2)) / side
                 for side in picture)
