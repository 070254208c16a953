"""The page of a sweep: runs ranked by a score, their curves, and their grids side by side."""

import html
import logging
import os
from string import Template
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.errors import InputError
from stackgan.files import atomic_write
from stackgan.integrity import copy_checked
from stackgan.plain_names import file_within
from stackgan.progress import duration
from stackgan.reporting.charts import COLOURS, Series, charts_section, line_chart
from stackgan.reporting.page import TEMPLATE
from stackgan.reporting.tables import html_table

logger = logging.getLogger(__name__)

INTRO = ('A sweep: runs that differ in the settings below and share the rest, ranked by {score} '
         '({direction} is better). All grids show the same captions and noise.')
MAX_COLUMNS = 8              # scores beside the one that ranks


class SweepRun(NamedTuple):
    """What the page shows of a run."""

    run: str
    values: Dict[str, str]              # of the keys that vary
    missing: Optional[str]              # why it is not done; None: it is
    lines: Sequence[Dict[str, Any]] = ()        # of scores.jsonl
    refused: Sequence[Dict[str, Any]] = ()      # of refused.json
    grid: Optional[str] = None          # path of its samples
    stats: Sequence[Tuple[str, Sequence[Dict[str, Any]]]] = ()  # (stage, lines of stats.jsonl)
    page: Optional[str] = None          # its own report, relative to the page
    seconds: float = 0.0                # of its jobs, whoever ran them


def write_sweep_report(
        folder: str,              # where index.html goes
        name: str,                # of the sweep
        score: str,               # protocol that ranks
        lower_is_better: bool,
        runs: Sequence[SweepRun],
) -> None:
    """Writes the page; it needs nothing but the images in its folder, and links to the runs'."""
    order = ranked(runs, score, lower_is_better)
    places = [place_of(run, runs, score, lower_is_better) for run in order]
    sections = [('Ranking', _table(order, places, score)), ('Training', _curves(order)),
                ('Images', _grids(folder, order, places, score))]
    with open(TEMPLATE, encoding='utf-8') as stream:
        template = Template(stream.read())
    page = template.substitute(
        title=html.escape(name), intro=html.escape(INTRO.format(
            score=score, direction='lower' if lower_is_better else 'higher')),
        body='\n'.join(f'<section><h2>{title}</h2>\n{content}</section>'
                       for title, content in sections if content))
    path = os.path.join(folder, 'index.html')
    with atomic_write(path, 'w') as stream:
        stream.write(page)
    logger.info(f"open {path.replace('.partial', '')}")


def ranked(runs: Sequence[SweepRun], score: str, lower_is_better: bool) -> List[SweepRun]:
    """The best first; runs without the score last, in their order."""
    def key(each: SweepRun) -> Any:
        line = line_of(each, score)
        if line is None:
            return (1, 0.0)
        return (0, line['value'] if lower_is_better else -line['value'])
    return sorted(runs, key=key)


def place_of(run: SweepRun, runs: Sequence[SweepRun], score: str, lower_is_better: bool) -> str:
    """'1' for the best; runs with the same score have the same place. '-' without a score."""
    own = line_of(run, score)
    if own is None:
        return '-'
    lines = [line_of(each, score) for each in runs]
    return str(1 + sum(line is not None and (
        line['value'] < own['value'] if lower_is_better else line['value'] > own['value'])
        for line in lines))


def line_of(run: SweepRun, score: str) -> Optional[Dict[str, Any]]:
    """The newest line of a protocol for the images of the run's last stage."""
    found = [line for line in run.lines
             if line['protocol'] == score and line['set'] == 'generated']
    return found[-1] if found else None


def score_text(run: SweepRun, score: str) -> str:
    """'27.1 +- 0.3'; why there is none if there is none."""
    line = line_of(run, score)
    if line is not None:
        deviation = '' if line['deviation'] is None else f' +- {line["deviation"]:.3g}'
        return f'{line["value"]:.4g}{deviation}'
    if run.missing:
        return run.missing
    return 'refused' if any(each['protocol'] == score for each in run.refused) else '-'


def _table(order: Sequence[SweepRun], places: Sequence[str], score: str) -> str:
    keys = list(order[0].values)
    others: List[str] = []
    for run in order:
        others += [line['protocol'] for line in run.lines if line['set'] == 'generated'
                   and line['protocol'] not in others + [score]]
    others = others[:MAX_COLUMNS]
    header = ['rank', 'run'] + keys + [score, 'time'] + others
    rows = []
    for place, run in zip(places, order):
        is_done = run.missing is None
        rows.append([place, run.run] + [run.values[key] for key in keys]
                    + [score_text(run, score), duration(run.seconds) if is_done else '']
                    + [score_text(run, other) if is_done else '' for other in others])
    return (f'<div class="wide">{html_table(header, rows)}</div><p>Beside a score: its deviation. '
            'Time: of the jobs whose outputs are in the run, whichever run made them.</p>')


def _curves(order: Sequence[SweepRun]) -> str:
    """The distance to held-out images while training, of the first runs of the table."""
    charts = []
    for stage in [name for name, _ in order[0].stats]:
        series: List[Series] = [
            (f'row {row}', [(each['step'], each['sliced_wasserstein'])
                            for each in dict(run.stats).get(stage, ())
                            if 'sliced_wasserstein' in each])
            for row, run in enumerate(order[:len(COLOURS)], 1)]
        title = f'{stage}: sliced Wasserstein distance to held-out images'
        charts.append((title, line_chart(series, 'step', title)))
    return charts_section(charts) if any(chart for _, chart in charts) else ''


def _grids(folder: str, order: Sequence[SweepRun], places: Sequence[str], score: str) -> str:
    figures = []
    for place, run in zip(places, order):
        if run.grid is None:
            continue
        name = run.run + '.png'
        try:
            file_within(*os.path.split(run.grid))         # a link would publish another file
            copy_checked(run.grid, os.path.join(folder, name), None)
        except (OSError, ValueError) as error:
            raise InputError(f'{run.grid}: cannot be shown ({error}); make that output again')
        values = ', '.join(f'{key} {value}' for key, value in run.values.items())
        text = html.escape(f'{place}. {values}: {score} {score_text(run, score)}')
        page = f' (<a href="{html.escape(run.page)}">report</a>)' if run.page else ''
        figures.append(f'<figure><a href="{name}"><img src="{name}" alt="{text}" loading="lazy">'
                       f'</a><figcaption>{text}{page}</figcaption></figure>')
    return f'<div class="side">{"".join(figures)}</div>' if figures else ''
