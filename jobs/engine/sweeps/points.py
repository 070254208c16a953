"""The points of a sweep: which keys take which values, from a grid or chosen at random."""

import itertools
import math
import random
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from stackgan.config.loading import read_yaml, shortened
from stackgan.config.yaml_values import NotRead, parse_yaml
from stackgan.errors import ConfigError

MAX_RUNS = 1000
DIGITS = 3                   # of a number chosen from a range, so that runs have readable names
TRIES = 100                  # for each run of a random search, to find a point that is new
KEYS = ('grid', 'range', 'random', 'seed', 'score', 'stage', 'name')    # of a file
# What has to be equal in all runs, or is chosen by the sweep.
FIXED = {
    'make_dataset': 'all runs of a sweep are scored against the same images',
    'data': 'all runs of a sweep are scored against the same images',
    'scorer': 'one classifier scores all runs of a sweep',
    'score': 'the scores of a sweep are made in one way',
    'run.name': 'the sweep names its runs',
}

Point = Dict[str, Any]       # {dotted key: value as YAML reads it}


class Range(NamedTuple):
    """Numbers between two limits, with equal probability, or with that of their logarithms."""

    low: Union[int, float]
    high: Union[int, float]
    is_log: bool

    def choose(self, rng: random.Random) -> Union[int, float]:
        if self.is_log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = rng.uniform(self.low, self.high)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return min(max(int(round(value)), self.low), self.high)
        return min(max(float(f'{value:.{DIGITS}g}'), self.low), self.high)


class Request(NamedTuple):
    """What is asked for, by options or a file."""

    grid: Dict[str, List[Any]]
    ranges: Dict[str, Range]
    runs: Optional[int] = None          # of a random search; None: the whole grid
    seed: Optional[int] = None          # of a random search; None: 0
    score: Optional[str] = None
    stage: Optional[int] = None
    name: Optional[str] = None


def grid_of(texts: Sequence[str]) -> Dict[str, List[Any]]:
    """{key: values} of options KEY=VALUE,VALUE. Raises ConfigError."""
    found: Dict[str, List[Any]] = {}
    for text in texts:
        name, separator, values = text.partition('=')
        origin = f'--grid {shortened(text)}'
        if not separator:
            raise ConfigError(f'{origin}: not of the form section.key=value,value')
        try:
            given = parse_yaml(f'[{values}]')
        except NotRead as error:
            raise ConfigError(f'{origin}: not a list of values: {error.reason}')
        _add(found, name.strip(), given, origin)
    return found


def ranges_of(texts: Sequence[str]) -> Dict[str, Range]:
    """{key: range} of options KEY=LOW..HIGH or KEY=LOW..HIGH:log. Raises ConfigError."""
    found: Dict[str, Range] = {}
    for text in texts:
        name, separator, limits = text.partition('=')
        found[check_key(name.strip(), f'--range {shortened(text)}')] = _range(
            limits if separator else '', f'--range {shortened(text)}')
    return found


def read_request(path: str) -> Request:
    """The request in a YAML file. Raises ConfigError."""
    tree = read_yaml(path)
    for name in tree:
        if name not in KEYS:
            raise ConfigError(f'{path}: unknown key {shortened(str(name))}; known keys: '
                              f'{", ".join(KEYS)}')
    grid: Dict[str, List[Any]] = {}
    ranges: Dict[str, Range] = {}
    for name, values in _section(tree, 'grid', path).items():
        _add(grid, name, values, f'{path}: grid.{name}')
    for name, limits in _section(tree, 'range', path).items():
        origin = f'{path}: range.{name}'
        ranges[check_key(name, origin)] = _range(limits, origin)
    return Request(grid, ranges, _whole(tree, 'random', path), _whole(tree, 'seed', path),
                   _text(tree, 'score', path), _whole(tree, 'stage', path),
                   _text(tree, 'name', path))


def points_of(request: Request) -> List[Point]:
    """The points: the whole grid in its order, or as many as asked for at random."""
    for name in request.ranges:
        if name in request.grid:
            raise ConfigError(f'sweep: {name} has both values and a range; give one of them')
    if request.runs is not None:
        return _random_points(request, request.runs)
    if request.ranges:
        raise ConfigError(f'sweep: {sorted(request.ranges)[0]} has a range, from which only a '
                          'random search can choose; pass --random N, or values with --grid')
    count = 1
    for values in request.grid.values():
        count *= len(values)
    if count > MAX_RUNS:
        raise ConfigError(f'sweep: the grid has {count} runs, at most {MAX_RUNS} can be made; '
                          'leave out values, or choose some of them with --random N')
    return [dict(zip(request.grid, values)) for values in itertools.product(
        *request.grid.values())]


def _random_points(request: Request, runs: int) -> List[Point]:
    if not 1 <= runs <= MAX_RUNS:
        raise ConfigError(f'sweep: --random {runs}: must be 1 to {MAX_RUNS}')
    rng, points = random.Random(request.seed or 0), []
    for _ in range(runs * TRIES):
        point: Point = {name: rng.choice(values) for name, values in request.grid.items()}
        point.update({name: limits.choose(rng) for name, limits in request.ranges.items()})
        if point not in points:
            points.append(point)
        if len(points) == runs:
            return points
    raise ConfigError(f'sweep: --random {runs}: there are only {len(points)} different runs; ask '
                      'for fewer, or give more values')


def check_key(name: str, origin: str) -> str:
    """Returns the key. Raises ConfigError for one that a sweep cannot vary."""
    for fixed, why in FIXED.items():
        if name == fixed or name.startswith(fixed + '.'):
            raise ConfigError(f'{origin}: {name} cannot be varied: {why}; use --set for all runs')
    return name


def _add(grid: Dict[str, List[Any]], name: str, values: Any, origin: str) -> None:
    if not isinstance(values, list) or not values:
        raise ConfigError(f'{origin}: must be a list of at least one value')
    if name in grid:
        raise ConfigError(f'{origin}: {name} has values already; give all of them at once')
    for number, value in enumerate(values):
        if value in values[:number]:
            raise ConfigError(f'{origin}: the value {shortened(str(value))} is there twice')
    grid[check_key(name, origin)] = values


def _range(limits: Any, origin: str) -> Range:
    words, _, scale = str(limits).partition(':')
    try:
        low, high = [_number(word) for word in words.split('..')]
    except ValueError:
        raise ConfigError(f'{origin}: not of the form key=LOW..HIGH or key=LOW..HIGH:log')
    if scale not in ('', 'log'):
        raise ConfigError(f'{origin}: {shortened(scale)} after the limits; must be log or left out')
    if not low < high or (scale and low <= 0):
        raise ConfigError(f'{origin}: the lower limit must be below the higher'
                          + (', and above 0 with log' if scale else ''))
    return Range(low, high, bool(scale))


def _number(word: str) -> Union[int, float]:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(word)
    return int(word) if word.strip().lstrip('+-').isdigit() else value


def _section(tree: Dict[str, Any], name: str, path: str) -> Dict[str, Any]:
    found = tree.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f'{path}: {name}: must be a mapping of keys, such as '
                          'train.generator_learning_rate, to '
                          + ('lists of values' if name == 'grid' else 'ranges'))
    return found


def _whole(tree: Dict[str, Any], name: str, path: str) -> Optional[int]:
    value = tree.get(name)
    if value is not None and type(value) is not int:
        raise ConfigError(f'{path}: {name}: must be a whole number')
    return value


def _text(tree: Dict[str, Any], name: str, path: str) -> Optional[str]:
    value = tree.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f'{path}: {name}: must be text')
    return value


def merged(file: Request, options: Request) -> Request:
    """A file's request with that of the options over it."""
    given = {name: value for name, value in options._asdict().items() if value is not None}
    return file._replace(**dict(given, grid=dict(file.grid, **options.grid),
                                ranges=dict(file.ranges, **options.ranges)))


def varied(points: Sequence[Point]) -> Tuple[str, ...]:
    """The keys that differ between points; all of them for a single point."""
    names = list(points[0])
    if len(points) == 1:
        return tuple(names)
    return tuple(name for name in names if any(point[name] != points[0][name]
                                               for point in points))
