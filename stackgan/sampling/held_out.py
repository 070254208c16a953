"""Which held-out captions images are generated for when none are given."""

import itertools
from typing import Dict, Iterator, List, Tuple

from stackgan.data.noise import random_state
from stackgan.data.prepared import ArrayFile, Split
from stackgan.sampling.sample_request import SampleRequest


def held_out_captions(
        split: Split,           # the test part
        embeddings: ArrayFile,  # of its captions
        count: int,             # number of images
        seed: int,              # of the choice
) -> List[SampleRequest]:
    """Test images in shuffled order, repeated as needed, each with a random caption."""
    return list(itertools.islice(stream_captions(split, embeddings, seed), count))


def stream_captions(
        split: Split,           # the test part
        embeddings: ArrayFile,  # of its captions
        seed: int,              # of the choice
        first: int = 0,         # how many to skip
) -> Iterator[SampleRequest]:
    """`held_out_captions` as an endless iterator; no embedding stays in memory."""
    items = split.items()
    generated: Dict[str, int] = {}
    for place, (image, number) in enumerate(stream_choices(split, seed)):
        caption = items[image]['captions'][number]
        copy = generated.get(caption, 0)                     # a repeated caption gets other noise
        generated[caption] = copy + 1
        if place >= first:
            yield SampleRequest(
                caption, embeddings.read(int(split.caption_starts[image]) + number), copy,
                {'image': items[image]['name'], 'class_id': items[image]['class_id']})


def stream_choices(
        split: Split,  # the test part
        seed: int,     # of the choice
) -> Iterator[Tuple[int, int]]:
    """Endless (image, number of its caption), as `held_out_captions` chooses them."""
    random = random_state(seed, 'held-out captions')
    starts = split.caption_starts
    while True:
        for image in random.permutation(len(split)):
            yield int(image), int(random.randint(0, int(starts[image + 1] - starts[image])))
