"""Collects what a run has made and writes index.html with the images beside it."""

import html
import logging
import os
import re
from string import Template

from stackgan.config.loading import to_yaml
from stackgan.errors import InputError
from stackgan.files import atomic_write, read_json, read_json_lines
from stackgan.integrity import copy_checked
from stackgan.plain_names import file_within
from stackgan.progress import duration
from stackgan.reporting.charts import line_chart
from stackgan.reporting.scores import scores_section
from stackgan.reporting.tables import html_table
from stackgan.scoring.painted import describe

logger = logging.getLogger(__name__)

GRID = re.compile(r'[0-9]{1,12}\.png\Z')             # of a training, named by its step
TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'page.html')


def write_report(
        folder,           # where index.html goes
        inputs,           # {name: folder}: prepared, embeddings, stage1, stage2, samples,
                          # scores, and text-encoder where there is one; no stage1 where an
                          # imported Stage-II brings it
        config,           # Config
):
    """Writes the page; it stands alone with the images in its folder."""
    sections = [
        ('Samples', _samples(folder, inputs['samples'])),
        ('Scores', scores_section(inputs['scores'])),
        ('Dataset', _prepared(folder, inputs['prepared'])),
        ('Text encoder', _text_encoder(inputs.get('text-encoder'))),
        ('Stage-I training', _stage(folder, inputs.get('stage1'), 'stage1')),
        ('Stage-II training', _stage(folder, inputs['stage2'], 'stage2')),
        ('Time', _times(inputs)),
        ('Configuration', f'<details><summary>All '
                          f'keys</summary><pre>{html.escape(to_yaml(config))}</pre></details>'),
    ]
    body = '\n'.join(f'<section><h2>{title}</h2>\n{content}</section>'
                     for title, content in sections if content)
    with open(TEMPLATE, encoding='utf-8') as stream:
        page = Template(stream.read()).substitute(title=html.escape(config.run.name), body=body)
    path = os.path.join(folder, 'index.html')
    with atomic_write(path, 'w') as stream:
        stream.write(page)
    logger.info('open {}'.format(path.replace('.partial', '')))


def _image(folder, source, name, caption):
    """Copies an image beside the page; its <figure>."""
    try:
        file_within(*os.path.split(source))               # a link would be shown to everyone
        copy_checked(source, os.path.join(folder, name), None)
    except (OSError, ValueError) as error:
        raise InputError(f'{source}: cannot be shown ({error}); make that output again')
    text = html.escape(caption)
    return (f'<figure><a href="{name}"><img src="{name}" alt="{text}" loading="lazy"></a>'
            f'<figcaption>{text}</figcaption></figure>')


def _samples(folder, samples):
    text = _image(folder, os.path.join(samples, 'grid.png'), 'samples.png',
                  'Images generated from held-out captions, one caption per row')
    colours = os.path.join(samples, 'colours.json')
    if os.path.exists(colours):
        text += f'<p>{html.escape(_sentence(describe(read_json(colours))))}.</p>'
    return text


def _sentence(text):
    return text[0].upper() + text[1:]


def _prepared(folder, prepared):
    return _image(folder, os.path.join(prepared, 'contact-sheet.png'), 'contact-sheet.png',
                  'Prepared images, each with its class and first caption')


def _text_encoder(encoder):
    """A table of retrieval on held-out classes against chance."""
    if not encoder:
        return '<p>The dataset comes with precomputed embeddings.</p>'
    path = os.path.join(encoder, 'retrieval.json')
    if not os.path.exists(path):
        options = read_json(os.path.join(encoder, 'options.json'))
        return ('<p>A published encoder, not trained here: %s%s, embeddings of %d numbers.'
                '</p>' % (options['kind'], html.escape(
                    ' of ' + options['source']['file'] if 'source' in options else ''),
                    options['embedding_dim']))
    rows = [(name.replace('_', ' '), '%.1f %%' % (100 * value['value']),
             '%.1f %%' % (100 * value['chance']))
            for name, value in sorted(read_json(path).items()) if isinstance(value, dict)]
    return html_table(('retrieval on held-out classes', 'value', 'chance'), rows)


def _stage(folder, stage, name):
    """Charts and grids of a training; where an imported one is from."""
    if stage is None:
        return '<p>Comes with the imported Stage-II.</p>'
    imported = read_json(os.path.join(stage, 'options.json')).get('imported')
    if imported:
        return '<p>Imported from {}, a checkpoint of {}.{}</p>'.format(
            html.escape(imported['from']), html.escape(imported['of']),
            ''.join(f' Differs: {html.escape(text)}.' for text in imported['differs']))
    stats = read_json_lines(os.path.join(stage, 'stats.jsonl'))

    def line(key):
        return [(each['step'], each[key]) for each in stats if key in each]

    charts = [
        ('Losses', [('discriminator', line(name + '/discriminator')),
                    ('generator', line(name + '/generator_fake'))]),
        ('Discriminator loss by kind of pair', [(kind, line(f'{name}/discriminator_{kind}'))
                                                for kind in ('real', 'wrong', 'fake')]),
        ('Conditioning loss (KL)', [('KL', line(name + '/kl'))]),
        ('Sliced Wasserstein distance to held-out images',
         [('distance', line('sliced_wasserstein'))]),
    ]
    generated = [(title, line_chart(series, 'step', title)) for title, series in charts]
    text = '<div class="charts">{}</div>'.format(''.join(
        f'<figure>{chart}<figcaption>{title}</figcaption></figure>'
        for title, chart in generated if chart))
    return text + ''.join(_grids(folder, stage, name))


def _grids(folder, stage, name):
    """Figures of the first, a middle and the last grid."""
    grids = sorted(name for name in os.listdir(os.path.join(stage, 'samples')) if GRID.match(name))
    chosen = sorted({0, len(grids) // 2, len(grids) - 1})
    for i in reversed(chosen):
        step = int(grids[i].split('.')[0])
        yield _image(folder, os.path.join(stage, 'samples', grids[i]),
                     f'{name}-{grids[i]}', 'After %d steps' % step)


def _times(inputs):
    rows = []
    for folder in inputs.values():
        manifest = read_json(os.path.join(folder, 'manifest.json'))
        versions = manifest['versions']
        rows.append((manifest['request']['job'], duration(manifest['seconds']),
                     manifest['finished'].replace('T', ' '),
                     ', '.join('{} {}'.format(*each) for each in sorted(versions.items()))))
    return html_table(('job', 'duration', 'finished', 'versions'),
                      sorted(rows, key=lambda row: row[2]))
