"""Which images are generated, and how a grid shows them: copies, seeds, interpolations."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.sampling.interpolation import lerp, positions
from stackgan.sampling.sample_request import NoiseSource, SampleRequest, Truncation


class PlannedSample(NamedTuple):
    """One image to generate, with the noise it gets."""

    request: SampleRequest
    source: NoiseSource


class Plan(NamedTuple):
    """Images in the order of generation, and the rows of their grid."""

    samples: List[PlannedSample]
    rows: List[Tuple[Any, List[int]]]    # (caption or Path, indices of its samples)
    headings: Optional[List[str]]        # of the columns; None: none
    is_path: bool                        # whether each row is an interpolation
    noise: str                           # which noise, in words


class Path(NamedTuple):
    """The ends of a row that interpolates."""

    captions: Tuple[str, ...]            # one, or both ends
    seeds: Tuple[int, ...]               # likewise


def copies_plan(
        requests: Sequence[SampleRequest],
        seed: int,                              # of all noise
        truncation: Truncation = Truncation(),  # noqa: B008
) -> Plan:
    """Each image once; those of one caption in one row."""
    rows: Dict[str, List[int]] = {}
    for number, each in enumerate(requests):
        rows.setdefault(each.caption, []).append(number)
    return Plan([PlannedSample(each, NoiseSource(seed, truncation)) for each in requests],
                list(rows.items()), None, False, f'seed {seed}')


def seeds_plan(
        requests: Sequence[SampleRequest],
        seeds: Sequence[int],                   # a column each
        truncation: Truncation = Truncation(),  # noqa: B008
) -> Plan:
    """A row for each request, a column for each seed."""
    samples = [PlannedSample(each, NoiseSource(seed, truncation))
               for each in requests for seed in seeds]
    rows = [(each.caption, _row(number, len(seeds))) for number, each in enumerate(requests)]
    names = [f'seed {seed}' for seed in seeds]
    return Plan(samples, rows, names, False, 'seeds ' + ', '.join(map(str, seeds)))


def noise_path_plan(
        requests: Sequence[SampleRequest],
        seeds: Sequence[int],                   # the first and the last
        steps: int,                             # images of each interpolation, both ends included
        truncation: Truncation = Truncation(),  # noqa: B008
) -> Plan:
    """For each request, an interpolation from its image of one seed to that of another."""
    places = positions(steps)
    samples = [PlannedSample(each, NoiseSource(seeds[0], truncation, seeds[1], place))
               for each in requests for place in places]
    rows = [(Path((each.caption,), tuple(seeds)), _row(number, steps))
            for number, each in enumerate(requests)]
    return Plan(samples, rows, _percentages(places), True, f'seeds {seeds[0]} to {seeds[1]}')


def caption_path_plan(
        ends: Sequence[SampleRequest],          # the first and the last
        seeds: Sequence[int],                   # a row each
        steps: int,                             # images of each interpolation, both ends included
        truncation: Truncation = Truncation(),  # noqa: B008
) -> Plan:
    """For each seed, a straight interpolation between the embeddings of two captions.

    The noise stays that of the first caption, so that nothing but the sentence changes: the first
    image is what the first caption gets with that seed; the last one combines the second caption's
    embedding with the first one's noise.
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
    noise = ('seeds ' if len(seeds) > 1 else 'seed ') + ', '.join(map(str, seeds))
    return Plan(samples, rows, _percentages(places), True, noise)


def facts_of(sample: PlannedSample) -> Dict[str, Any]:
    """Its line of samples.jsonl without the files: all that generating it again needs."""
    request, source = sample
    line = dict(request.facts, caption=request.caption, seed=source.seed, copy=request.copy)
    if source.other_seed is not None:
        line.update(other_seed=source.other_seed, position=source.position)
    for kind, limit in source.truncation._asdict().items():
        if limit is not None:
            line['truncation_' + kind] = limit
    return line


def _row(number: int, width: int) -> List[int]:
    return list(range(number * width, (number + 1) * width))


def _percentages(places: Sequence[float]) -> List[str]:
    return [f'{100 * place:.0f} %' for place in places]
