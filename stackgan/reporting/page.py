"""Collects the results of a run and writes index.html with its images."""

import html
import logging
import os
import re
from string import Template
from typing import Dict, Iterator, Optional

from stackgan.config.loading import to_yaml
from stackgan.config.schema import Config
from stackgan.errors import InputError
from stackgan.files import atomic_write, read_json, read_json_lines
from stackgan.integrity import copy_checked
from stackgan.plain_names import file_within
from stackgan.progress import duration
from stackgan.reporting.charts import charts_section
from stackgan.reporting.scores import scores_section
from stackgan.reporting.tables import html_table
from stackgan.reporting.training_charts import training_charts
from stackgan.scoring.painted import describe

logger = logging.getLogger(__name__)

GRID = re.compile(r'[0-9]{1,12}\.png\Z')             # of a training, named by its step
INTRO = ('A StackGAN run: Stage-I turns a sentence into an image of 64x64 pixels, Stage-II refines '
         'it to 256x256.')
TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'page.html')


def write_report(
        folder: str,             # where index.html goes
        inputs: Dict[str, str],  # {name: folder}: prepared, embeddings, stage1, stage2, samples,
                                 # scores, and text-encoder where there is one; no stage1 where an
                                 # imported Stage-II brings it
        config: Config,
) -> None:
    """Writes the page; it needs nothing but the images in its folder."""
    sections = [
        ('Samples', _samples(folder, inputs['samples'])),
        ('Scores', scores_section(inputs['scores'])),
        ('Dataset', _prepared(folder, inputs['prepared'])),
        ('Text encoder', _text_encoder(inputs.get('text-encoder'))),
        ('Stage-I training', _stage(folder, inputs.get('stage1'), 'stage1')),
        ('Stage-II training', _stage(folder, inputs['stage2'], 'stage2')),
        ('Time', _times(inputs)),
        ('Configuration', '<details><summary>All keys</summary>'
                          f'<pre>{html.escape(to_yaml(config))}</pre></details>'),
    ]
    body = '\n'.join(f'<section><h2>{title}</h2>\n{content}</section>'
                     for title, content in sections if content)
    with open(TEMPLATE, encoding='utf-8') as stream:
        template = Template(stream.read())
    page = template.substitute(title=html.escape(str(config.run.name)), intro=INTRO, body=body)
    path = os.path.join(folder, 'index.html')
    with atomic_write(path, 'w') as stream:
        stream.write(page)
    logger.info(f"open {path.replace('.partial', '')}")


def _image(folder: str, source: str, name: str, caption: str) -> str:
    """Copies an image beside the page; returns its <figure>."""
    try:
        file_within(*os.path.split(source))               # a link would publish another file
        copy_checked(source, os.path.join(folder, name), None)
    except (OSError, ValueError) as error:
        raise InputError(f'{source}: cannot be shown ({error}); make that output again')
    text = html.escape(caption)
    return (f'<figure><a href="{name}"><img src="{name}" alt="{text}" loading="lazy"></a>'
            f'<figcaption>{text}</figcaption></figure>')


def _samples(folder: str, samples: str) -> str:
    text = _image(folder, os.path.join(samples, 'grid.png'), 'samples.png',
                  'Images generated from held-out captions, one caption per row')
    colours = os.path.join(samples, 'colours.json')
    if os.path.exists(colours):
        text += f'<p>{html.escape(_sentence(describe(read_json(colours))))}.</p>'
    return text


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _prepared(folder: str, prepared: str) -> str:
    return _image(folder, os.path.join(prepared, 'contact-sheet.png'), 'contact-sheet.png',
                  'Prepared images, each with its class and first caption')


def _text_encoder(encoder: Optional[str]) -> str:
    """A table of retrieval on held-out classes against chance."""
    if not encoder:
        return '<p>The dataset comes with precomputed embeddings.</p>'
    path = os.path.join(encoder, 'retrieval.json')
    if not os.path.exists(path):
        options = read_json(os.path.join(encoder, 'options.json'))
        source = f" of {options['source']['file']}" if 'source' in options else ''
        return (f"<p>A published encoder, not trained here: {options['kind']}"
                f"{html.escape(source)}, embeddings of {options['embedding_dim']} numbers.</p>")
    rows = [(name.replace('_', ' '), f"{100 * value['value']:.1f} %",
             f"{100 * value['chance']:.1f} %")
            for name, value in sorted(read_json(path).items()) if isinstance(value, dict)]
    return html_table(('retrieval on held-out classes', 'value', 'chance'), rows)


def _stage(folder: str, stage: Optional[str], name: str) -> str:
    """Charts and grids of a training, or the source of an imported one."""
    if stage is None:
        return '<p>Comes with the imported Stage-II.</p>'
    imported = read_json(os.path.join(stage, 'options.json')).get('imported')
    if imported:
        differences = ''.join(f' Differs: {html.escape(text)}.' for text in imported['differs'])
        return (f"<p>Imported from {html.escape(imported['from'])}, a checkpoint of "
                f"{html.escape(imported['of'])}.{differences}</p>")
    stats = read_json_lines(os.path.join(stage, 'stats.jsonl'))
    text = charts_section(training_charts(stats, name))
    return text + ''.join(_grids(folder, stage, name))


def _grids(folder: str, stage: str, name: str) -> Iterator[str]:
    """Figures of the first, a middle and the last grid."""
    grids = sorted(name for name in os.listdir(os.path.join(stage, 'samples')) if GRID.match(name))
    chosen = sorted({0, len(grids) // 2, len(grids) - 1})
    for i in reversed(chosen):
        step = int(grids[i].split('.')[0])
        yield _image(folder, os.path.join(stage, 'samples', grids[i]),
                     f'{name}-{grids[i]}', f'After {step} steps')


def _times(inputs: Dict[str, str]) -> str:
    rows = []
    for folder in inputs.values():
        manifest = read_json(os.path.join(folder, 'manifest.json'))
        versions = manifest['versions']
        rows.append((manifest['request']['job'], duration(manifest['seconds']),
                     manifest['finished'].replace('T', ' '),
                     ', '.join(f'{name} {version}' for name, version in sorted(versions.items()))))
    return html_table(('job', 'duration', 'finished', 'versions'),
                      sorted(rows, key=lambda row: row[2]))
