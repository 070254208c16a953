"""Text in images, in a free font that is included, so that it looks the same everywhere."""

import os
from typing import List

from PIL import ImageFont

FONT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fonts', 'DejaVuSans.ttf')


def font(
        size: int,    # pixels
) -> ImageFont.FreeTypeFont:
    """DejaVu Sans."""
    return ImageFont.truetype(FONT, size)


def wrap(
        text: str,
        letters: ImageFont.FreeTypeFont,
        width: int,     # pixels
        lines: int,     # at most; longer text is cut and ends in an ellipsis
) -> List[str]:
    """`text` as a list of at most `lines` lines of at most `width` pixels."""
    wrapped: List[str] = []
    words = text.split()
    while words and len(wrapped) < lines:
        line = _cut(words.pop(0), letters, width)
        while words and letters.getlength(line + ' ' + words[0]) <= width:
            line += ' ' + words.pop(0)
        wrapped.append(line)
    if words:
        wrapped[-1] = _cut(wrapped[-1] + ' \u2026', letters, width)
    return wrapped


def _cut(text: str, letters: ImageFont.FreeTypeFont, width: int) -> str:
    """The longest beginning of `text` that fits, with an ellipsis if it was cut."""
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + '\u2026') > width:
        text = text[:-1].rstrip(' \u2026')
    return text + '\u2026'
