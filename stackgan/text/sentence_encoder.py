"""Any sentence encoder as ONNX: a folder as sentence-transformers and Optimum write it.

    model.onnx                 or onnx/model.onnx: tokens to vectors; one file, any precision
    tokenizer.json             read by the `tokenizers` package
    1_Pooling/config.json      optional (or config.json of the same content): how to pool
    modules.json               optional: a module Normalize makes embeddings of length 1
    sentence_bert_config.json, tokenizer_config.json     optional: how many tokens are read

The files are used in place; the folder of the text encoder holds options.json alone, with their
path and digests. Needs onnxruntime and tokenizers, no TensorFlow.
"""

import logging
import os
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from stackgan.config.schema import Platform, Text
from stackgan.errors import InputError
from stackgan.files import digest_of_file, read_json, write_json
from stackgan.text.options import OPTIONS, SENTENCES, read_options
from stackgan.text.published import check_embedding_dim
from stackgan.text.sentence_model import (
    SENTENCE_ENCODER,
    Model,
    SentenceModel,
    listed,
    open_model,
    open_tokenizer,
    output_of,
)

logger = logging.getLogger(__name__)

MODELS = ('model.onnx', 'onnx/model.onnx')
TOKENIZER = 'tokenizer.json'
POOLING_FILES = ('1_Pooling/config.json', 'config.json')
MODULES = 'modules.json'
LENGTHS = (('sentence_bert_config.json', 'max_seq_length'),
           ('tokenizer_config.json', 'model_max_length'))
MAX_TOKENS = 512                     # unless text.max_tokens asks for more
REMEDY = SENTENCE_ENCODER.remedy


def describe_sentences(
        path: str,             # folder of the encoder
        place: str,            # how options.json names it: absolute, or relative to `folder`
        folder: str,           # gets options.json
        settings: Text,
        embedding_dim: int,    # that the configuration asks for
        platform: Platform,
) -> None:
    """Checks the files of an encoder and records them for `SentenceEncoder`. Raises InputError."""
    file = _model_file(path)
    model = open_model(os.path.join(path, file), platform)
    max_tokens = min(settings.max_tokens or _max_tokens(path), model.length or 1 << 30)
    tokenizer = open_tokenizer(os.path.join(path, TOKENIZER), max_tokens)
    pooling = _pooling(path, settings.pooling, model)
    normalised = (settings.normalised if settings.normalised is not None
                  else _is_normalised(path))
    options = {'kind': SENTENCES, 'files': place, 'model': file, 'pooling': pooling,
               'normalised': normalised, 'max_tokens': max_tokens,
               'digests': _digests(path, file)}
    row = SentenceModel(model, tokenizer, pooling, normalised).embed(['a small red bird'])[0]
    if not np.isfinite(row).all():
        raise InputError(f'{path}: gives embeddings that are NaN or infinite; {REMEDY}')
    check_embedding_dim(path, len(row), embedding_dim)
    write_json(os.path.join(folder, OPTIONS), dict(options, embedding_dim=len(row)))
    unit = ', of length 1' if normalised else ''
    logger.info(f'nothing is trained: the sentence encoder in {path}, pooling {pooling}, '
                f'embeddings of {len(row)} numbers{unit}; {max_tokens} tokens of a caption are '
                'read')


class SentenceEncoder:
    """Captions to embeddings, as `TextEncoder`."""

    AT_ONCE = 256              # captions that `embed_dataset` hands over at once

    def __init__(self, folder: str, platform: Platform) -> None:
        self.options = read_options(folder)
        path = os.path.normpath(os.path.join(folder, self.options['files']))
        file = self.options['model']
        if file not in MODELS:
            raise InputError(f'{folder}: names the model {str(file)[:60]!r}; run '
                             'train-text-encoder --force')
        if _digests(path, file) != self.options['digests']:
            raise InputError(f'{path}: the files have changed since train-text-encoder looked at '
                             'them; run it again with --force')
        model = open_model(os.path.join(path, file), platform)
        self._tokenizer = open_tokenizer(os.path.join(path, TOKENIZER),
                                          self.options['max_tokens'])
        self._run = SentenceModel(model, self._tokenizer, self.options['pooling'],
                                  self.options['normalised'])

    def __enter__(self) -> 'SentenceEncoder':
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to give back."""

    def embed(self, captions: Sequence[str]) -> np.ndarray:
        """Embeddings: [N, embedding_dim] float32, a caption's independent of the others."""
        dim = self.options['embedding_dim']
        different = list(dict.fromkeys(captions))
        if not different:
            return np.empty((0, dim), np.float32)
        found = self._run.embed(different)
        if found.shape[1:] != (dim,):
            raise InputError(f'{self._run.path}: gives embeddings of another size than {dim}; run '
                             'train-text-encoder --force')
        rows = {caption: row for row, caption in enumerate(different)}
        return found[[rows[caption] for caption in captions]]

    def faults(self, captions: Sequence[str]) -> List[str]:
        """One line for each thing that keeps the encoder from reading all of all captions."""
        limit = self.options['max_tokens']
        long = sum(bool(self._tokenizer.encode(caption).overflowing) for caption in captions)
        return ([f'{long} of {len(captions)} captions are longer than {limit} tokens: the rest of '
                 'them is not read'] if long else [])


def _model_file(path: str) -> str:
    file = next((name for name in MODELS if os.path.isfile(os.path.join(path, name))), None)
    missing = ([] if file else ['model.onnx']) + (
        [] if os.path.isfile(os.path.join(path, TOKENIZER)) else [TOKENIZER])
    if file is None or missing:
        raise InputError(f'{path}: {" and ".join(missing)} missing; {REMEDY}')
    return file


def _config(path: str, name: str) -> Any:
    """The value of an optional JSON file; None without it. Raises InputError if it is damaged."""
    file = os.path.join(path, name)
    try:
        return read_json(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f'{file}: not JSON that is read ({str(error)[:120]}); {REMEDY}')


def _pooling(path: str, given: str, model: Model) -> str:
    """mean, cls or pooler."""
    if given != 'auto':
        return given
    for name in POOLING_FILES:
        config = _config(path, name)
        modes = [key for key, value in (config if isinstance(config, dict) else {}).items()
                 if key.startswith('pooling_mode_') and value is True]
        if not modes:
            continue
        known = {'pooling_mode_mean_tokens': 'mean', 'pooling_mode_cls_token': 'cls'}
        if len(modes) != 1 or modes[0] not in known:
            raise InputError(f'{os.path.join(path, name)}: {", ".join(modes)} is not supported; '
                             'set text.pooling to mean, cls or pooler if one of them fits')
        return known[modes[0]]
    if output_of('pooler', model) is None:
        raise InputError(f'{path}: nothing says how to pool (1_Pooling/config.json), and the model '
                         f'has no output for it; its outputs are {listed(model.outputs)}. Set '
                         'text.pooling to mean or cls')
    return 'pooler'


def _is_normalised(path: str) -> bool:
    modules = _config(path, MODULES)
    return any(isinstance(each, dict) and str(each.get('type', '')).endswith('.Normalize')
               for each in (modules if isinstance(modules, list) else []))


def _max_tokens(path: str) -> int:
    for name, key in LENGTHS:
        config = _config(path, name)
        found = config.get(key) if isinstance(config, dict) else None
        if type(found) is int and found >= 4:    # 10 ** 30 stands for none
            return min(found, MAX_TOKENS)
    return MAX_TOKENS


def _digests(path: str, file: str) -> Dict[str, str]:
    try:
        return {name: digest_of_file(os.path.join(path, name)) for name in (file, TOKENIZER)}
    except OSError as error:
        raise InputError(f'{error.filename or path}: cannot be read ({error.strerror}); put the '
                         'files of the sentence encoder back, or name their folder with '
                         'text.weights and run train-text-encoder')


def files_of(folder: str) -> Tuple[Dict[str, Any], str, List[str]]:
    """(options, folder of the files, their names) of a text encoder, with its licence files."""
    options = read_options(folder)
    path = os.path.normpath(os.path.join(folder, options['files']))
    licences = sorted(name for name in os.listdir(path)
                      if name.upper().startswith(('LICENSE', 'LICENCE', 'NOTICE'))
                      and os.path.isfile(os.path.join(path, name)))
    return options, path, [options['model'], TOKENIZER] + licences
