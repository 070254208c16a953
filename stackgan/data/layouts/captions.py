"""Captions as people store them: a text file for each image, or one table for all."""

import csv
import io
import json
import os
from typing import NamedTuple, Optional

from stackgan.data.layouts.common import SPLITS, is_plain_name, key_of, some
from stackgan.errors import InputError


class CaptionFile(NamedTuple):
    """A text file with one caption a line."""

    captions: list         # cleaned, none empty
    rows: tuple            # for each caption, its number among the lines that are not empty
    row_count: int         # lines that are not empty; more than captions if some are only blanks
    is_utf8: bool          # False: odd bytes were replaced


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


def clean_caption(text):
    """`text` with each run of white space as one space and none at the ends."""
    return ' '.join(text.split()).encode('utf-8', 'replace').decode('utf-8')   # lone surrogates


def read_caption_file(path):
    """`CaptionFile`. Raises OSError for a file that cannot be read."""
    text, is_utf8 = read_text(path)
    # As misc/datasets.py of hanzhanggit/StackGAN counts them: embeddings come in this order.
    lines = [line for line in text.replace('\r\n', '\n').split('\n') if line]
    cleaned = [clean_caption(line) for line in lines]
    rows = tuple(row for row, caption in enumerate(cleaned) if caption)
    return CaptionFile([cleaned[row] for row in rows], rows, len(lines), is_utf8)


def read_text(path):
    """(text, whether all of it was UTF-8); bytes that are not become U+FFFD."""
    with open(path, 'rb') as stream:
        data = stream.read()
    try:
        return data.decode('utf-8-sig'), True
    except UnicodeDecodeError:
        return data.decode('utf-8-sig', 'replace'), False


def with_captions(
        item,          # Item
        raw,           # raw folder
        file,          # caption file, relative to the raw folder
        odd,           # list that caption files with odd bytes are added to
):
    """The item with the captions of a file, or with the problem that there are none."""
    try:
        found = read_caption_file(os.path.join(raw, file))
    except (FileNotFoundError, NotADirectoryError):
        return item.with_problem('it has no captions: %s is missing' % file)
    except (PermissionError, IsADirectoryError) as error:
        return item.with_problem('it has no captions: %s cannot be read (%s)'
                                 % (file, error.strerror))
    if not found.is_utf8 and not item.problem:
        odd.append(file)
    item = item._replace(captions=found.captions, caption_rows=found.rows,
                         row_count=found.row_count)
    if not found.captions:
        item = item.with_problem('it has no captions: %s is empty' % file)
    return item


def remarks_on(odd):
    """What to tell people of caption files with bytes that are no UTF-8."""
    if not odd:
        return []
    return ['captions that are not UTF-8, odd bytes replaced, in %d files: %s'
            % (len(odd), some(odd))]


def read_table(path):
    """`Table` of a .csv or .jsonl file. Raises InputError naming the line that is wrong."""
    if not os.path.isfile(path):
        raise InputError('%s is missing: data.captions_file names it, below the raw folder' % path)
    read = {'.csv': _csv_rows, '.jsonl': _jsonl_rows}.get(os.path.splitext(path)[1].lower())
    if read is None:
        raise InputError('%s: a captions file must end in .csv or .jsonl' % path)
    text, is_utf8 = read_text(path)
    entries = {}
    for line, row in read(path, text):
        _add_row(entries, '%s: line %d' % (path, line), row)
    has_splits = any(entry.split for entry in entries.values())
    return Table(entries, has_splits, is_utf8)


def _csv_rows(path, text):
    reader = csv.DictReader(io.StringIO(text, newline=''), strict=True)
    try:
        missing = {'file', 'caption'} - set(reader.fieldnames or ())
        if missing:
            raise InputError('%s: line 1 must name the columns file and caption (and may name '
                             'class and split); it names: %s'
                             % (path, ', '.join(reader.fieldnames or ()) or 'nothing'))
        for row in reader:
            if None in row or None in row.values():
                raise InputError('%s: line %d: %s values than columns; put quotes around a caption '
                                 'with commas' % (path, reader.line_num,
                                                  'more' if None in row else 'fewer'))
            row['captions'] = [row['caption']]
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError('%s: line %d: not CSV (%s)' % (path, reader.line_num, error))


def _jsonl_rows(path, text):
    for number, line in enumerate(text.split('\n'), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError('%s: line %d: not JSON (%s)' % (path, number, error))
        captions = row.get('captions', row.get('caption')) if isinstance(row, dict) else None
        captions = [captions] if isinstance(captions, str) else captions
        good = (isinstance(captions, list) and isinstance(row.get('file'), str)
                and all(isinstance(caption, str) for caption in captions))
        if not good:
            raise InputError('%s: line %d: must hold "file" (a text) and "caption" (a text) or '
                             '"captions" (a list of texts)' % (path, number))
        row['captions'] = captions
        yield number, row


def _add_row(entries, origin, row):
    """Adds a row to the entry of its image; several rows of an image must agree."""
    key = key_of(row['file'])
    if not is_plain_name(key):
        raise InputError('%s: file is %r; must be a path below images/' % (origin, row['file']))
    class_name, split = _text(row, 'class', origin), _text(row, 'split', origin)
    if split not in SPLITS + (None,):
        raise InputError('%s: split is %r; must be train or test' % (origin, split))
    entry = entries.get(key, TableEntry([], None, None))
    entries[key] = TableEntry(entry.captions,
                              _agreed(entry.class_name, class_name, 'class', origin),
                              _agreed(entry.split, split, 'split', origin))
    captions = (clean_caption(caption) for caption in row['captions'])
    entries[key].captions.extend(caption for caption in captions if caption)


def _agreed(earlier, value, column, origin):
    if earlier and value and earlier != value:
        raise InputError('%s: %s is %r, but an earlier line of this image says %r'
                         % (origin, column, value, earlier))
    return earlier or value


def _text(row, name, origin):
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, (str, int)):
        raise InputError('%s: %s must be a text' % (origin, name))
    return clean_caption(str(value)) or None
