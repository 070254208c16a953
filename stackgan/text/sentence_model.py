"""Runs a sentence encoder in an ONNX file with its tokenizer.json: captions to embeddings.

A caption's embedding does not depend on the captions beside it: a batch holds captions of one
length, so that none is filled up, and always the same number of rows. Where a model measures its
activations to quantise them, over all rows together, captions are run one at a time.
"""

from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from stackgan.config.schema import Platform
from stackgan.errors import InputError, MissingRequirement
from stackgan.files import read_bytes
from stackgan.foreign_onnx import MAX_FIELDS, MODEL
from stackgan.model_bounds import read_model_file
from stackgan.platforms.cores import thread_count
from stackgan.wire import Budget, WireFault, read_message

MAX_TOKENIZER_BYTES = 128 << 20      # multilingual ones have 17 MB
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


class Use(NamedTuple):
    """What a file is for: parts of the messages about it."""

    key: str               # of the configuration
    kind: str              # what its operations must be those of
    remedy: str            # end of an error message


SENTENCE_ENCODER = Use(
    'text.source: onnx', 'a sentence encoder', 'text.weights must be a folder with model.onnx and '
    'tokenizer.json of a sentence encoder (docs/encoders.md)')


class Model(NamedTuple):
    """An opened encoder of sentences."""

    path: str
    use: Use

    session: Any
    inputs: Dict[str, np.dtype]      # type of each
    length: Optional[int]            # tokens that it takes, always; None: any number
    outputs: Dict[str, int]          # rank of each
    rows: int                        # captions that it is given at once, always


class SentenceModel:
    """Captions to their embeddings."""

    def __init__(
            self,
            model: Model,
            tokenizer: Any,      # as `open_tokenizer` gives it
            pooling: str,        # mean, cls or pooler
            normalised: bool,    # embeddings of length 1
    ) -> None:
        self.path, self.model, self.tokenizer = model.path, model, tokenizer
        self.normalised, self.pooling, self.remedy = normalised, pooling, model.use.remedy
        self.output = output_of(pooling, model)
        if self.output is None:
            raise InputError(f'{model.path}: has no output for pooling {pooling}; its outputs are '
                             f'{listed(model.outputs)}; {self.remedy}')

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
            raise unusable(self.path, self.model.use, error)
        rows = self._pooled(rows, max(1, used))[:len(tokens)]
        if self.normalised:
            rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows

    def _pooled(self, rows: np.ndarray, tokens: int) -> np.ndarray:
        wanted = 2 if self.pooling == 'pooler' else 3
        if rows.ndim != wanted or len(rows) != self.model.rows or not rows.size:
            raise InputError(f'{self.path}: its output {self.output} has shape {rows.shape}, which '
                             f'pooling {self.pooling} cannot use; {self.remedy}')
        if self.pooling == 'mean':
            return rows[:, :tokens].mean(1)
        return rows[:, 0] if self.pooling == 'cls' else rows


def open_model(path: str, platform: Platform, use: Use = SENTENCE_ENCODER) -> Model:
    """An encoder, after every part of the file was checked. Raises InputError."""
    session, is_dynamic = open_session(path, platform, use, OPERATIONS)
    return _checked(path, session, 1 if is_dynamic else ROWS, use)


def open_session(
        path: str,                       # of an .onnx
        platform: Platform,
        use: Use,
        operations: FrozenSet[str],      # of the standard that it may have
) -> Tuple[Any, bool]:
    """(session of ONNX Runtime, whether the file measures its activations).

    Raises InputError for a file with other parts.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise _without('onnxruntime', use, error)
    data = read_model_file(path, use.remedy)
    try:
        model = read_message(data, MODEL, Budget(MAX_FIELDS))
    except WireFault as fault:
        raise InputError(f'{path}: not an ONNX file that is read: {fault}; {use.remedy}')
    nodes = model.get('graph', {}).get('node', [])
    for node in nodes:
        allowed = {'': operations, 'ai.onnx': operations, 'com.microsoft': OF_MICROSOFT}.get(
            node.get('domain', ''), frozenset())
        if node.get('op_type') not in allowed:
            raise InputError(f'{path}: operation {node.get("op_type", "")[:40]!r} is not among '
                             f'those of {use.kind}; {use.remedy}')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(platform)
    options.log_severity_level = 3
    options.add_session_config_entry('session.load_model_format', 'ONNX')
    try:
        session = onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    except Exception as error:
        sets = ', '.join(f'{each.get("domain") or "ONNX"} {each.get("version")}'
                         for each in model.get('opset_import', [])[:3])
        raise unusable(path, use, f'{" ".join(str(error).split())[:200]} (operator sets {sets}, '
                       f'format {model.get("ir_version")}; here is onnxruntime '
                       f'{onnxruntime.__version__}: with Python 3.7 it reads operator set 15 and '
                       'format 8 at most)')
    return session, any(node.get('op_type') in DYNAMIC for node in nodes)


def _checked(path: str, session: Any, rows: int, use: Use) -> Model:
    """The model with its inputs and outputs. Raises InputError for others than an encoder's."""
    inputs = {each.name: TYPES.get(each.type) for each in session.get_inputs()}
    if 'input_ids' not in inputs or not set(inputs) <= set(INPUTS) or None in inputs.values():
        found = ', '.join(f'{each.name} ({each.type})' for each in session.get_inputs()[:6])
        raise InputError(f'{path}: its inputs are {found}; must be {", ".join(INPUTS)} of whole '
                         f'numbers; {use.remedy}')
    shape = next(each.shape for each in session.get_inputs() if each.name == 'input_ids')
    if len(shape) != 2 or isinstance(shape[0], int) and shape[0] != 1:
        raise InputError(f'{path}: input_ids has shape {shape}; must be [batch, tokens]; '
                         + use.remedy)
    length = shape[1] if isinstance(shape[1], int) else None
    outputs = {each.name: len(each.shape) for each in session.get_outputs()}
    return Model(path, use, session, inputs, length, outputs,
                 1 if isinstance(shape[0], int) else rows)


def open_tokenizer(path: str, max_tokens: int, use: Use = SENTENCE_ENCODER) -> Any:
    """A tokenizer.json that fills nothing up and cuts after `max_tokens`. Raises InputError."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise _without('tokenizers', use, error)
    try:
        tokenizer = Tokenizer.from_str(read_bytes(path, MAX_TOKENIZER_BYTES).decode('utf-8'))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=max_tokens)
        return tokenizer
    except Exception as error:                   # those of the package have no common base
        reason = ' '.join(str(error).split())[:200]
        raise InputError(f'{path}: not a tokenizer that is read ({reason}); {use.remedy}')


def output_of(pooling: str, model: Model) -> Optional[str]:
    """The output that pooling reads, or None."""
    rank, names = (2, OF_SENTENCE) if pooling == 'pooler' else (3, OF_TOKENS)
    fitting = [name for name, found in model.outputs.items() if found == rank]
    named = [name for name in names if name in fitting]
    return next(iter(named or fitting), None)


def listed(outputs: Dict[str, int]) -> str:
    return ', '.join(f'{name[:40]} of rank {rank}' for name, rank in list(outputs.items())[:6])


def unusable(path: str, use: Use, error: object) -> InputError:
    return InputError(f'{path}: not a model that runs here: {" ".join(str(error).split())[:500]}; '
                      f'{use.remedy}')


def _without(package: str, use: Use, error: Exception) -> MissingRequirement:
    return MissingRequirement(f'{use.key} needs the {package} package ({error}); pip install '
                              "'stackgan[sentences]'")
