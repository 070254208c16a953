"""The scores of a run: a table of the newest, charts over checkpoints, what was refused."""

import html
import os

from stackgan.files import read_json, read_json_lines
from stackgan.reporting.charts import line_chart
from stackgan.reporting.tables import html_table
from stackgan.scoring.table import table_of


def scores_section(
        folder,           # of the score job
):
    """HTML of the section."""
    lines = read_json_lines(os.path.join(folder, 'scores.jsonl'))
    protocols = sorted({line['protocol'] for line in lines})
    scores = table_of(lines)
    header = ['real test images' if name == 'real' else name for name in scores.header]
    text = html_table(header, scores.rows) + _origin(lines)
    accuracy = [line['scorer_accuracy'] for line in lines if line['scorer_accuracy'] is not None]
    if accuracy:
        text += ('<p>The scorer has an accuracy of %.1f %% on real images that were held out of '
                 'its training.</p>' % (100 * accuracy[0]))
    text += ''.join('<p>Refused: {} for {} images: {}.</p>'.format(*tuple(
        html.escape(each[name]) for name in ('protocol', 'set', 'reason')))
        for each in read_json(os.path.join(folder, 'refused.json')))
    charts = [(protocol, _chart(protocol, lines)) for protocol in protocols]
    return text + '<div class="charts">{}</div>'.format(''.join(
        f'<figure>{chart}<figcaption>{html.escape(protocol)}</figcaption></figure>'
        for protocol, chart in charts if chart))


def _origin(lines):
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


def _generated(protocol, lines):
    return sorted((line for line in lines if line['protocol'] == protocol
                   and line['set'] == 'generated'), key=lambda line: line['step'])


def _chart(protocol, lines):
    """The score over checkpoints, with that of real images; empty for one checkpoint."""
    points = [(line['step'], line['value']) for line in _generated(protocol, lines)]
    if len(points) < 2:
        return ''
    real = [line['value'] for line in lines
            if line['protocol'] == protocol and line['set'] == 'real']
    series = [('generated', points)] + [
        ('real', [(points[0][0], value), (points[-1][0], value)]) for value in real[:1]]
    return line_chart(series, 'step', protocol)
