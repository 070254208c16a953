"""Any sentence encoder as ONNX: a folder as sentence-transformers and Optimum write it.

    model.onnx                 or onnx/model.onnx: tokens to vectors; one file, any precision
    tokenizer.json             read by the `tokenizers` package
    1_Pooling/config.json      optional (or config.json of the same content): how to pool
    modules.json               optional: a module Normalize makes embeddings of length 1
    sentence_bert_config.json, tokenizer_config.json     optional: how many tokens are read

The files are used in place; the folder of the text encoder holds options.json alone, with their
path and digests. Needs onnxruntime and tokenizers, no TensorFlow.

A caption's embedding does not depend on the captions beside it: a batch holds captions of one
length, so that none is filled up, and always the same number of rows. Where a model measures its
activations to quantise them, over all rows together, captions are run one at a time.
"""

import logging
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from stackgan.config.schema import Platform, Text
from stackgan.errors import InputError, MissingRequirement
from stackgan.files import digest_of_file, read_bytes, read_json, write_json
from stackgan.foreign_onnx import MAX_FIELDS, MODEL
from stackgan.model_bounds import read_model_file
from stackgan.platforms.cores import thread_count
from stackgan.text.options import OPTIONS, SENTENCES, read_options
from stackgan.text.published import check_embedding_dim
from stackgan.wire import Budget, WireFault, read_message

logger = logging.getLogger(__name__)

MODELS = ('model.onnx', 'onnx/model.onnx')
TOKENIZER = 'tokenizer.json'
POOLING_FILES = ('1_Pooling/config.json', 'config.json')
MODULES = 'modules.json'
LENGTHS = (('sentence_bert_config.json', 'max_seq_length'),
           ('tokenizer_config.json', 'model_max_length'))
MAX_TOKENS = 512                     # unless text.max_tokens asks for more
MAX_TOKENIZER_BYTES = 128 << 20      # multilingual ones have 17 MB
REMEDY = ('text.weights must be a folder with model.onnx and tokenizer.json of a sentence encoder '
          '(docs/encoders.md)')
INPUTS = ('input_ids', 'attention_mask', 'token_type_ids')
OF_SENTENCE = ('sentence_embedding', 'text_embeds', 'pooler_output')     # [N, D], the best first
OF_TOKENS = ('last_hidden_state', 'token_embeddings')                    # [N, T, D]
TYPES = {'tensor(int64)': np.int64, 'tensor(int32)': np.int32}
# Of transformers; of com.microsoft what its optimiser and quantiser make of them. None runs another
# graph or takes a path.
OPERATIONS = frozenset('''
    Abs Add And ArgMax Cast CastLike Ceil Clip Concat Constant ConstantOfShape Cos CumSum
    DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Equal Erf Exp Expand Flatten Floor
    Gather GatherElements GatherND Gelu Gemm Greater GreaterOrEqual Identity IsInf IsNaN
    LayerNormalization Less LessOrEqual Log MatMul MatMulInteger Max Min Mod Mul Neg Not Or Pad Pow
    QLinearMatMul QuantizeLinear Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum Relu
    Reshape Round ScatterND Shape Sigmoid Sign SimplifiedLayerNormalization Sin Slice Softmax
    Softplus Split Sqrt Squeeze Sub Tanh Tile Transpose Trilu Unsqueeze Where
    '''.split())
OF_MICROSOFT = frozenset('''
    Attention BiasGelu DynamicQuantizeMatMul EmbedLayerNormalization FastGelu FusedMatMul Gelu
    MatMulIntegerToFloat MultiHeadAttention QAttention QEmbedLayerNormalization QGemm QuickGelu
    SkipLayerNormalization SkipSimplifiedLayerNormalization
    '''.split())


# Those that measure their activations.
DYNAMIC = frozenset(('DynamicQuantizeLinear', 'DynamicQuantizeMatMul', 'QAttention'))
ROWS = 8                             # of a batch


class Model(NamedTuple):
    """An opened model.onnx."""

    session: Any
    inputs: Dict[str, np.dtype]      # type of each
    length: Optional[int]            # tokens that it takes, always; None: any number
    outputs: Dict[str, int]          # rank of each
    rows: int                        # captions that it is given at once, always


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
    model = _open_model(os.path.join(path, file), platform)
    max_tokens = min(settings.max_tokens or _max_tokens(path), model.length or 1 << 30)
    tokenizer = _open_tokenizer(os.path.join(path, TOKENIZER), max_tokens)
    pooling = _pooling(path, settings.pooling, model)
    normalised = (settings.normalised if settings.normalised is not None
                  else _is_normalised(path))
    options = {'kind': SENTENCES, 'files': place, 'model': file, 'pooling': pooling,
               'normalised': normalised, 'max_tokens': max_tokens,
               'digests': _digests(path, file)}
    row = _Run(os.path.join(path, file), model, tokenizer, options).embed(['a small red bird'])[0]
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
        model = _open_model(os.path.join(path, file), platform)
        self._tokenizer = _open_tokenizer(os.path.join(path, TOKENIZER),
                                          self.options['max_tokens'])
        self._run = _Run(os.path.join(path, file), model, self._tokenizer, self.options)

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


class _Run:
    """Captions to their embeddings."""

    def __init__(self, path: str, model: Model, tokenizer: Any, options: Dict[str, Any]) -> None:
        self.path, self.model, self.tokenizer = path, model, tokenizer
        self.normalised = options['normalised']
        self.pooling = options['pooling']
        self.output = _output_of(self.pooling, model)
        if self.output is None:
            raise InputError(f'{path}: has no output for pooling {self.pooling}; its outputs are '
                             f'{_listed(model.outputs)}; {REMEDY}')

    def embed(self, captions: Sequence[str]) -> np.ndarray:
        """[N, D] float32 of one caption or more."""
        tokens = [self._tokens(caption) for caption in captions]
        found: Dict[int, np.ndarray] = {}
        for length in sorted({len(each) for each in tokens}):
            places = [place for place, each in enumerate(tokens) if len(each) == length]
            for start in range(0, len(places), self.model.rows):
                part = places[start:start + self.model.rows]
                found.update(zip(part, self._embed_alike([tokens[place] for place in part])))
        return np.stack([found[place] for place in range(len(tokens))])

    def _tokens(self, caption: str) -> List[int]:
        try:
            return list(self.tokenizer.encode(caption).ids)
        except Exception as error:               # those of the package have no common base
            raise InputError(f'{self.path}: the tokenizer cannot read {caption[:60]!r} ({error})')

    def _embed_alike(
            self,
            tokens: List[List[int]],     # up to `rows` captions of one length
    ) -> np.ndarray:
        """[N, D] float32."""
        used = len(tokens[0])
        length = self.model.length or max(1, used)
        ids = np.zeros((self.model.rows, length), np.int64)
        ids[:, :used] = tokens + tokens[:1] * (self.model.rows - len(tokens))
        mask = np.zeros_like(ids)
        mask[:, :used] = 1
        values = {'input_ids': ids, 'attention_mask': mask, 'token_type_ids': np.zeros_like(ids)}
        arrays = {name: values[name].astype(kind) for name, kind in self.model.inputs.items()}
        try:
            rows = np.asarray(self.model.session.run([self.output], arrays)[0], np.float32)
        except Exception as error:               # ONNX Runtime's have no common base
            raise _unusable(self.path, error)
        rows = self._pooled(rows, max(1, used))[:len(tokens)]
        if self.normalised:
            rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows

    def _pooled(self, rows: np.ndarray, tokens: int) -> np.ndarray:
        wanted = 2 if self.pooling == 'pooler' else 3
        if rows.ndim != wanted or len(rows) != self.model.rows or not rows.size:
            raise InputError(f'{self.path}: its output {self.output} has shape {rows.shape}, which '
                             f'pooling {self.pooling} cannot use; {REMEDY}')
        if self.pooling == 'mean':
            return rows[:, :tokens].mean(1)
        return rows[:, 0] if self.pooling == 'cls' else rows


def _model_file(path: str) -> str:
    file = next((name for name in MODELS if os.path.isfile(os.path.join(path, name))), None)
    missing = ([] if file else ['model.onnx']) + (
        [] if os.path.isfile(os.path.join(path, TOKENIZER)) else [TOKENIZER])
    if file is None or missing:
        raise InputError(f'{path}: {" and ".join(missing)} missing; {REMEDY}')
    return file


def _open_model(path: str, platform: Platform) -> Model:
    """The model, after every part of the file was checked."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingRequirement(f'text.source: onnx needs the onnxruntime package ({error}); pip '
                                 "install 'stackgan[sentences]'")
    data = read_model_file(path, REMEDY)
    try:
        model = read_message(data, MODEL, Budget(MAX_FIELDS))
    except WireFault as fault:
        raise InputError(f'{path}: not an ONNX file that is read: {fault}; {REMEDY}')
    nodes = model.get('graph', {}).get('node', [])
    for node in nodes:
        allowed = {'': OPERATIONS, 'ai.onnx': OPERATIONS, 'com.microsoft': OF_MICROSOFT}.get(
            node.get('domain', ''), frozenset())
        if node.get('op_type') not in allowed:
            raise InputError(f'{path}: operation {node.get("op_type", "")[:40]!r} is not among '
                             f'those of a sentence encoder; {REMEDY}')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(platform)
    options.log_severity_level = 3
    options.add_session_config_entry('session.load_model_format', 'ONNX')
    try:
        session = onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    except Exception as error:
        sets = ', '.join(f'{each.get("domain") or "ONNX"} {each.get("version")}'
                         for each in model.get('opset_import', [])[:3])
        raise _unusable(path, f'{" ".join(str(error).split())[:200]} (operator sets {sets}, format '
                        f'{model.get("ir_version")}; here is onnxruntime '
                        f'{onnxruntime.__version__}: with Python 3.7 it reads operator set 15 and '
                        'format 8 at most)')
    is_dynamic = any(node.get('op_type') in DYNAMIC for node in nodes)
    return _checked(path, session, 1 if is_dynamic else ROWS)


def _checked(path: str, session: Any, rows: int) -> Model:
    """The model with its inputs and outputs. Raises InputError for others than an encoder's."""
    inputs = {each.name: TYPES.get(each.type) for each in session.get_inputs()}
    if 'input_ids' not in inputs or not set(inputs) <= set(INPUTS) or None in inputs.values():
        found = ', '.join(f'{each.name} ({each.type})' for each in session.get_inputs()[:6])
        raise InputError(f'{path}: its inputs are {found}; must be {", ".join(INPUTS)} of whole '
                         f'numbers; {REMEDY}')
    shape = next(each.shape for each in session.get_inputs() if each.name == 'input_ids')
    if len(shape) != 2 or isinstance(shape[0], int) and shape[0] != 1:
        raise InputError(f'{path}: input_ids has shape {shape}; must be [batch, tokens]; {REMEDY}')
    length = shape[1] if isinstance(shape[1], int) else None
    outputs = {each.name: len(each.shape) for each in session.get_outputs()}
    return Model(session, inputs, length, outputs, 1 if isinstance(shape[0], int) else rows)


def _open_tokenizer(path: str, max_tokens: int) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingRequirement(f'text.source: onnx needs the tokenizers package ({error}); pip '
                                 "install 'stackgan[sentences]'")
    try:
        tokenizer = Tokenizer.from_str(read_bytes(path, MAX_TOKENIZER_BYTES).decode('utf-8'))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=max_tokens)
        return tokenizer
    except Exception as error:                   # those of the package have no common base
        reason = ' '.join(str(error).split())[:200]
        raise InputError(f'{path}: not a tokenizer that is read ({reason}); {REMEDY}')


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
    if _output_of('pooler', model) is None:
        raise InputError(f'{path}: nothing says how to pool (1_Pooling/config.json), and the model '
                         f'has no output for it; its outputs are {_listed(model.outputs)}. Set '
                         'text.pooling to mean or cls')
    return 'pooler'


def _output_of(pooling: str, model: Model) -> Optional[str]:
    """The output that pooling reads, or None."""
    rank, names = (2, OF_SENTENCE) if pooling == 'pooler' else (3, OF_TOKENS)
    fitting = [name for name, found in model.outputs.items() if found == rank]
    named = [name for name in names if name in fitting]
    return next(iter(named or fitting), None)


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


def _listed(outputs: Dict[str, int]) -> str:
    return ', '.join(f'{name[:40]} of rank {rank}' for name, rank in list(outputs.items())[:6])


def _unusable(path: str, error: object) -> InputError:
    return InputError(f'{path}: not a model that runs here: {" ".join(str(error).split())[:500]}; '
                      f'{REMEDY}')
