"""Captions as people store them: a text file for each image, or (tables.py) one table for all."""

import os
from typing import List, NamedTuple

from stackgan.data.layouts.common import some
from stackgan.text_files import UnreadableText, clean_caption, read_text, split_lines


class CaptionFile(NamedTuple):
    """A text file with one caption a line."""

    captions: list         # cleaned; none without a letter or digit
    rows: tuple            # for each caption, its number among the lines that are not empty
    row_count: int         # lines that are not empty; more than captions if some say nothing
    is_utf8: bool          # False: odd bytes were replaced
    silent: List[str]      # lines left out because they say nothing, blank ones aside


class Notes:
    """What is to be told about the captions of a dataset when all are read."""

    def __init__(self) -> None:
        self.odd: List[str] = []          # files with bytes that were replaced
        self.silent: List[tuple] = []       # (file, caption that says nothing)

    def remarks(self) -> List[str]:
        """Lines for people."""
        lines = []
        if self.odd:
            lines.append('captions that are not UTF-8, odd bytes replaced, in %d files: %s'
                         % (len(self.odd), some(self.odd)))
        if self.silent:
            lines.append('captions left out because they hold no letter or digit: %d, the first in '
                         '%s: %r' % ((len(self.silent),) + self.silent[0]))
        return lines


def says_something(caption: str) -> bool:
    """Whether a letter or digit of any script is in a caption: 81,890 of flowers hold 13 '{}'."""
    return any(character.isalnum() for character in caption)


def read_caption_file(path: str, lone_cr: bool = True) -> CaptionFile:
    """`CaptionFile`. Raises UnreadableText.

    lone_cr: whether a CR alone ends a line also where LF does; not so for embeddings that came with
        a dataset: misc/datasets.py of hanzhanggit/StackGAN, whose order they have, counts none.
    """
    text, is_utf8 = read_text(path)
    lines = (split_lines(text) if lone_cr or '\n' not in text
             else text.replace('\r\n', '\n').split('\n'))
    cleaned = [clean_caption(line) for line in lines if line]
    rows = tuple(row for row, caption in enumerate(cleaned) if says_something(caption))
    return CaptionFile([cleaned[row] for row in rows], rows, len(cleaned), is_utf8,
                       [caption for caption in cleaned if caption and not says_something(caption)])


def with_captions(
        item,             # Item
        raw,              # raw folder
        file,             # caption file, relative to the raw folder
        notes,            # Notes, added to
        lone_cr=True,     # as for read_caption_file
):
    """The item with the captions of a file, or with the problem that there are none."""
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
        item = item.with_problem('it has no captions: {} {}'.format(
            file, 'holds none with a letter or digit' if found.silent else 'is empty'))
    return item
