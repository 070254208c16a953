"""Tables as HTML."""

import html


def html_table(
        header,           # texts
        rows,             # [[text]]
):
    """A <table> element as text."""
    def cells(tag, values):
        return '<tr>{}</tr>'.format(''.join(f'<{tag}>{html.escape(value)}</{tag}>'
                                       for value in values))
    return '<table>{}{}</table>'.format(cells('th', header),
                                    '\n'.join(cells('td', row) for row in rows))
