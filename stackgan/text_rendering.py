"""Text in images: a free font that is shipped, so that every machine draws the same."""

import os

from PIL import ImageFont

FONT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fonts', 'DejaVuSans.ttf')


def font(
        size,             # pixels
):
    """DejaVu Sans."""
    return ImageFont.truetype(FONT, size)


def wrap(
        text,
        letters,          # font
        width,            # pixels
        lines,            # most lines; what does not fit ends in an ellipsis
):
    """`text` as a list of at most `lines` lines of at most `width` pixels."""
    wrapped, words = [], text.split()
    while words and len(wrapped) < lines:
        line = _cut(words.pop(0), letters, width)
        while words and letters.getlength(line + ' ' + words[0]) <= width:
            line += ' ' + words.pop(0)
        wrapped.append(line)
    if words:
        wrapped[-1] = _cut(wrapped[-1] + ' \u2026', letters, width)
    return wrapped


def _cut(text, letters, width):
    """The longest beginning of `text` that fits, with an ellipsis where something is cut."""
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + '\u2026') > width:
        text = text[:-1].rstrip(' \u2026')
    return text + '\u2026'
