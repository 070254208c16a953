"""One table with the captions of all images: .csv or .tsv as spreadsheets write them, .jsonl, or
.parquet."""

import csv
import io
import json
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.data.layouts.captions import says_something
from stackgan.data.layouts.common import SPLITS, is_plain_name, key_of
from stackgan.data.layouts.parquet import parquet_rows
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
HEAD = 1 << 16                   # characters that must include the header
KINDS = {dict: 'an object', list: 'a list', str: 'a text', bool: 'a truth value',
         int: 'a number', float: 'a number', type(None): 'null'}


class Names(NamedTuple):
    """What a kind of table calls its columns: of several names, the first that a row has."""

    file: Tuple[str, ...] = ('file',)
    caption: Tuple[str, ...] = ('caption',)          # one caption; in JSON and Parquet also a list
    captions: Tuple[str, ...] = ('captions',)        # a list of captions; not in .csv
    class_name: Tuple[str, ...] = ('class',)
    split: Tuple[str, ...] = ('split',)
    place: str = 'images/'                           # what `file` is a path below

    def own(self) -> Dict[str, Tuple[str, ...]]:
        """{what this module calls a column: its names in the table}."""
        return {'file': self.file, 'caption': self.caption, 'captions': self.captions,
                'class': self.class_name, 'split': self.split}


OWN = Names()


class TableEntry(NamedTuple):
    """The entry of one image in a table."""

    captions: List[str]
    class_name: Optional[str]
    split: Optional[str]


class Table(NamedTuple):
    """captions.csv or captions.jsonl."""

    entries: Dict[str, TableEntry]   # by key_of(file)
    has_splits: bool
    is_utf8: bool                    # False: invalid bytes were replaced
    silent: List[str]                # captions left out because they hold no letter or digit,
                                     # except blank ones


def read_table(path: str, names: Names = OWN) -> Table:
    """`Table` of a .csv, .tsv, .jsonl or (unless `names` are OWN) .parquet file.

    Raises InputError that names the faulty line.
    """
    if not os.path.exists(path):
        raise InputError(f'{path} is missing: data.captions_file names it, below the raw folder')
    extension = os.path.splitext(path)[1].lower()
    read = {'.csv': _csv_rows, '.tsv': _csv_rows, '.jsonl': _jsonl_rows}.get(extension)
    entries: Dict[str, TableEntry] = {}
    silent: List[str] = []
    if extension == '.parquet' and names is not OWN:
        is_utf8 = True
        columns = [each for tried in names.own().values() for each in tried]
        for number, row in parquet_rows(path, columns,
                                        [names.file, names.caption + names.captions]):
            origin = f'{path}: row {number}'
            _add_row(entries, silent, origin, _checked_row(row, origin, names), names)
    elif read is None:
        raise InputError(f'{path}: a captions file must end in .csv or .jsonl (or .tsv)')
    else:
        text, is_utf8 = read_text(path, MAX_TABLE_BYTES)
        for line, row in read(path, text, names):
            origin = f'{path}: line {line}'
            if not is_utf8:
                for name in ('file',) + OPTIONAL:
                    require_whole(str(row.get(name)), f'{origin}: {name}')
            _add_row(entries, silent, origin, row, names)
    has_splits = any(entry.split for entry in entries.values())
    return Table(entries, has_splits, is_utf8, silent)


def _csv_rows(path: str, text: str, known: Names) -> Iterator[Tuple[int, Dict[str, Any]]]:
    start, delimiter, names = _header(path, text, known)
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
                fault = 'more' if is_long else 'fewer'
                raise InputError(f'{path}: line {line}: {fault} values than columns; put quotes '
                                 f'around a caption with {delimiter!r} in it')
            row: Dict[str, Any] = dict(zip(names, values))
            row['captions'] = [row['caption']]
            yield line, row
    except csv.Error as error:
        raise InputError(f'{path}: line {start + reader.line_num}: not CSV ({error})')


def _header(path: str, text: str, known: Names) -> Tuple[int, str, List[str]]:
    """(lines up to the first row, delimiter, what this module calls the columns)."""
    lines = split_lines(text[:HEAD])
    start = next((number for number, line in enumerate(lines)
                  if line.strip(DELIMITERS + ' "') and not _names_delimiter(line)), None)
    line = '' if start is None else lines[start]
    number = (start or 0) + 1
    for delimiter in DELIMITERS:
        names = _renamed(_names(line, delimiter), known)
        if set(NEEDED) <= set(names):
            twice = [name for name in NEEDED + OPTIONAL if names.count(name) > 1]
            if twice:
                raise InputError(f'{path}: line {number} names the column {twice[0]} twice')
            return number, delimiter, names
    found = ', '.join(_names(line, ','))[:200] or 'nothing'
    if known is OWN:
        raise InputError(f'{path}: line {number} must name the columns file and caption (and may '
                         f'name class and split); it names: {found}')
    raise InputError(f'{path}: line {number} must name the columns {known.file[0]} and '
                     f'{known.caption[0]} (and may name {known.class_name[0]}); it names: {found}')


def _renamed(columns: Sequence[str], known: Names) -> List[str]:
    """What this module calls the columns of a table; '' for those that it does not read."""
    used = {tried[0]: name for name, tried in (
        (name, [each for each in names if each in columns]) for name, names in known.own().items())
        if tried}
    return [used.get(column, '') for column in columns]


def _names_delimiter(line: str) -> bool:
    """Whether a line is one that Excel puts first, such as 'sep=;'."""
    return line.strip().lower().startswith('sep=') and len(line.strip()) <= 5


def _names(line: str, delimiter: str) -> List[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _jsonl_rows(path: str, text: str, known: Names) -> Iterator[Tuple[int, Dict[str, Any]]]:
    for number, line in enumerate(split_lines(text), 1):
        if not line.strip():
            continue
        origin = f'{path}: line {number}'
        try:
            row = parse_json(line, strict=True)
        except json.JSONDecodeError as error:
            raise InputError(f'{origin}: not JSON ({error.msg} at column {error.colno})')
        except ValueError as error:
            raise InputError(f'{origin}: not JSON that is read ({error})')
        yield number, _checked_row(row, origin, known)


def _checked_row(row: Any, origin: str, known: Names) -> Dict[str, Any]:
    """A row of JSON with this module's names and a list of captions. Raises InputError."""
    fault = 'it is ' + _kind(row)
    if isinstance(row, dict):
        names = dict(zip(row, _renamed(list(row), known)))
        if known is not OWN:
            row = {key: _without_null(value) if names[key] in ('caption', 'captions') else value
                   for key, value in row.items()}
        fault = _fault_of({names[key]: (key, value) for key, value in row.items()}, known)
        row = {names[key]: value for key, value in row.items()}
    if fault:
        file, caption, captions = known.file[0], known.caption[0], known.captions[0]
        raise InputError(f'{origin}: must hold "{file}" (a text) and "{caption}" (a text) or '
                         f'"{captions}" (a list of texts); {fault}')
    if known is not OWN and not isinstance(row.get('class'), (str, int)):
        row.pop('class', None)               # a list of labels, a share: none for the whole image
    found = row.get('captions', row.get('caption'))
    row['captions'] = [found] if isinstance(found, str) else found
    return row


def _without_null(captions: Any) -> Any:
    """A downloaded table has null for an image without a caption."""
    if isinstance(captions, list):
        return [each for each in captions if each is not None]
    return [] if captions is None else captions


def _fault_of(
        row: Dict[str, Tuple[str, Any]],     # {this module's name: (name in the table, value)}
        known: Names,
) -> str:
    """What is wrong with the types in a row of JSON, or ''."""
    file = row.get('file', (known.file[0], None))
    if not isinstance(file[1], str):
        found = _kind(file[1]) if 'file' in row else 'missing'
        return f'"{file[0]}" is {found}'
    if 'captions' not in row and 'caption' not in row:
        return 'both captions are missing'
    name, captions = row['captions'] if 'captions' in row else row['caption']
    if isinstance(captions, list):
        wrong = [caption for caption in captions if not isinstance(caption, str)]
        return f'"{name}" holds {_kind(wrong[0])}' if wrong else ''
    return '' if isinstance(captions, str) else f'"{name}" is {_kind(captions)}'


def _kind(value: Any) -> str:
    return KINDS.get(type(value), 'of another type')


def _add_row(entries: Dict[str, TableEntry], silent: List[str], origin: str,
             row: Dict[str, Any], names: Names) -> None:
    """Adds a row to the entry of its image; several rows of an image must agree."""
    key = key_of(row['file'])
    if not is_plain_name(key):
        raise InputError(f'{origin}: {names.file[0]} is {row["file"][:200]!r}; must be a path '
                         f'below {names.place}')
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


def _agreed(earlier: Optional[str], value: Optional[str], column: str,
            origin: str) -> Optional[str]:
    if earlier and value and earlier != value:
        raise InputError(f'{origin}: {column} is {value!r}, but an earlier line of this image says '
                         f'{earlier!r}')
    return earlier or value


def _text(row: Dict[str, Any], name: str, origin: str) -> Optional[str]:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f'{origin}: {name} is {_kind(value)}; must be a text')
    return clean_caption(str(value)) or None
