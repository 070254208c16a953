"""What was measured, as rows, and the table of them: for bench.py and its peers."""

from typing import Any, Dict, List, Tuple

from stackgan import printing

Row = Dict[str, Any]                 # lane, what, value, unit, note, and a share of the GEMM peak

PAPER = ['train.ema_decay=null']     # to set in birds.yaml, which is the paper's otherwise
PUBLIC = {'Stage-I training, batch 16': 7.65, 'Stage-II training, batch 4': 0.497,
          'preprocess': 63.6, 'Inception-v3, files': 13.2, 'memory of scoring': 1183.0,
          'batch of 64 at 304 px': 254.0, 'loader with 2,000 images': 1087.0}
PEER = 'PyTorch'                     # begins the name of its lanes
HEADER = ('lane', 'what', 'measured', 'public code', 'ratio', 'to PyTorch', 'note')


def batch_sizes(has_gpu: bool) -> List[Tuple[int, int]]:
    """[(stage, batch size)] to train with."""
    return [(1, 64), (2, 64)] if has_gpu else [(1, 16), (2, 4)]


def row(lane: str, what: str, value: float, unit: str, note: str = '') -> Row:
    printing.echo_error(f'  {what}: {value} {unit} {note}')
    return {'lane': lane, 'what': what, 'value': value, 'unit': unit, 'note': note}


def training_rows_of(
        lane: str,
        kind: str,           # precision
        peak: float,         # of matrix products in it, FLOP/s
        stage: int,
        size: int,           # images of a batch
        seconds: float,      # of a step
        flops: int,          # of a step
        memory: float,       # at its peak, MiB
) -> List[Row]:
    """The rows of a training step, the same for every lane."""
    name, share = f"Stage-{'I' * stage}", flops / seconds / peak
    step = row(lane, f'{name} training, batch {size}', round(size / seconds, 2), 'images/s',
               f'{kind}, {100 * share:.0f} % of the GEMM peak')
    return [dict(step, share=share),
            row(lane, f'{name} memory, batch {size}', round(memory), 'MiB', f'{kind}, peak')]


def print_table(rows: List[Row]) -> int:
    """Prints the table; returns 1 where something in it cannot be."""
    cells = [HEADER] + [_cells(each, rows) for each in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADER))]
    for line in cells:
        printing.show('  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    for fault in faults(rows):
        printing.echo_error('error: ' + fault)
    return 1 if faults(rows) else 0


def _cells(each: Row, rows: List[Row]) -> Tuple[str, ...]:
    public = PUBLIC.get(each['what'])
    return (each['lane'], each['what'], f"{each['value']:g} {each['unit']}",
            f'{public:g}' if public else '', _ratio(each, public), _ratio(each, _peer(each, rows)),
            each['note'])


def _peer(each: Row, rows: List[Row]) -> float:
    """The best of PyTorch's values of the same thing; 0 where there is none, or for its own."""
    values = [other['value'] for other in rows
              if other['lane'].startswith(PEER) and other['what'] == each['what']]
    if not values or each['lane'].startswith(PEER):
        return 0.0
    return min(values) if _is_less_better(each) else max(values)


def _ratio(each: Row, other: float) -> str:
    """How many times better than `other` it is."""
    if not other or not each['value']:
        return ''
    ratio = other / each['value'] if _is_less_better(each) else each['value'] / other
    return f'{ratio:.2f}x' if ratio < 10 else f'{ratio:.1f}x'


def _is_less_better(each: Row) -> bool:
    return each['unit'].startswith(('ms', 'MiB'))


def faults(rows: List[Row]) -> List[str]:
    """What is wrong with what was measured: nothing is faster than the fastest there is."""
    return [f"{each['lane']}, {each['what']}: {100 * each['share']:.0f} % of the GEMM peak; the "
            f'peak was measured too low, or the operations are counted wrongly'
            for each in rows if each.get('share', 0) > 1]
