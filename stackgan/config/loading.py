"""YAML -> `Config`, strictly: every error names the file, the key and what is expected."""

import dataclasses
import difflib
import functools
import operator
import os
import re
import typing
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

import yaml

from stackgan.config import schema
from stackgan.config.checks import check_config, fill_nulls, values_of_nulls
from stackgan.config.places import find_config
from stackgan.config.renamed import rename_tree, renamed, tell
from stackgan.config.yaml_values import MAX_BYTES, NotRead, parse_yaml
from stackgan.errors import ConfigError, InputError
from stackgan.files import read_bytes, user_path
from stackgan.text_files import decode

MAX_BASES = 8           # files that build on each other
MAX_SHOWN = 80          # characters of a value in a message
NUMBER = re.compile(r'[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?')


def load_config(
        path: str,                         # the YAML file
        overrides: Sequence[str] = (),     # 'section.key=value' each, value in YAML
) -> schema.Config:
    """Reads a configuration, applies the overrides, fills in nulls and checks all values.

    Raises ConfigError, which names `path` (or --set) and the key.
    """
    tree = _with_base(path, ())
    for text in overrides:
        _override(tree, text)
    origin = str(path) + (' with --set' if overrides else '')
    config = fill_nulls(_typed(schema.Config, tree, origin, ''), path)
    check_config(config, origin)
    return config


def to_dict(config: Any) -> Any:
    """The configuration as nested dicts of plain values, tuples as lists."""
    if dataclasses.is_dataclass(config):
        return {f.name: to_dict(getattr(config, f.name)) for f in dataclasses.fields(config)}
    return list(config) if isinstance(config, tuple) else config


def to_yaml(config: schema.Config) -> str:
    """The text of a configuration file that loads as this configuration."""
    return yaml.safe_dump(to_dict(config), sort_keys=False, default_flow_style=False)


def marked_yaml(config: schema.Config) -> str:
    """`to_yaml` with a comment on each value that is not the default: what --dry-run prints."""
    defaults = dict(default_settings(), **values_of_nulls(config))
    lines: List[str] = []
    keys: List[str] = []
    for line in to_yaml(config).splitlines():
        if not line.strip().startswith('- '):
            depth = (len(line) - len(line.lstrip(' '))) // 2
            keys = keys[:depth] + [line.split(':')[0].strip()]
            name = '.'.join(keys)
            if name in defaults:
                value = functools.reduce(getattr, keys, config)
                if to_dict(value) != defaults[name]:
                    line = f'{line:<40} # default: {in_one_line(defaults[name])}'
        lines.append(line)
    return '\n'.join(lines) + '\n'


def network_of(facts: Dict[str, Any], path: str) -> Tuple[int, schema.Model]:
    """(stage, `model` section) from a checkpoint's facts. Raises InputError if they are damaged."""
    try:
        if type(facts.get('stage')) is not int or facts['stage'] not in (1, 2):
            stage = str(facts.get('stage'))[:40]
            raise ConfigError(f'{path}: stage is {stage}, expected 1 or 2')
        return facts['stage'], _typed(schema.Model, facts.get('model'), path, 'model.')
    except ConfigError as error:
        raise InputError(f"{error}; the checkpoint's description of itself is damaged")


def in_one_line(value: Any) -> str:
    """A value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True).split('\n')[0]


def default_settings(kind: Any = schema.Config, prefix: str = '') -> Dict[str, Any]:
    """{dotted key: default}, tuples as lists.

    A section that may be null is represented by the defaults of its keys.
    """
    found: Dict[str, Any] = {}
    kinds = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = strip_optional(kinds[field.name])[0]
        if dataclasses.is_dataclass(inner):
            found.update(default_settings(inner, prefix + field.name + '.'))
        else:
            found[prefix + field.name] = (list(field.default) if isinstance(field.default, tuple)
                                          else field.default)
    return found


def _with_base(
        path: str,
        before: Tuple[str, ...],     # real paths of the files that lead to this one
) -> Dict[str, Any]:
    """The tree of a file, merged over that of its `base`."""
    tree = read_yaml(path)
    base = tree.pop('base', None)
    tree = rename_tree(tree, path)
    if base is None:
        return tree
    if not isinstance(base, str):
        raise ConfigError(f'{path}: base: expected the name or path of a configuration file, found '
                          f'{_kind(base)}')
    before = before + (os.path.realpath(path),)
    try:
        below = find_config(base, os.path.dirname(os.path.abspath(path)))
    except ConfigError as error:
        raise ConfigError(f'{path}: base: {error}')
    if os.path.realpath(below) in before or len(before) > MAX_BASES:
        raise ConfigError(f'{path}: base: {base} builds on this file in turn, or more than '
                          f'{MAX_BASES} files build on each other')
    return _merged(_with_base(below, before), tree)


def _merged(below: Dict[str, Any], above: Dict[str, Any]) -> Dict[str, Any]:
    """Two nested dicts merged; values of `above` take precedence."""
    found = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(found.get(name), dict)
        found[name] = _merged(found[name], value) if both else value
    return found


def read_yaml(path: str) -> Dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError."""
    try:
        text = decode(read_bytes(path, MAX_BYTES))
        if not text.is_whole:
            raise ValueError('bytes that are not UTF-8; save it as UTF-8')
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise ConfigError(f'{path}: cannot be read: {reason}')
    try:
        tree = parse_yaml(text.text)
    except NotRead as error:
        raise ConfigError(f'{path}: not valid YAML: {error}')
    if not isinstance(tree, dict):
        raise ConfigError(f'{path}: holds {_kind(tree)}, not a mapping of sections (see configs/)')
    return tree


def _override(tree: Dict[str, Any], text: str) -> None:
    """Sets the key of 'section.key=value' in a tree."""
    name, separator, value = text.partition('=')
    text = shortened(text)
    parts = name.strip().split('.')
    if not separator or not all(parts):
        raise ConfigError(f'--set {text}: not of the form section.key=value')
    try:
        value = parse_yaml(value)
    except NotRead as error:
        raise ConfigError(f'--set {text}: not a valid value: {error.reason}')
    tell(f'--set {text}', name.strip(), value)
    name, value = renamed(name.strip(), value)
    parts = name.split('.')
    _check_known(schema.Config, parts, f'--set {text}')
    for part in parts[:-1]:
        if tree.get(part) is None:
            tree[part] = {}
        tree = tree[part]
        if not isinstance(tree, dict):
            raise ConfigError(f'--set {text}: {part} holds {_kind(tree)}, not a section')
    tree[parts[-1]] = value


def _check_known(kind: Any, parts: List[str], origin: str) -> None:
    """Raises ConfigError for a dotted key that is not in the schema, with the nearest that is."""
    seen = ''
    for part in parts:
        if kind == schema.Options:
            return                                # its names are those of another program
        if not dataclasses.is_dataclass(kind):
            raise ConfigError(f'{origin}: {seen} is a value and has no keys')
        kinds = typing.get_type_hints(kind)
        if part not in kinds:
            raise ConfigError(_unknown(origin, seen, part, kinds))
        kind, seen = strip_optional(kinds[part])[0], (seen + '.' + part).lstrip('.')


def _typed(
        kind: Any,         # a dataclass
        tree: Any,         # from YAML; must be a dict
        origin: str,       # the file, for messages
        prefix: str,       # dotted name of the section, with a dot at the end
) -> Any:
    """Builds the dataclass `kind` from a dict."""
    if not isinstance(tree, dict):
        raise ConfigError(f'{origin}: {prefix.rstrip(".")}: expected a section of keys, found '
                          f'{_kind(tree)}')
    kinds = typing.get_type_hints(kind)
    for name in tree:
        if name not in kinds:
            raise ConfigError(_unknown(origin, prefix.rstrip('.'), name, kinds))
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in tree:      # the others keep their defaults
            values[field.name] = _value(kinds[field.name], tree[field.name], field.metadata, origin,
                                        prefix + field.name)
    return kind(**values)


def _unknown(origin: str, section: str, name: Any, known: Iterable[str]) -> str:
    name = shortened(str(name))
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    hint = f'did you mean {near[0]}?' if near else 'known keys: ' + ', '.join(known)
    key = f'{section}.{name}'.lstrip('.')
    return f'{origin}: unknown key {key}; {hint}'


def _value(kind: Any, value: Any, limits: Mapping[str, Any], origin: str, name: str) -> Any:
    """A value from YAML as the type `kind`, checked against the limits of its key."""
    kind, optional = strip_optional(kind)
    if value is None and optional:
        return None
    if dataclasses.is_dataclass(kind):
        return _typed(kind, value, origin, name + '.')
    if kind == schema.Options:
        return _options(value, origin, name)
    if kind == schema.CountOrAuto:
        if value == schema.AUTO:
            return value
        if isinstance(value, str):
            raise ConfigError(f'{origin}: {name}: expected a whole number or {schema.AUTO}, found '
                              f'{_kind(value)}')
        kind = int
    if getattr(kind, '__origin__', None) in (tuple, typing.Tuple):
        kinds = kind.__args__
        if Ellipsis in kinds:                    # Tuple[int, ...]: one or more
            kinds = kinds[:1] * max(len(value) if isinstance(value, (list, tuple)) else 1, 1)
        if not isinstance(value, (list, tuple)) or len(value) != len(kinds):
            raise ConfigError(f'{origin}: {name}: expected a list of {len(kinds)} values, found '
                              f'{_kind(value)}')
        return tuple(_value(each, item, limits, origin, f'{name}[{i}]')
                     for i, (each, item) in enumerate(zip(kinds, value)))
    if value is False and 'off' in (limits['choices'] or ()):
        value = 'off'                                        # YAML 1.1 reads off as false
    value = _scalar(kind, value, origin, name, optional)
    _check_limits(value, limits, origin, name)
    is_path = kind is str and not (limits['choices'] or limits['pattern'])      # all other texts
    return user_path(value) if is_path else value


def _options(value: Any, origin: str, name: str) -> schema.Options:
    """Names and plain values for another program, which are not known here."""
    if not isinstance(value, dict):
        raise ConfigError(f'{origin}: {name}: expected names with values, found {_kind(value)}')
    for each, given in value.items():
        if not re.fullmatch(r'[A-Za-z]\w*', str(each)) or type(given) not in (bool, int, str):
            raise ConfigError(f'{origin}: {name}.{shortened(str(each))}: expected a name with a '
                              f'text, a whole number, true or false, found {_kind(given)}')
    return dict(value)


def strip_optional(kind: Any) -> Tuple[Any, bool]:
    """(T, True) for Optional[T]; (kind, False) for any other type."""
    arguments = getattr(kind, '__args__', None) or ()
    if type(None) in arguments:
        return next(a for a in arguments if a is not type(None)), True
    return kind, False


def _scalar(kind: Any, value: Any, origin: str, name: str, optional: bool) -> Any:
    if kind is float and isinstance(value, str) and NUMBER.fullmatch(value):
        value = float(value)    # YAML 1.1 reads 2e-4 as text
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or value != value or value in (float('inf'), float('-inf')):
        words = {int: 'a whole number', float: 'a number', bool: 'true or false', str: 'text'}
        null = ' or null' if optional else ''
        raise ConfigError(f'{origin}: {name}: expected {words[kind]}{null}, found {_kind(value)}')
    return value


def _check_limits(value: Any, limits: Mapping[str, Any], origin: str, name: str) -> None:
    rules = (('minimum', operator.ge, 'at least'), ('maximum', operator.le, 'at most'),
             ('above', operator.gt, 'more than'))
    for rule, holds, words in rules:
        limit = limits[rule]
        if limit is not None and not holds(value, limit):
            raise ConfigError(f'{origin}: {name}: is {value}, must be {words} {limit}')
    if limits['choices'] and value not in limits['choices']:
        choices = ', '.join(limits['choices'])
        raise ConfigError(f'{origin}: {name}: is {_kind(value)}, must be one of {choices}')
    if limits['pattern'] and not re.fullmatch(limits['pattern'], value):
        raise ConfigError(f'{origin}: {name}: {_kind(value)} may contain only letters, digits, '
                          '".", "_" and "-", and must start with a letter or digit')


def _kind(value: Any) -> str:
    if value is None:
        return 'null'
    if isinstance(value, dict):
        return 'a section'
    return shortened(f'{value!r}')


def shortened(text: str) -> str:
    """A text cut for a message, so that a file cannot fill the terminal."""
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + '...'
