"""Exports a checkpoint to files for other machines, each compared with the checkpoint itself.

    export.json                   what the files are: inputs, outputs, checkpoint, ATC commands
    check.json                    what `check` found in each graph
    stackgan-stage2-b1.pb         both generators, one image at a time
    stackgan-stage2-b1.onnx
    stackgan-stage2-b64.pb, ...
    text-encoder.onnx             captions to embeddings, where the run has a char-CNN-RNN
"""

import logging
import os
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

import stackgan
from stackgan.checkpoints import read_facts
from stackgan.config.loading import to_dict
from stackgan.config.schema import Export, Platform
from stackgan.data.noise import normal, random_state, truncated_normal
from stackgan.errors import InputError, StackganError
from stackgan.export import check
from stackgan.export.atc import arguments, as_shell
from stackgan.export.freezing import freeze
from stackgan.export.model_file import open_model
from stackgan.export.onnx_graph import IR_VERSION, OPSET, import_onnx, to_onnx
from stackgan.export.ports import EMBEDDING, INPUTS, Arrays, Images, Z
from stackgan.export.record import CHECK, FACTS, FORM, Entry
from stackgan.export.text_encoder import export_text_encoder
from stackgan.files import atomic_write, digest_of, digest_of_file, files_below, write_json
from stackgan.platforms.session import exact
from stackgan.progress import Progress
from stackgan.sampling.sampler import Sampler

logger = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 1e-4     # of a file's images in [-1, 1] from those of the checkpoint
MEANINGS = {
    EMBEDDING: "embeddings of captions, by the run's text encoder",
    Z: 'standard normal',
    'noise1': 'standard normal truncated at 2 sigma: conditioning augmentation of Stage-I',
    'noise2': 'standard normal truncated at 2 sigma: conditioning augmentation of Stage-II',
}


def export(
        stage_folder: str,                      # of a finished stage
        folder: str,                            # gets the files
        settings: Export,                       # the `export` section
        platform: Platform,                     # the `platform` section
        text_encoder: Optional[str] = None,     # folder of the finished text encoder, if any
) -> None:
    """Writes and checks every file.

    Raises InputError for a checkpoint or graph that cannot be converted, StackganError for a file
    whose images differ from the checkpoint's.
    """
    host = exact(platform)
    if settings.onnx:
        import_onnx()                          # before the work, not after
    models: List[Entry] = []
    reports: Dict[str, Any] = {}
    facts: Dict[str, Any] = {}
    with Progress('export', len(settings.batch_sizes), 'models') as progress:
        for batch_size in settings.batch_sizes:
            with Sampler(stage_folder, settings.checkpoint, batch_size, host,
                         settings.weights == 'ema') as live:
                _check_can_be_frozen(live)
                entry, report = _export_one(live, folder, settings, host)
                facts = facts or _facts(live)
            models.append(entry)
            reports[entry['frozen']['file']] = report
            write_json(os.path.join(folder, CHECK), reports)
            progress.advance(1, entry['frozen']['file'])
    if settings.onnx and text_encoder:
        facts['text_encoder'] = export_text_encoder(text_encoder, folder, host)
    write_json(os.path.join(folder, FACTS), dict(facts, models=models))
    findings = sum(len(report['findings']) for report in reports.values())
    logger.info(f'checkpoint {facts["checkpoint"]["name"]}, weights of {facts["weights"]}; '
                f'{len(models)} models, findings of the check before ATC: {findings}; largest '
                f'difference from the checkpoint: {max(_differences(models)):.1e}')


def _check_can_be_frozen(live: Sampler) -> None:
    if live.compat:
        raise InputError(f'{live.checkpoint}: was imported with --compat {live.compat}, which '
                         'normalises by the statistics of each batch; a fixed graph cannot. '
                         'To export it, import it without --compat')


def _export_one(live: Sampler, folder: str, settings: Export,
                host: Platform) -> Tuple[Entry, Dict[str, Any]]:
    """(entry of export.json, report of the check) of one batch size."""
    frozen = freeze(live.stage, live.batch_size, live.dims, live.session.run(live.variables))
    stem = f'stackgan-stage{live.stage}-b{live.batch_size}'
    path = os.path.join(folder, stem + '.pb')
    _write(path, frozen.graph_def.SerializeToString(deterministic=True))
    graph_def = check.read_graph(path)
    findings = check.check_graph(graph_def)
    check.require_passed(path, findings)
    arrays = random_inputs(frozen.inputs)
    expected = _live_images(live, arrays)
    entry = {
        'batch_size': live.batch_size,
        'inputs': [{'name': name, 'shape': shape, 'type': 'float32', 'values': MEANINGS[name]}
                   for name, shape in frozen.inputs.items()],
        'outputs': [{'name': name, 'shape': [live.batch_size, side, side, 3], 'type': 'float32',
                     'values': 'images in [-1, 1], channels last, RGB'}
                    for side, name in sorted(frozen.outputs.items())],
        'frozen': _described(path, arrays, expected, host),
    }
    if settings.onnx:
        path = os.path.join(folder, stem + '.onnx')
        _write(path, to_onnx(frozen).SerializeToString())
        entry['onnx'] = dict(_described(path, arrays, expected, host), opset=OPSET,
                             ir_version=IR_VERSION)
    command = arguments(entry, stem + '.pb', stem, settings)
    entry['atc'] = {'arguments': command, 'command': as_shell(['atc'] + command)}
    return entry, check.report_of(graph_def, findings)


def random_inputs(
        shapes: Dict[str, List[int]],   # {name: shape} of inputs
        seed: int = 0,
) -> Arrays:
    """Random values for each input, from the distribution it has in use."""
    random = random_state(seed, 'export', len(shapes))
    return {name: (normal if name in (EMBEDDING, Z) else truncated_normal)(random, shape)
            for name, shape in shapes.items()}


def _live_images(live: Sampler, arrays: Arrays) -> Images:
    """What the checkpoint itself generates: variables, and batch norm as separate layers."""
    holders = dict(zip(INPUTS, (live.graph.embeddings,) + tuple(live.graph.noise)))
    return live.session.run(live.graph.images,
                            {holders[name]: array for name, array in arrays.items()})


def _write(path: str, data: bytes) -> None:
    with atomic_write(path) as stream:
        stream.write(data)


def _described(path: str, arrays: Arrays, expected: Images, host: Platform) -> Dict[str, Any]:
    """Facts about a file: name, size, digest, largest difference from the checkpoint's images."""
    model = open_model(path, host)
    try:
        generated = model.run(arrays)
    finally:
        model.close()
    difference = max(float(np.abs(generated[side] - expected[side]).max()) for side in expected)
    if not difference <= LARGEST_DIFFERENCE:                       # also for NaN
        raise StackganError(f"{path}: its images differ from the checkpoint's by {difference:g}, "
                            f'more than {LARGEST_DIFFERENCE:g}; please report this')
    return {'file': os.path.basename(path), 'bytes': os.path.getsize(path),
            'sha256': digest_of_file(path), 'largest_difference': difference}


def _differences(models: List[Entry]) -> List[float]:
    return [model[kind]['largest_difference'] for model in models for kind in ('frozen', 'onnx')
            if kind in model]


def _facts(live: Sampler) -> Dict[str, Any]:
    """What export.json says about all files."""
    path = live.checkpoint
    versions = {'stackgan': stackgan.__version__, 'tensorflow': tf.__version__,
                'numpy': np.__version__}
    return {
        'form': FORM,
        'stage': live.stage,
        'checkpoint': {
            'name': os.path.basename(path), 'step': read_facts(path)['step'],
            'sha256': digest_of({name: digest_of_file(os.path.join(path, name))
                                 for name in files_below(path)})},
        'weights': 'the EMA' if live.has_ema else 'the training itself',
        'model': to_dict(live.dims),
        'versions': versions,
    }
