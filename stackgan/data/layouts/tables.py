"""One table with the captions of all images: .csv, .tsv or .jsonl, as spreadsheets write them."""

import csv
import io
import json
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from stackgan.data.layouts.captions import says_something
from stackgan.data.layouts.common import SPLITS, is_plain_name, key_of
from stackgan.errors import InputError
from stackgan.files import parse_json
from stackgan.text_files import (
    MAX_TABLE_BYTES,
    clean_caption,
    read_text,
    require_whole,
    split_lines,
)

NEEDED, OPTIONAL = ('file', 'caption'), ('class', 'split')
DELIMITERS = ',;\t|'             # Excel writes ; where a comma is the decimal point
HEAD = 1 << 16                   # characters in which the header must lie
KINDS = {dict: 'an object', list: 'a list', str: 'a text', bool: 'a truth value',
         int: 'a number', float: 'a number', type(None): 'null'}


class TableEntry(NamedTuple):
    """What a table says of one image."""

    captions: list
    class_name: Optional[str]
    split: Optional[str]


class Table(NamedTuple):
    """captions.csv or captions.jsonl."""

    entries: dict          # key_of(file) -> TableEntry
    has_splits: bool
    is_utf8: bool
    silent: list           # captions left out because they say nothing, blank ones aside


def read_table(path: str) -> Table:
    """`Table` of a .csv, .tsv or .jsonl file. Raises InputError naming the line that is wrong."""
    if not os.path.exists(path):
        raise InputError(f'{path} is missing: data.captions_file names it, below the raw folder')
    read = {'.csv': _csv_rows, '.tsv': _csv_rows, '.jsonl': _jsonl_rows}.get(
        os.path.splitext(path)[1].lower())
    if read is None:
        raise InputError(f'{path}: a captions file must end in .csv or .jsonl (or .tsv)')
    text, is_utf8 = read_text(path, MAX_TABLE_BYTES)
    entries: Dict[str, Any] = {}
    silent: List[tuple] = []
    for line, row in read(path, text):
        origin = '%s: line %d' % (path, line)
        if not is_utf8:
            for name in ('file',) + OPTIONAL:
                require_whole(str(row.get(name)), f'{origin}: {name}')
        _add_row(entries, silent, origin, row)
    has_splits = any(entry.split for entry in entries.values())
    return Table(entries, has_splits, is_utf8, silent)


def _csv_rows(path: str, text: str) -> Iterator[Tuple[int, dict]]:
    start, delimiter, names = _header(path, text)
    stream = io.StringIO(text, newline='')
    for _ in range(start):
        stream.readline()
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    last = max(names.index(name) for name in NEEDED)
    try:
        for values in reader:
            line = start + reader.line_num
            if not any(value.strip() for value in values):
                continue                         # spreadsheets leave such rows
            is_long = any(value.strip() for value in values[len(names):])
            if is_long or len(values) <= last:
                raise InputError('%s: line %d: %s values than columns; put quotes around a caption '
                                 'with %r in it' % (path, line, 'more' if is_long else 'fewer',
                                                    delimiter))
            row = dict(zip(names, values))
            row['captions'] = [row['caption']]
            yield line, row
    except csv.Error as error:
        raise InputError('%s: line %d: not CSV (%s)' % (path, start + reader.line_num, error))


def _header(path, text):
    """(lines up to the first row, delimiter, names of the columns in lower case)."""
    lines = split_lines(text[:HEAD])
    start = next((number for number, line in enumerate(lines)
                  if line.strip(DELIMITERS + ' "') and not _names_delimiter(line)), None)
    line = '' if start is None else lines[start]
    for delimiter in DELIMITERS:
        names = _names(line, delimiter)
        if set(NEEDED) <= set(names):
            twice = [name for name in NEEDED + OPTIONAL if names.count(name) > 1]
            if twice:
                raise InputError('%s: line %d names the column %s twice'
                                 % (path, start + 1, twice[0]))
            return start + 1, delimiter, names
    raise InputError('%s: line %d must name the columns file and caption (and may name class and '
                     'split); it names: %s' % (path, (start or 0) + 1,
                                               ', '.join(_names(line, ','))[:200] or 'nothing'))


def _names_delimiter(line):
    """Whether a line is Excel's own first line, such as 'sep=;'."""
    return line.strip().lower().startswith('sep=') and len(line.strip()) <= 5


def _names(line, delimiter):
    try:
        return [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _jsonl_rows(path: str, text: str) -> Iterator[Tuple[int, dict]]:
    for number, line in enumerate(split_lines(text), 1):
        if not line.strip():
            continue
        origin = '%s: line %d' % (path, number)
        try:
            row = parse_json(line, strict=True)
        except json.JSONDecodeError as error:
            raise InputError('%s: not JSON (%s at column %d)' % (origin, error.msg, error.colno))
        except ValueError as error:
            raise InputError(f'{origin}: not JSON that is read ({error})')
        fault = _fault_of(row)
        if fault:
            raise InputError(f'{origin}: must hold "file" (a text) and "caption" (a text) or '
                             f'"captions" '
                             f'(a list of texts); {fault}')
        captions = row.get('captions', row.get('caption'))
        row['captions'] = [captions] if isinstance(captions, str) else captions
        yield number, row


def _fault_of(row):
    """What is wrong with the types in a row of JSON, or None."""
    if not isinstance(row, dict):
        return f'it is {_kind(row)}'
    if not isinstance(row.get('file'), str):
        return '"file" is %s' % (_kind(row['file']) if 'file' in row else 'missing')
    name = 'captions' if 'captions' in row else 'caption'
    captions = row.get(name)
    if name not in row:
        return 'both captions are missing'
    if isinstance(captions, list):
        wrong = [caption for caption in captions if not isinstance(caption, str)]
        return f'"{name}" holds {_kind(wrong[0])}' if wrong else None
    return None if isinstance(captions, str) else f'"{name}" is {_kind(captions)}'


def _kind(value):
    return KINDS[type(value)]


def _add_row(entries, silent, origin, row):
    """Adds a row to the entry of its image; several rows of an image must agree."""
    key = key_of(row['file'])
    if not is_plain_name(key):
        raise InputError('{}: file is {!r}; must be a path below images/'.format(origin, row['file'][:200]))
    class_name, split = _text(row, 'class', origin), _text(row, 'split', origin)
    if split is not None and split.lower() not in SPLITS:
        raise InputError(f'{origin}: split is {split[:60]!r}; must be train or test')
    entry = entries.get(key, TableEntry([], None, None))
    entries[key] = TableEntry(entry.captions,
                              _agreed(entry.class_name, class_name, 'class', origin),
                              _agreed(entry.split, split and split.lower(), 'split', origin))
    for caption in map(clean_caption, row['captions']):
        if says_something(caption):
            entry.captions.append(caption)
        elif caption:
            silent.append(caption)


def _agreed(earlier, value, column, origin):
    if earlier and value and earlier != value:
        raise InputError(f'{origin}: {column} is {value!r}, but an earlier line of this image says '
                         f'{earlier!r}')
    return earlier or value


def _text(row, name, origin):
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f'{origin}: {name} is {_kind(value)}; must be a text')
    return clean_caption(str(value)) or None
