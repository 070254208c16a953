"""Which images are generated, and how they stand in a grid: copies, seeds, ways between two."""

from typing import Any, List, NamedTuple, Optional, Tuple

from stackgan.sampling.interpolation import lerp, positions
from stackgan.sampling.sample_request import NoiseSource, SampleRequest, Truncation


class PlannedSample(NamedTuple):
    """One image to generate, with the noise it gets."""

    wanted: SampleRequest
    source: NoiseSource


class Plan(NamedTuple):
    """Images in the order of generation, and the rows of their grid."""

    samples: List[PlannedSample]
    rows: List[Tuple[Any, List[int]]]    # (what is written under it, indices of its shots)
    headings: Optional[List[str]]        # of the columns; None: they have none
    is_path: bool                        # whether a row is a way, step by step
    noise: str                           # which noise, in words


class Path(NamedTuple):
    """What is written under a row that leads from one to another."""

    captions: Tuple[str, ...]            # one, or the two that it leads between
    seeds: Tuple[int, ...]               # likewise


def copies_plan(
        wanted,           # [SampleRequest]
        seed,             # of all noise
        truncation=Truncation(),  # noqa: B008
):
    """Each image once; those of one caption in one row."""
    rows = {}
    for number, each in enumerate(wanted):
        rows.setdefault(each.caption, []).append(number)
    return Plan([PlannedSample(each, NoiseSource(seed, truncation)) for each in wanted],
                list(rows.items()), None, False, 'seed %d' % seed)


def seeds_plan(
        wanted,           # [SampleRequest]
        seeds,            # a column each
        truncation=Truncation(),  # noqa: B008
):
    """A row for each of `wanted`, a column for each seed."""
    samples = [PlannedSample(each, NoiseSource(seed, truncation))
               for each in wanted for seed in seeds]
    rows = [(each.caption, _row(number, len(seeds))) for number, each in enumerate(wanted)]
    names = ['seed %d' % seed for seed in seeds]
    return Plan(samples, rows, names, False, 'seeds ' + ', '.join(map(str, seeds)))


def noise_path_plan(
        wanted,           # [SampleRequest]
        seeds,            # (from, to)
        steps,            # images on the way, both ends included
        truncation=Truncation(),  # noqa: B008
):
    """For each of `wanted`, the way from its image of one seed to that of another."""
    places = positions(steps)
    samples = [PlannedSample(each, NoiseSource(seeds[0], truncation, seeds[1], place))
               for each in wanted for place in places]
    rows = [(Path((each.caption,), tuple(seeds)), _row(number, steps))
            for number, each in enumerate(wanted)]
    return Plan(samples, rows, _percentages(places), True, 'seeds %d to %d' % tuple(seeds))


def caption_path_plan(
        ends,             # two SampleRequest
        seeds,            # a row each
        steps,            # images on the way, both ends included
        truncation=Truncation(),  # noqa: B008
):
    """For each seed, the straight way between the embeddings of two captions.

    The noise is that of the first caption all the way, so that nothing but the sentence changes:
    the first image is the one the first caption has with that seed, the last one has the second
    caption's embedding and the first one's noise.
    """
    places = positions(steps)
    first, other = ends
    steps_of = [first._replace(embedding=lerp(first.embedding, other.embedding, place),
                               facts={'other_caption': other.caption, 'position': place})
                for place in places]
    samples = [PlannedSample(each, NoiseSource(seed, truncation))
               for seed in seeds for each in steps_of]
    rows = [(Path((first.caption, other.caption), (seed,)), _row(number, steps))
            for number, seed in enumerate(seeds)]
    noise = 'seed{} {}'.format('s' if len(seeds) > 1 else '', ', '.join(map(str, seeds)))
    return Plan(samples, rows, _percentages(places), True, noise)


def facts_of(
        sample,             # PlannedSample
):
    """Its line of the index without the files: all that it takes to generate it again."""
    wanted, source = sample
    line = dict(wanted.facts, caption=wanted.caption, seed=source.seed, copy=wanted.copy)
    if source.other_seed is not None:
        line.update(other_seed=source.other_seed, position=source.position)
    for kind, limit in source.truncation._asdict().items():
        if limit is not None:
            line['truncation_' + kind] = limit
    return line


def _row(number, width):
    return list(range(number * width, (number + 1) * width))


def _percentages(places):
    return ['%.0f %%' % (100 * place) for place in places]
