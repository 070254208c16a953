"""Tables as HTML."""

import html
from typing import Iterable, Sequence


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A <table> element as text."""
    def cells(tag: str, values: Sequence[str]) -> str:
        inner = ''.join(f'<{tag}>{html.escape(value)}</{tag}>' for value in values)
        return f'<tr>{inner}</tr>'

    body = '\n'.join(cells('td', row) for row in rows)
    return f"<table>{cells('th', header)}{body}</table>"
