"""The scores of a run: a table of the newest, charts over checkpoints, refused scores."""

import html
import os
from typing import Any, Dict, List

from stackgan.files import read_json, read_json_lines
from stackgan.reporting.charts import Point, Series, charts_section, line_chart
from stackgan.reporting.tables import html_table
from stackgan.scoring.table import table_of

Line = Dict[str, Any]                 # of scores.jsonl


def scores_section(
        folder: str,  # output of the score job
) -> str:
    """HTML of the section."""
    lines = read_json_lines(os.path.join(folder, 'scores.jsonl'))
    protocols = sorted({line['protocol'] for line in lines})
    scores = table_of(lines)
    header = ['real test images' if name == 'real' else name for name in scores.header]
    text = html_table(header, scores.rows) + _origin(lines)
    accuracy = [line['scorer_accuracy'] for line in lines if line['scorer_accuracy'] is not None]
    if accuracy:
        text += (f'<p>The scorer has an accuracy of {100 * accuracy[0]:.1f} % on real images that '
                 f'were held out of its training.</p>')
    for refused in read_json(os.path.join(folder, 'refused.json')):
        protocol, images, reason = (html.escape(refused[name])
                                    for name in ('protocol', 'set', 'reason'))
        text += f'<p>Refused: {protocol} for {images} images: {reason}.</p>'
    return text + charts_section([(protocol, _chart(protocol, lines)) for protocol in protocols])


def _origin(lines: List[Line]) -> str:
    """Which checkpoint the newest scores are of, and what judges of the user's own are given."""
    newest = max((line for line in lines if line['step'] is not None),
                 key=lambda line: line['step'], default=None)
    text = '' if newest is None else (
        f'<p>Images of the checkpoint of step {newest["step"]}, seed {newest["seed"]}. Beside a '
        'score: its deviation, and the number of images.</p>')
    judges = {line['protocol'].split('/')[1]: line for line in lines if line.get('preprocessing')}
    return text + ''.join(
        f'<p>{html.escape(name)}: file with sha256 {html.escape(line["weights"])}; images '
        f'{html.escape(line["preprocessing"])}.</p>' for name, line in sorted(judges.items()))


def _generated(protocol: str, lines: List[Line]) -> List[Line]:
    return sorted((line for line in lines if line['protocol'] == protocol
                   and line['set'] == 'generated'), key=lambda line: line['step'])


def _chart(protocol: str, lines: List[Line]) -> str:
    """The score over checkpoints beside that of real images; empty for a single checkpoint."""
    points: List[Point] = [(line['step'], line['value']) for line in _generated(protocol, lines)]
    if len(points) < 2:
        return ''
    real = [line['value'] for line in lines
            if line['protocol'] == protocol and line['set'] == 'real']
    series: List[Series] = [('generated', points)] + [
        ('real', [(points[0][0], value), (points[-1][0], value)]) for value in real[:1]]
    return line_chart(series, 'step', protocol)
