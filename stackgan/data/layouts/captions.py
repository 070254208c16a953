"""Captions in one text file per image (tables.py reads one table for all images)."""

import os
from typing import Iterable, List, NamedTuple, Tuple

from stackgan.data.layouts.common import Item, some
from stackgan.text_files import UnreadableText, clean_caption, read_text, split_lines


class CaptionFile(NamedTuple):
    """A text file with one caption per line."""

    captions: List[str]        # cleaned; none without a letter or digit
    rows: Tuple[int, ...]      # for each caption, its number among the lines that are not empty
    row_count: int             # lines that are not empty, including those left out
    is_utf8: bool              # False: invalid bytes were replaced
    silent: List[str]          # lines left out because they hold no letter or digit, except blank


class Notes:
    """Collects remarks on the captions of a dataset while they are read."""

    def __init__(self) -> None:
        self.odd: List[str] = []                     # files in which bytes were replaced
        self.silent: List[Tuple[str, str]] = []      # (file, caption without a letter or digit)

    def remarks(self) -> List[str]:
        """The remarks, a line each."""
        lines = []
        if self.odd:
            lines.append('captions that are not UTF-8, odd bytes replaced, in '
                         f'{len(self.odd)} files: {some(self.odd)}')
        if self.silent:
            file, caption = self.silent[0]
            lines.append('captions left out because they hold no letter or digit: '
                         f'{len(self.silent)}, the first in {file}: {caption!r}')
        return lines


def says_something(caption: str) -> bool:
    """Whether a caption has a letter or digit of any script. 13 of the 81,890 of flowers are '{}'.
    """
    return any(character.isalnum() for character in caption)


def read_caption_file(path: str, lone_cr: bool = True) -> CaptionFile:
    """Reads a caption file. Raises UnreadableText.

    lone_cr: whether a CR alone ends a line in a file that also has LF. False for a dataset that
        comes with embeddings: their order is that of misc/datasets.py of hanzhanggit/StackGAN,
        which does not split there.
    """
    text, is_utf8 = read_text(path)
    lines = (split_lines(text) if lone_cr or '\n' not in text
             else text.replace('\r\n', '\n').split('\n'))
    cleaned = [clean_caption(line) for line in lines if line]
    rows = tuple(row for row, caption in enumerate(cleaned) if says_something(caption))
    return CaptionFile([cleaned[row] for row in rows], rows, len(cleaned), is_utf8,
                       [caption for caption in cleaned if caption and not says_something(caption)])


def with_captions(
        item: Item,
        raw: str,                 # raw folder
        file: str,                # caption file, relative to the raw folder
        notes: Notes,             # remarks are added to it
        lone_cr: bool = True,     # as for read_caption_file
) -> Item:
    """The item with the captions of a file, or with the problem that it has none."""
    try:
        found = read_caption_file(os.path.join(raw, file), lone_cr)
    except UnreadableText as error:
        return item.with_problem(f'it has no captions: {file} {error.reason}')
    if not item.problem:
        notes.odd += [] if found.is_utf8 else [file]
        notes.silent += [(file, caption) for caption in found.silent]
    item = item._replace(captions=found.captions, caption_rows=found.rows,
                         row_count=found.row_count)
    if not found.captions:
        fault = 'holds none with a letter or digit' if found.silent else 'is empty'
        item = item.with_problem(f'it has no captions: {file} {fault}')
    return item


def with_texts(
        item: Item,
        texts: Iterable[str],     # captions as they were found
        origin: str,              # the file they are from, for messages
        notes: Notes,             # remarks are added to it
) -> Item:
    """The item with these captions, cleaned, or with the problem that it has none."""
    cleaned = [clean_caption(text) for text in texts]
    captions = [caption for caption in cleaned if says_something(caption)]
    silent = [caption for caption in cleaned if caption and not says_something(caption)]
    if not item.problem:
        notes.silent += [(origin, caption) for caption in silent]
    item = item._replace(captions=captions, caption_rows=tuple(range(len(captions))),
                         row_count=len(captions))
    if not captions:
        fault = 'with a letter or digit' if silent else 'for it'
        item = item.with_problem(f'it has no captions: {origin} holds none {fault}')
    return item
