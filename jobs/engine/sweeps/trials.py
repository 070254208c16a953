"""The runs of a sweep: their names, their configurations and the record of them on the volume.

    sweeps/<sweep>/sweep.json      the keys that vary, the runs with their values, the score
    sweeps/<sweep>/<run>.yaml      the whole configuration of a run, for every other command
    sweeps/<sweep>/logs/           what the jobs print
    sweeps/<sweep>/report/         the page that ranks the runs
"""

import dataclasses
import functools
import json
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.config import Config, load_config
from stackgan.config.keys import NAME
from stackgan.config.loading import to_yaml
from stackgan.errors import ConfigError, InputError
from stackgan.files import atomic_write, digest_of, read_json, write_json
from stackgan.plain_names import file_within

from .points import MAX_RUNS, Point, varied

MAX_NAME = 64                        # characters of a run's name (keys.NAME)
RECORD = 'sweep.json'
DEFAULT_SCORE = 'fid/scorer'
LOWER_IS_BETTER = ('fid', 'kid')
SCORES = LOWER_IS_BETTER + ('inception_score', 'precision', 'recall', 'variety', 'r_precision',
                            'attribute_accuracy')
STAGES = (1, 2)


class Trial(NamedTuple):
    """One run of a sweep."""

    config: Config
    values: Dict[str, Any]           # of the keys that vary
    path: str                        # of its configuration file, in the sweep's folder

    @property
    def run(self) -> str:
        return str(self.config.run.name)


class Sweep(NamedTuple):
    name: str
    folder: str                      # absolute path, on the volume
    trials: Tuple[Trial, ...]
    score: str                       # protocol by which the runs are ranked
    stage: int                       # whose images are scored; 1: Stage-II is not trained

    @property
    def lower_is_better(self) -> bool:
        return self.score.split('/')[0] in LOWER_IS_BETTER


def folder_of(name: str, volume: str) -> str:
    return os.path.join(volume, 'sweeps', name)


def make_sweep(
        name: str,
        points: Sequence[Point],
        load: Any,                   # (overrides: list of 'key=value') -> Config
        volume: str,
        score: Optional[str],
        stage: Optional[int],
) -> Sweep:
    """The sweep of these points. Raises ConfigError for values that no run can have."""
    check_names(name, score, stage)
    keys = varied(points)
    configs = [load([f'{key}={json.dumps(value)}' for key, value in point.items()])
               for point in points]
    values = [{key: value_of(config, key) for key in keys} for config in configs]
    names = names_of(name, values)
    folder = folder_of(name, volume)
    found = Sweep(name, folder, tuple(
        Trial(dataclasses.replace(config, run=dataclasses.replace(config.run, name=run)), each,
              os.path.join(folder, run + '.yaml'))
        for config, each, run in zip(configs, values, names)), score or DEFAULT_SCORE, stage or 2)
    _check_judge(found)
    return found


def check_names(name: str, score: Optional[str], stage: Optional[int]) -> None:
    """Raises ConfigError for a name, a score or a stage that cannot be."""
    if not re.fullmatch(NAME, name):
        raise ConfigError(f'sweep: --name {name[:80]}: may contain only letters, digits, ".", "_" '
                          'and "-", and must start with a letter or digit')
    if score is not None and score.split('/')[0] not in SCORES:
        raise ConfigError(f'sweep: --score {score[:80]}: must begin with one of '
                          f'{", ".join(SCORES)}, as in the table that `score` prints')
    if stage is not None and stage not in STAGES:
        raise ConfigError(f'sweep: stage {stage}: must be 1 or 2')


def _check_judge(sweep: Sweep) -> None:
    judges = [key for key in sweep.trials[0].values if key.startswith('text.')]
    if judges and sweep.score.startswith('r_precision'):
        raise ConfigError(f'sweep: {judges[0]} varies, and {sweep.score} is measured with each '
                          "run's text encoder, so it does not compare them; choose another --score")


def value_of(config: Config, key: str) -> Any:
    """The value of a dotted key."""
    return functools.reduce(lambda tree, part: tree[part] if isinstance(tree, dict)
                            else getattr(tree, part), key.split('.'), config)


def text_of(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, float):
        return f'{value:g}'
    if value is None:
        return 'null'
    return str(value).lower() if isinstance(value, bool) else str(value)


def names_of(
        sweep: str,
        values: Sequence[Dict[str, Any]],    # of the keys that vary, for each run
) -> List[str]:
    """Names of the runs: the sweep's, then what differs."""
    keys = list(values[0])
    for short in (_short_keys(keys), _initials(keys)):
        names = ['-'.join([sweep] + [f'{short[key]}-{_plain(value)}'
                                     for key, value in each.items()]) for each in values]
        if max(map(len, names)) <= MAX_NAME:
            break
    # What no name can tell apart, its digest does.
    return [name if len(name) <= MAX_NAME and names.count(name) == 1
            else f'{name[:MAX_NAME - 9].rstrip("-")}-{digest_of(each)[:8]}'
            for name, each in zip(names, values)]


def _short_keys(keys: Sequence[str]) -> Dict[str, str]:
    """{key: its shortest end that no other key has}."""
    found = {}
    for key in keys:
        parts = key.split('.')
        ends = ['.'.join(parts[-count:]) for count in range(1, len(parts) + 1)]
        found[key] = next(end for end in ends if end == key or not any(
            other != key and ('.' + other).endswith('.' + end) for other in keys))
    return found


def _initials(keys: Sequence[str]) -> Dict[str, str]:
    """{key: first letters of its words}; the short keys where they would be the same."""
    found = {key: '.'.join(''.join(word[0] for word in part.split('_') if word)
                           for part in short.split('.'))
             for key, short in _short_keys(keys).items()}
    return found if len(set(found.values())) == len(found) else _short_keys(keys)


def _plain(value: Any) -> str:
    """A value with the characters of a name alone."""
    return re.sub(r'[^A-Za-z0-9.]+', '-', text_of(value)).strip('-') or 'empty'


def write_record(sweep: Sweep) -> None:
    """Writes the configurations of the runs, then the record."""
    os.makedirs(sweep.folder, exist_ok=True)
    for trial in sweep.trials:
        with atomic_write(trial.path, 'w') as stream:
            stream.write(to_yaml(trial.config))
    write_json(os.path.join(sweep.folder, RECORD), {
        'score': sweep.score, 'stage': sweep.stage, 'keys': list(sweep.trials[0].values),
        'runs': [{'run': trial.run, 'values': trial.values} for trial in sweep.trials]})


def read_record(
        name: str,
        volume: str,
        score: Optional[str],        # None: that of the record
) -> Sweep:
    """The sweep that an earlier command began. Raises InputError if there is none."""
    check_names(name, score, None)
    folder = folder_of(name, volume)
    path = os.path.join(folder, RECORD)
    try:
        record = read_json(path)
        runs = record['runs']
        check_names(name, record['score'], record['stage'])
        if not 1 <= len(runs) <= MAX_RUNS:
            raise ValueError(f'{len(runs)} runs')
        trials = [Trial(load_config(file_within(folder, each['run'] + '.yaml')),
                        {key: each['values'][key] for key in record['keys']},
                        os.path.join(folder, each['run'] + '.yaml'))
                  for each in runs]
        for trial, each in zip(trials, runs):
            if trial.run != each['run']:
                raise ValueError(f'{trial.path} is the configuration of another run')
    except FileNotFoundError:
        raise InputError(f'sweep: there is no sweep {name} in {volume}; say what varies with '
                         '--grid KEY=VALUE,VALUE, --range or --file')
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{path}: is damaged ({error}); give the command with --grid, --range or '
                         '--file again')
    found = Sweep(name, folder, tuple(trials), score or record['score'], record['stage'])
    _check_judge(found)
    return found
