"""Writes the page of all configuration keys from the schema.

    python -m stackgan.config.documentation docs/configuration.md
"""

import dataclasses
import sys
import typing
from typing import Any, Iterator, Tuple

from stackgan.config import schema
from stackgan.config.loading import default_settings, in_one_line, strip_optional
from stackgan.files import atomic_write

INTRODUCTION = '''# Configuration

A configuration is a YAML file that holds what differs from the defaults below, which are the
paper's values. `base: birds` at its top starts from another file, by name or path, and changes
what follows. `--config` takes a file, or the name of one in `configs/`;
`--set section.key=value` overrides one key.

```yaml
base: folder
data:
  raw: /data/my-images
stage1:
  epochs: 200
```

Unknown keys, wrong types, values out of range and contradictions are errors that name the file and
the key. `--dry-run` prints the complete configuration and marks what is not a default; each output
keeps it in `config.yaml`, which `--config` takes again. Where `null` is allowed, the meaning says
what it stands for. Files and finished work of earlier versions stay usable: a key that they lack
has its default, and a renamed one is read under its new name.

Of YAML, mappings, lists, texts, numbers, `true`, `false` and `null` are read (`yes`, `no`, `on` and
`off` as well); a date is a text. Anchors, aliases, tags and repeated keys are errors, and so is a
number that the versions of YAML read differently, such as `010`, `1:30` or `1_000`.

This page is made from `stackgan/config/schema.py`.
'''
KINDS = {int: 'whole number', float: 'number', str: 'text', bool: 'true, false'}


def page() -> str:
    """The text of docs/configuration.md."""
    parts = [INTRODUCTION]
    defaults = default_settings()
    for field in dataclasses.fields(schema.Config):
        kind = strip_optional(typing.get_type_hints(schema.Config)[field.name])[0]
        help = field.metadata['help']
        parts.append(f'\n## {field.name}\n\n{help[0].upper() + help[1:]}.\n\n'
                     '| key | type | values | default | meaning |\n'
                     '| --- | --- | --- | --- | --- |\n')
        for name, hint, metadata in _keys(kind, field.name + '.'):
            default = in_one_line(defaults[name])
            parts.append(f'| `{name}` | {_kind(hint)} | {_values(metadata)} | `{default}` | '
                         f'{metadata["help"]} |\n')
    return ''.join(parts)


def _keys(kind: Any, prefix: str) -> Iterator[Tuple[str, Any, Any]]:
    for field in dataclasses.fields(kind):
        hint = strip_optional(typing.get_type_hints(kind)[field.name])[0]
        if dataclasses.is_dataclass(hint):
            yield from _keys(hint, prefix + field.name + '.')
        else:
            yield prefix + field.name, hint, field.metadata


def _kind(hint: Any) -> str:
    if hint == schema.Options:
        return 'names with values'
    if hint == schema.CountOrAuto:
        return f'whole number, `{schema.AUTO}`'
    if hint in KINDS:
        return KINDS[hint]
    kinds = hint.__args__
    number = '' if Ellipsis in kinds else f'{len(kinds)} '
    return f'list of {number}{KINDS[kinds[0]]}s'


def _values(metadata: Any) -> str:
    if metadata['choices']:
        return ', '.join(f'`{choice}`' for choice in metadata['choices'])
    above, minimum, maximum = (metadata[name] for name in ('above', 'minimum', 'maximum'))
    lower = f'from {_number(minimum)}' if minimum is not None else ''
    if above is not None:
        lower = f'above {above:g}'
    upper = _number(maximum) if maximum is not None else ''
    return ' to '.join(part for part in (lower, upper) if part)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f'{value:g}'


if __name__ == '__main__':
    with atomic_write(sys.argv[1], 'w') as stream:
        stream.write(page())
