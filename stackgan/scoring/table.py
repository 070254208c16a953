"""The scores of a record as a table: a row per protocol, a column per set."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

Line = Dict[str, Any]      # of scores.jsonl
COLUMNS = ('stage1', 'generated', 'folder', 'real')        # `set` of a line


class Table(NamedTuple):
    header: List[str]
    rows: List[List[str]]


def table_of(
        lines: Sequence[Line],       # of scores.jsonl; of a protocol and set, the last one counts
) -> Table:
    """Stage-I and Stage-II side by side, and the real test images.

    A score that a record of an earlier version lacks is shown as '-'.
    """
    newest = {(line['protocol'], line['set']): line for line in lines}
    columns = [name for name in COLUMNS if any(name == column for _, column in newest)]
    protocols = sorted({line['protocol'] for line in lines},
                       key=[line['protocol'] for line in lines].index)
    rows = []
    for protocol in protocols:
        found = [newest.get((protocol, column)) for column in columns]
        rows.append([protocol] + [_cell(line) for line in found])
        small = newest.get((protocol, 'real64'))
        if small:
            rows[-1][-1] += f', at 64 px {100 * small["value"]:.1f} %'
        if any(line and 'shuffled' in line for line in found):
            rows.append([protocol + ', captions shuffled'] + [_shuffled(line) for line in found])
    return Table(['protocol'] + [_heading(column, lines) for column in columns], rows)


def table(lines: Sequence[Line]) -> List[str]:
    """`table_of` as lines of text."""
    found = table_of(lines)
    rows = [found.header] + found.rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows]


def _heading(column: str, lines: Sequence[Line]) -> str:
    if column == 'generated':
        stages = {line['stage'] for line in lines if line['set'] == column}
        return 'Stage-I' if stages == {1} else 'Stage-II'
    return {'stage1': 'Stage-I'}.get(column, column)


def _cell(line: Optional[Line]) -> str:
    if line is None:
        return '-'
    if 'asked' in line:
        return f'{100 * line["value"]:.1f} % ({line["asked"]})'
    deviation = '' if line['deviation'] is None else f' +- {line["deviation"]:.3g}'
    return f'{line["value"]:.4g}{deviation} ({line["images"]})'


def _shuffled(line: Optional[Line]) -> str:
    if line is None or 'shuffled' not in line:
        return '-'
    return f'{100 * line["shuffled"]:.1f} %' if 'asked' in line else f'{line["shuffled"]:.4g}'
