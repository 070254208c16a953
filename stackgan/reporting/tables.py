"""Tables as HTML."""

import html


def html_table(
        header,           # texts
        rows,             # [[text]]
):
    """A <table> element as text."""
    def cells(tag, values):
        return '<tr>%s</tr>' % ''.join('<%s>%s</%s>' % (tag, html.escape(value), tag)
                                       for value in values)
    return '<table>%s%s</table>' % (cells('th', header),
                                    '\n'.join(cells('td', row) for row in rows))
