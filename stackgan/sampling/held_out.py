"""Which held-out captions are drawn when none are given."""

from stackgan.data.noise import random_state
from stackgan.sampling.sampler import Wanted


def held_out_captions(
        split,             # data.prepared.Split, the test part
        embeddings,        # data.prepared.ArrayFile of its captions
        count,             # pictures wanted
        seed,              # of the choice
):
    """[Wanted]: test images in a shuffled order, over and over, with a random caption each."""
    random = random_state(seed, 'held-out captions')
    items = split.items()
    wanted, drawn = [], {}
    while len(wanted) < count:
        for image in random.permutation(len(split))[:count - len(wanted)]:
            captions = items[image]['captions']
            number = random.randint(0, len(captions))
            copy = drawn.get(captions[number], 0)        # a repeated caption gets other noise
            drawn[captions[number]] = copy + 1
            row = int(split.caption_starts[image]) + number
            wanted.append(Wanted(captions[number], embeddings.read(row), copy,
                                 {'image': items[image]['name'],
                                  'class_id': items[image]['class_id']}))
    return wanted
