"""`export --bundle`: the job that packs an export into one zip."""

import os
from typing import Any, Dict, List, Optional, Sequence

from stackgan.config import Config
from stackgan.errors import InputError
from stackgan.files import read_json, read_json_lines

from .contract import Input, Job, Work
from .outputs import prepared_folder, run_folder

HELP = ('pack the export into one zip that generates without this repository; full (the default): '
        'float32 and weights.safetensors as well; small: weights in float16 where that changes no '
        'pixel by a level')
CAPTIONS = 16           # held-out ones that a bundle is checked with


def bundle_job(
        job: Job,       # export
        kind: str,      # 'full' or 'small'
        name: Optional[str] = None,     # of the model; None: that of the run
) -> Job:
    """The job, whose output is `bundle/<name>.zip` or `bundle-small/<name>.zip`."""
    def output(config: Config) -> str:
        return run_folder(config, 'bundle' if kind == 'full' else 'bundle-small')

    def settings(config: Config) -> Dict[str, Any]:
        return {'bundle': kind, 'licence': config.data.licence, 'name': name or config.run.name}

    return job._replace(
        output=output, settings=settings, uses_tensorflow=kind == 'full', run=_run,
        inputs=lambda config, volume: _inputs(config, volume, kind))


def _inputs(config: Config, volume: str, kind: str) -> Sequence[Input]:
    """The export; dataset and scores as far as they are there; the stage for its weights."""
    found = [Input('export', run_folder(config, 'export'), 'export')]
    more = [Input('prepared', prepared_folder(config), 'preprocess'),
            Input('scores', run_folder(config, 'scores'), 'score')]
    if kind == 'full':
        stage = f'stage{config.export.stage}'
        found.append(Input('stage', run_folder(config, stage), 'train-' + stage))
        more.append(Input('text-encoder', run_folder(config, 'text-encoder'),
                          'train-text-encoder'))
    return found + [each for each in more if os.path.isdir(os.path.join(volume, each.path))]


def _run(work: Work) -> None:
    from stackgan.export.bundle import Description, bundle
    name, kind, config = work.settings['name'], work.settings['bundle'], work.config
    prepared = work.inputs.get('prepared')
    description = Description(
        name, config.data.licence, _dataset(prepared) if prepared else {},
        _scores(work.inputs.get('scores')), _held_out(prepared) if prepared else [])
    bundle(work.inputs['export'], os.path.join(work.folder, name + '.zip'), kind, description,
           config.platform, _weights(work) if kind == 'full' else None)


def _dataset(folder: str) -> Dict[str, Any]:
    """What bundle.json says about the dataset."""
    facts = read_json(os.path.join(folder, 'dataset.json'))
    train = facts.get('splits', {}).get('train', {})
    return {'name': facts['name'], 'classes': len(facts['classes']),
            'train': {each: train[each] for each in ('images', 'captions') if each in train}}


def _held_out(folder: str) -> List[str]:
    """Captions of test images, evenly spread over them, each once."""
    from stackgan.data.prepared import Split, open_dataset
    items = Split(open_dataset(folder), 'test').items()
    step = max(1, len(items) // CAPTIONS)
    captions = [items[place]['captions'][0] for place in range(0, len(items), step)]
    return list(dict.fromkeys(captions))[:CAPTIONS]


def _scores(folder: Optional[str]) -> Optional[Dict[str, Any]]:
    """The table of the newest scores, or None."""
    if folder is None:
        return None
    from stackgan.scoring.table import table_of
    table = table_of(read_json_lines(os.path.join(folder, 'scores.jsonl')))
    return {'header': table.header, 'rows': table.rows} if table.rows else None


def _weights(work: Work) -> Dict[str, Any]:
    """{variable: array} of the generators and the text encoder, as they were exported."""
    from stackgan.files import digest_of, digest_of_file, files_below
    from stackgan.sampling.sampler import Sampler
    from stackgan.text.encoder import TextEncoder, open_text_encoder
    settings, platform = work.config.export, work.config.platform
    exported = read_json(os.path.join(work.inputs['export'], 'export.json'))
    with Sampler(work.inputs['stage'], settings.checkpoint, 1, platform,
                 settings.weights == 'ema') as live:
        path = live.checkpoint
        digest = digest_of({name: digest_of_file(os.path.join(path, name))
                            for name in files_below(path)})
        if digest != exported['checkpoint']['sha256']:
            raise InputError(f'{work.inputs["export"]}: was exported from another checkpoint than '
                             f'{path}; run export again')
        found = dict(live.session.run(live.variables))
    if 'text-encoder' in work.inputs:
        with open_text_encoder(work.inputs['text-encoder'], platform) as encoder:
            if isinstance(encoder, TextEncoder):
                found.update(encoder.variables())
    return found
