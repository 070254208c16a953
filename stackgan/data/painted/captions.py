"""Ten sentences about an image, each worded differently, all of them true.

No sentence says left or right, because training mirrors images, or how large the bird is in the
image, because images are cropped to the bird.
"""

from typing import Dict, List, Sequence

from stackgan.data.painted.scene import Scene, rng_of

CAPTIONS = 10

TEMPLATES = (
    'this bird has {a_body} body with {wings}, {a_crown} and {a_beak}',
    '{a_build} {body} bird with {wings} and {a_beak}, {doing} {place}',
    'the bird has {a_plain} breast and belly, {wings} and {a_crown}',
    '{doing} {place}, this {body} bird has {wings} and {a_crown}',
    'a bird with {a_body} body, {a_crown} and {wings}, {doing} {place}',
    '{a_plain} bird with {a_crown} and {a_beak} is {doing} {place}',
    'most of this {build} bird is {plain}, its {wing_words} are {wing} and its {crown_word} is '
    '{head}',
    'this is {a_build} {body} bird that has {wings}, {a_crown} and {a_beak}',
    'a picture of {a_body} bird {doing} {place}, with {wings} and {a_beak}',
    'the {wing} {wing_words} of this {plain} bird go with {a_crown} and {a_beak}',
    'the {beak_word} of this {body} bird is {beak}, the {crown_word} is {head} and the '
    '{wing_words} are {wing}',
    'here is {a_body} bird {doing} {place}; it has {a_beak} and {wings}',
    '{a_plain}-bodied bird with {a_crown}, {a_beak} and {wings}',
    'its body is {plain} all over, with {wings}, {a_crown} and {a_beak}',
    'seen {place}, {a_build} {plain} bird is {doing_alone}; its {wing_words} are {wing}',
    '{a_build} bird, {plain} from throat to belly, with {a_crown} and {wings}, {doing} {place}',
    'with its {head} {crown_word} and {wing} {wing_words}, this {body} bird is {doing} {place}',
    'this {plain} bird is {doing} {place} and has {a_beak}, {a_crown} and {wings}',
)

TONES = {                          # unambiguous words for the colour of a body
    'red': ('bright red', 'deep red', 'red'),
    'orange': ('bright orange', 'vivid orange', 'orange'),
    'yellow': ('bright yellow', 'sunny yellow', 'yellow'),
    'green': ('bright green', 'vivid green', 'green'),
    'blue': ('bright blue', 'deep blue', 'blue'),
    'purple': ('deep purple', 'rich purple', 'purple'),
    'white': ('pure white', 'snowy white', 'white'),
    'black': ('jet black', 'glossy black', 'black'),
}
BUILD_WORDS = {'plump': ('plump', 'round', 'chubby'), 'slim': ('slim', 'slender', 'sleek')}
DOING = {
    'perched': ('perched on a branch', 'sitting on a branch', 'resting on a twig'),
    'standing': ('standing', 'standing on thin legs', 'resting on its feet'),
    'swimming': ('swimming', 'floating', 'paddling'),
    'flying': ('flying', 'in flight', 'flying with raised wings'),
}
DOING_ALONE = {'perched': 'perched on a branch', 'standing': 'standing', 'swimming': 'swimming',
               'flying': 'flying'}
PLACE_WORDS = {
    'leaves': ('among the leaves', 'in front of soft foliage', 'in a leafy tree'),
    'sky': ('under a pale sky', 'against the sky', 'before a cloudy sky'),
    'dusk': ('at dusk', 'in the evening light', 'in the late twilight'),
    'meadow': ('in the grass', 'on a meadow', 'on grassy ground'),
    'sand': ('on the sand', 'on a sandy beach', 'at the beach'),
    'rocks': ('on the rocks', 'on stony ground', 'among stones'),
    'water': ('on the water', 'on a calm lake', 'on the pond'),
}
WING_WORDS = ('wings', 'wings', 'wing feathers')
CROWN_WORDS = ('crown', 'crown', 'cap')
BEAK_WORDS = ('beak', 'beak', 'bill')
BEAK_SHAPES = ('', '', 'pointed ', 'short ', 'small ')


def captions_of(scene: Scene) -> List[str]:
    """Ten different lower-case captions of a `Scene`, each of at most 180 characters.

    All of them name the colour of the body.
    """
    rng = rng_of(scene.seed, scene.number, 3)
    chosen = rng.permutation(len(TEMPLATES))[:CAPTIONS].tolist()
    choices = (TONES[scene.species.body], BUILD_WORDS[scene.build], WING_WORDS, CROWN_WORDS,
               BEAK_WORDS, BEAK_SHAPES, DOING[scene.pose], PLACE_WORDS[scene.background])
    # One call for all captions: an array of limits gives the numbers that a call each gives.
    places = rng.randint([len(words) for words in choices] * CAPTIONS).reshape(CAPTIONS, -1)
    return [TEMPLATES[index].format(**_words(scene, [
        words[place] for words, place in zip(choices, row)]))
            for index, row in zip(chosen, places.tolist())]


def _words(scene: Scene, chosen: Sequence[str]) -> Dict[str, str]:
    """The words for each blank of the templates."""
    species = scene.species
    tone, build, wing_words, crown, beak, beak_shape, doing, place = chosen
    return dict(
        body=tone, a_body=with_article(tone),
        plain=species.body, a_plain=with_article(species.body),
        build=build, a_build=with_article(build),
        wing=species.wing, wing_words=wing_words, wings=f'{species.wing} {wing_words}',
        head=species.head, crown_word=crown,
        a_crown=with_article(f'{species.head} {crown}'),
        beak=species.beak, beak_word=beak,
        a_beak=with_article(f'{beak_shape}{species.beak} {beak}'),
        doing=doing, doing_alone=DOING_ALONE[scene.pose], place=place)


def with_article(words: str) -> str:
    """'a' or 'an' before words, by their first letter."""
    return ('an ' if words[0] in 'aeiou' else 'a ') + words
