"""Which held-out captions are generated when none are given."""

import itertools

from stackgan.data.noise import random_state
from stackgan.sampling.sample_request import SampleRequest


def held_out_captions(
        split,             # data.prepared.Split, the test part
        embeddings,        # data.prepared.ArrayFile of its captions
        count,             # images wanted
        seed,              # of the choice
):
    """[SampleRequest]: test images in shuffled order, over and over, each with a random caption."""
    return list(itertools.islice(stream_captions(split, embeddings, seed), count))


def stream_captions(
        split,             # data.prepared.Split, the test part
        embeddings,        # data.prepared.ArrayFile of its captions
        seed,              # of the choice
        first=0,           # the first ones to leave out
):
    """`held_out_captions` without end, one by one; no embedding stays in memory."""
    items, generated = split.items(), {}
    for place, (image, number) in enumerate(stream_choices(split, seed)):
        caption = items[image]['captions'][number]
        copy = generated.get(caption, 0)                     # a repeated caption gets other noise
        generated[caption] = copy + 1
        if place >= first:
            yield SampleRequest(
                caption, embeddings.read(int(split.caption_starts[image]) + number), copy,
                {'image': items[image]['name'], 'class_id': items[image]['class_id']})


def stream_choices(
        split,             # data.prepared.Split, the test part
        seed,              # of the choice
):
    """(image, number of its caption) without end: what `held_out_captions` generates."""
    random = random_state(seed, 'held-out captions')
    starts = split.caption_starts
    while True:
        for image in random.permutation(len(split)):
            yield int(image), int(random.randint(0, int(starts[image + 1] - starts[image])))
