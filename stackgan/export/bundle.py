"""Makes a bundle of an export: one zip that generates without this repository (`bundle_file`)."""

import io
import json
import logging
import os
import tempfile
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

import stackgan
from stackgan.config.schema import Platform
from stackgan.errors import InputError
from stackgan.export.bundle_encoder import OF_SENTENCES, open_encoder, write_sentence_encoder
from stackgan.export.bundle_file import (
    FACTS,
    FORM,
    GENERATORS,
    TEXT_ENCODER,
    TOKENIZER,
    write_bundle,
)
from stackgan.export.half_weights import Halved, halved
from stackgan.export.model_card import model_card
from stackgan.export.model_file import NoiseWidths, open_model
from stackgan.export.ports import EMBEDDING, INPUTS, NOISE1, Arrays, Images, ModelFile, Z
from stackgan.export.record import read_export
from stackgan.export.safetensors_file import safetensors_bytes
from stackgan.files import read_bytes
from stackgan.integrity import check_file
from stackgan.model_bounds import LARGEST_FILE
from stackgan.sampling.sample_request import noise_of, to_uint8
from stackgan.text.options import CHAR_CNN_RNN, SENTENCES

logger = logging.getLogger(__name__)

FULL, SMALL = KINDS = ('full', 'small')
SHOWN = 6                       # samples in a bundle
SAMPLE_FORMAT: Dict[str, Tuple[str, str, Dict[str, int]]] = {
    FULL: ('.png', 'PNG', {}), SMALL: ('.jpg', 'JPEG', {'quality': 90})}
STANDALONE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'standalone.py')
REQUIREMENTS = 'numpy\nPillow\nonnxruntime>=1.10\n'
SOME = ['a photo', 'a small red one', 'a large blue one with white stripes']   # without a dataset


class Description(NamedTuple):
    """What a bundle says besides what is in the export."""

    name: str                           # of the run
    licence: Optional[str]              # of the data
    dataset: Dict[str, Any]             # name, classes, train: {images, captions}; {}: unknown
    scores: Optional[Dict[str, Any]]    # header, rows of the table; None: not scored
    captions: List[str]                 # held-out ones; []: unknown


def bundle(
        export_folder: str,             # of a finished export
        path: str,                      # of the zip to write
        kind: str,                      # FULL, or SMALL: float16 weights, samples as JPEG
        description: Description,
        platform: Platform,
        weights: Optional[Arrays],      # {variable: array} for weights.safetensors; None: none
) -> Dict[str, Any]:
    """Writes the zip; returns its bundle.json. Raises InputError for an export without ONNX."""
    exported = read_export(export_folder)
    captions = description.captions or SOME
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as scratch:
        data = _files_of(export_folder, exported)
        encoder = exported['text_encoder']
        beside = _beside_encoder(export_folder, encoder)
        if encoder['kind'] == SENTENCES:
            write_sentence_encoder(os.path.join(scratch, SENTENCES), data[TEXT_ENCODER],
                                   beside[TOKENIZER], encoder)
        models = _Models(data, scratch, platform, captions)
        expected = models.images()
        reports = {name: Halved(data, 0, 0, 0.0) for name, data in models.data.items()}
        if kind == SMALL:
            reports = _halve(models, expected)
        pixels = to_uint8(models.images()[max(expected)])
    samples = [{'caption': caption, 'file': f'samples/{number}{SAMPLE_FORMAT[kind][0]}'}
               for number, caption in enumerate(description.captions[:SHOWN])]
    facts = dict(_facts(exported, description, reports), samples=samples)
    files = {each['file']: _image_file(image, kind) for each, image in zip(samples, pixels)}
    files.update({name: report.data for name, report in reports.items()})
    files.update({
        **beside, 'generate.py': read_bytes(STANDALONE, LARGEST_FILE),
        'requirements.txt': (REQUIREMENTS + (
            'tokenizers\n' if facts['encoder'] == SENTENCES else '')).encode('ascii'),
        'README.md': model_card(facts).encode('utf-8'), FACTS: _json(facts)})
    if weights is not None:
        files['weights.safetensors'] = safetensors_bytes(weights)
    write_bundle(path, description.name, files, is_compressed=kind == SMALL)
    precisions = ', '.join(f'{each["file"]} in {each["weights"]}' for each in facts['models'])
    logger.info(f'wrote {os.path.basename(path)}, {os.path.getsize(path) / 1e6:.1f} MB: '
                f'{precisions}')
    return facts


def _files_of(folder: str, exported: Dict[str, Any]) -> Dict[str, bytes]:
    """Generators and text encoder of an export. Raises InputError where they are missing."""
    models = [each for each in exported['models'] if 'onnx' in each]
    encoder = exported.get('text_encoder') or {}
    if not models or encoder.get('kind') not in (CHAR_CNN_RNN, SENTENCES):
        what = 'the text encoder' if models else 'the generators'
        raise InputError(f'{folder}: has no ONNX of {what}; set export.onnx=true and export again. '
                         'Bundles hold a char-CNN-RNN or a sentence encoder (text.source: onnx), '
                         'and no other encoder')
    smallest = min(models, key=lambda each: each['batch_size'])
    found = {}
    for name, file in ((GENERATORS, smallest['onnx']['file']),
                       (TEXT_ENCODER, encoder['file'])):
        path = os.path.join(folder, file)
        check_file(path)
        found[name] = read_bytes(path, LARGEST_FILE)
    return found


def _beside_encoder(folder: str, encoder: Dict[str, Any]) -> Dict[str, bytes]:
    """{name: content} of the tokenizer and licences of a sentence encoder."""
    found = {}
    for name in encoder.get('files', {}):
        if name != encoder['file']:
            check_file(os.path.join(folder, name))
            found[name] = read_bytes(os.path.join(folder, name), LARGEST_FILE)
    return found


class _Models:
    """Both models as bytes, and the images that they generate from the captions."""

    def __init__(self, data: Dict[str, bytes], scratch: str, platform: Platform,
                 captions: Sequence[str]) -> None:
        self._scratch, self._platform, self._captions = scratch, platform, captions
        self.data, self.has_sentences = data, os.path.isdir(os.path.join(scratch, SENTENCES))

    def images(self) -> Images:
        """{side: [captions, side, side, 3] float32}, seed 0."""
        for name, value in self.data.items():
            with open(os.path.join(self._scratch, name), 'wb') as stream:
                stream.write(value)
        folder = os.path.join(self._scratch, SENTENCES)      # if there is one
        path = folder if self.has_sentences else os.path.join(self._scratch, TEXT_ENCODER)
        with open_encoder(path, self._platform) as encoder:
            embeddings = encoder.embed(list(self._captions))
        model = open_model(os.path.join(self._scratch, GENERATORS), self._platform)
        rows = [_generate(model, *each) for each in zip(self._captions, embeddings)]
        return {side: np.stack([row[side] for row in rows]) for side in rows[0]}


def _generate(model: ModelFile, caption: str, embedding: np.ndarray) -> Images:
    """{side: [side, side, 3] float32} of one caption."""
    noise = noise_of([caption], [0], 0, NoiseWidths(model.inputs[Z][1], model.inputs[NOISE1][1]))
    rows = dict(zip(INPUTS, (embedding[np.newaxis],) + tuple(noise)))
    batch = model.inputs[EMBEDDING][0]
    images = model.run({name: np.repeat(rows[name], batch, 0) for name in model.inputs})
    return {side: image[0] for side, image in images.items()}


def _halve(models: '_Models', expected: Images) -> Dict[str, Halved]:
    """Float16 weights for both files; the text encoder together with the changed generators."""
    def difference() -> float:
        images = models.images()
        return max(float(np.abs(images[side] - expected[side]).max()) for side in expected) / 2

    reports = {name: Halved(data, 0, 0, 0.0) for name, data in models.data.items()}
    for name in (GENERATORS,) if models.has_sentences else (GENERATORS, TEXT_ENCODER):
        def with_file(data: bytes, name: str = name) -> float:
            models.data[name] = data
            return difference()

        reports[name] = halved(models.data[name], with_file)
        models.data[name] = reports[name].data
    return reports


def _facts(exported: Dict[str, Any], description: Description,
           reports: Dict[str, Halved]) -> Dict[str, Any]:
    """bundle.json."""
    encoder = exported['text_encoder']
    has_sentences = encoder['kind'] == SENTENCES

    def precision(name: str, report: Halved) -> str:
        if has_sentences and name == TEXT_ENCODER:
            return 'the precision that it came with'
        if report.weights == 0:
            return 'float32'
        return 'float16' + ('' if report.weights == report.of else
                            f' ({report.weights} of {report.of}, the rest in float32)')

    sentences = {name: encoder[name] for name in OF_SENTENCES} if has_sentences else None
    return {
        'form': FORM, 'name': description.name, 'stage': exported['stage'],
        'encoder': encoder['kind'], **({'sentences': sentences} if sentences else {}),
        'licence': description.licence,
        'dataset': description.dataset, 'scores': description.scores,
        'checkpoint': exported['checkpoint'], 'weights': exported['weights'],
        'model': exported['model'], 'version': stackgan.__version__,
        'models': [{'file': name, 'weights': precision(name, report),
                    'largest_difference': report.difference}
                   for name, report in sorted(reports.items())]}


def _json(value: Any) -> bytes:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return (text + '\n').encode('utf-8', 'replace')


def _image_file(pixels: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    _, form, options = SAMPLE_FORMAT[kind]
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()
