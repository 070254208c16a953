"""A network of one's own that scores: score.judge names an .onnx or .tflite file.

A public pretrained network makes scores that compare across datasets and papers, as far as others
take the same file and preprocessing; so both are in each line of the record.
"""

import hashlib
import os
import warnings
from typing import Any, Callable, List, NamedTuple, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.config.schema import Platform, Score
from stackgan.errors import InputError, MissingRequirement
from stackgan.model_bounds import read_model_file
from stackgan.platforms.cores import thread_count
from stackgan.scoring.extractor import Extractor
from stackgan.scoring.judge_fields import MAX_FIELDS, MODEL, OPERATIONS
from stackgan.scoring.tflite_file import Unfit, require_plain_network
from stackgan.scoring.views import resized
from stackgan.wire import Budget, WireFault, read_message

REMEDY = 'score.judge names an .onnx or .tflite file of a convolutional network'
MAX_SIDE = 2048
PROBABILITY_SLACK = 0.1      # by which quantised probabilities may miss a sum of 1
TINY = 1e-12
IMAGENET = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


class Network(NamedTuple):
    """What is opened of a file."""

    shape: List[Any]                                # of its input, 4 entries
    takes: np.dtype                                 # uint8, int8 or float32
    call: Callable[[np.ndarray], np.ndarray]        # [1, ...] -> [1, ...] float32


class Judge(Extractor):
    """The `Extractor` of a file; one image at a time."""

    def __init__(
            self,
            path: str,               # of an .onnx or .tflite
            settings: Score,
            platform: Platform,
    ) -> None:
        data = read_model_file(path, REMEDY)
        digest = hashlib.sha256(data).hexdigest()
        kind = os.path.splitext(path)[1].lower()
        if kind not in OPENERS:
            raise InputError(f'{path}: neither an .onnx nor a .tflite; {REMEDY}')
        try:
            self.network = OPENERS[kind](data, platform)
            self.side, self.is_nchw = _side(self.network.shape)
        except Unfit as fault:
            raise InputError(f'{path}: cannot judge: {fault}; {REMEDY}')
        self.path, self.output, self.range = path, settings.judge_output, settings.judge_range
        width = self._outputs(np.zeros((self.side, self.side, 3), np.uint8)).shape[0]
        self.name = 'judge-' + digest[:8]
        self.classes, self.dim = (width, 0) if self.output == 'classes' else (0, width)
        takes = self.range if self.network.takes == np.float32 else str(self.network.takes)
        self.facts = {
            'extractor': self.name, 'weights': digest, 'precision': str(self.network.takes),
            'preprocessing': f'resized to {self.side} px (bilinear, antialiased), {takes}',
            'output': self.output}

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return resized(pixels, self.side)

    def run(self, prepared: List[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
        rows = np.stack([self._outputs(pixels) for pixels in prepared])
        if self.output == 'features':
            return np.empty((len(rows), 0), np.float32), rows
        return _as_logits(rows), np.empty((len(rows), 0), np.float32)

    def _outputs(self, pixels: np.ndarray) -> np.ndarray:
        """[D] float32; what it gives for each place of an image is averaged."""
        try:
            found = self.network.call(_as_input(pixels, self.network.takes, self.range,
                                                self.is_nchw))
        except Unfit as fault:
            raise InputError(f'{self.path}: cannot judge: {fault}; {REMEDY}')
        if found.ndim == 4:
            found = found.mean(axis=(2, 3) if self.is_nchw else (1, 2))
        found = found.reshape(found.shape[0], -1)
        if found.shape[0] != 1 or found.shape[1] < 2:
            raise InputError(f'{self.path}: cannot judge: its output has shape {found.shape}, '
                             f'expected [1, D]; {REMEDY}')
        return found[0].astype(np.float32)


def _side(shape: List[Any]) -> Tuple[int, bool]:
    """(side of the images, whether colours come first) of an input."""
    for is_nchw, colours, sides in ((False, 3, slice(1, 3)), (True, 1, slice(2, 4))):
        if len(shape) == 4 and (shape[0] in (1, None) or isinstance(shape[0], str)):
            high, wide = shape[sides]
            if shape[colours] == 3 and high == wide and isinstance(high, int) \
                    and 8 <= high <= MAX_SIDE:
                return high, is_nchw
    raise Unfit(f'its input has shape {shape}; expected one square image of 3 colours, such as '
                '[1, 224, 224, 3] or [1, 3, 224, 224]')


def _as_input(pixels: np.ndarray, takes: np.dtype, kind: str, is_nchw: bool) -> np.ndarray:
    """[1, S, S, 3] or [1, 3, S, S] of pixels [S, S, 3] uint8."""
    if takes == np.uint8:
        values = pixels
    elif takes == np.int8:
        values = (pixels.astype(np.int16) - 128).astype(np.int8)
    else:
        shares = pixels.astype(np.float32) / 255
        values = {'-1..1': lambda: shares * 2 - 1, '0..1': lambda: shares,
                  '0..255': lambda: pixels.astype(np.float32),
                  'imagenet': lambda: (shares - IMAGENET[0]) / IMAGENET[1]}[kind]()
    return (values.transpose(2, 0, 1) if is_nchw else values)[np.newaxis]


def _as_logits(rows: np.ndarray) -> np.ndarray:
    """Rows that are probabilities as logits; others as they are."""
    are_shares = (rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1) < PROBABILITY_SLACK)
    return np.where(are_shares[:, np.newaxis], np.log(np.maximum(rows, TINY)), rows)


def _open_tflite(data: bytes, platform: Platform) -> Network:
    require_plain_network(data)
    try:
        with warnings.catch_warnings():        # of the move of TensorFlow Lite to another package
            warnings.simplefilter('ignore')
            interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    except (RuntimeError, ValueError) as error:
        raise Unfit(' '.join(str(error).split())[:200])
    if len(inputs) != 1 or len(outputs) != 1:
        raise Unfit(f'it has {len(inputs)} inputs and {len(outputs)} outputs; one of each is '
                    'expected')
    takes, (scale, zero) = np.dtype(inputs[0]['dtype']), outputs[0]['quantization']
    if takes not in (np.uint8, np.int8, np.float32):
        raise Unfit(f'its input is of type {takes}')

    def call(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(inputs[0]['index'], image)
        interpreter.invoke()
        found = interpreter.get_tensor(outputs[0]['index'])
        return found if found.dtype == np.float32 else (found.astype(np.float32) - zero) * scale

    return Network([int(side) for side in inputs[0]['shape']], takes, call)


def _open_onnx(data: bytes, platform: Platform) -> Network:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingRequirement(f'an .onnx as score.judge needs the onnxruntime package '
                                 f'({error}); install the extra `run-onnx` of pyproject.toml')
    try:
        graph = read_message(data, MODEL, Budget(MAX_FIELDS)).get('graph', {})
    except WireFault as fault:
        raise Unfit(str(fault))
    for node in graph.get('node', []):
        if node.get('op_type') not in OPERATIONS or node.get('domain', '') not in ('', 'ai.onnx'):
            raise Unfit(f'operation {node.get("op_type", "")[:40]!r} is not among those of a '
                        'convolutional network')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(platform)
    options.add_session_config_entry('session.load_model_format', 'ONNX')
    try:
        session = onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    except Exception as error:                 # its own exceptions share no other base
        raise Unfit(' '.join(str(error).split())[:200])
    inputs, outputs = session.get_inputs(), session.get_outputs()
    types = {'tensor(float)': np.float32, 'tensor(uint8)': np.uint8}
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in types:
        raise Unfit(f'it has {len(inputs)} inputs and {len(outputs)} outputs; one input of floats '
                    'or uint8 and one output are expected')

    def call(image: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(session.run([outputs[0].name], {inputs[0].name: image})[0])
        except Exception as error:
            raise Unfit(' '.join(str(error).split())[:200])

    return Network(list(inputs[0].shape), np.dtype(types[inputs[0].type]), call)


OPENERS = {'.tflite': _open_tflite, '.onnx': _open_onnx}
