"""Runs ONNX files that export wrote, with ONNX Runtime. Imports no TensorFlow."""

import os
from typing import Any, Dict, Iterable, List

import numpy as np

from stackgan.config.schema import Platform
from stackgan.errors import InputError, MissingRequirement
from stackgan.export.onnx_check import read_onnx
from stackgan.export.ports import Arrays, Images, ModelFile, ports
from stackgan.integrity import check_file
from stackgan.platforms.cores import thread_count
from stackgan.text.alphabet import MAX_LENGTH, encode_captions

CODES, EMBEDDINGS = 'codes', 'embeddings'     # input and output of a text encoder


def open_onnx(
        path: str,              # of a generator's .onnx
        platform: Platform,     # the `platform` section
) -> ModelFile:
    """Raises InputError if the file is not an exported generator."""
    session = _open_session(path, platform)
    inputs, outputs = ports(path, _shapes(session.get_inputs()),
                            _shapes(session.get_outputs()))

    def run(arrays: Arrays) -> Images:
        return dict(zip(outputs, _run(path, session, list(outputs.values()), arrays)))

    return ModelFile(path, inputs, outputs, run, lambda: None)


class OnnxTextEncoder:
    """Embeds captions, like `text.encoder.TextEncoder`. Use as a context manager."""

    def __init__(
            self,
            path: str,              # of the text encoder's .onnx
            platform: Platform,     # the `platform` section
    ) -> None:
        self.path, self.session = path, _open_session(path, platform)
        check_file(path)
        inputs, outputs = [_shapes(each) for each in (self.session.get_inputs(),
                                                      self.session.get_outputs())]
        if inputs != {CODES: [1, MAX_LENGTH]} or list(outputs) != [EMBEDDINGS] \
                or outputs[EMBEDDINGS][:-1] != [1]:
            found = ', '.join(f'{name} {shape}' for name, shape in sorted(inputs.items()))
            raise InputError(f'{path}: not a text encoder that export wrote: its inputs are '
                             f'{found}, expected {CODES} [1, {MAX_LENGTH}]')

    def __enter__(self) -> 'OnnxTextEncoder':
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def close(self) -> None:
        """There is nothing to release; `TextEncoder` has it too."""

    def embed(
            self,
            captions: List[str],    # list of N str
    ) -> np.ndarray:
        """[N, embedding_dim] float32; a caption's embedding does not depend on the others."""
        return np.concatenate([_run(self.path, self.session, [EMBEDDINGS],
                                    {CODES: codes[np.newaxis]})[0]
                               for codes in encode_captions(captions)])


def _open_session(path: str, platform: Platform) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingRequirement(f'running {path} needs the onnxruntime package ({error}); install '
                                 'the extra `export` of pyproject.toml')
    if not os.path.exists(path):
        raise InputError(f'{path}: no such file; name an .onnx that export wrote')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(platform)
    options.add_session_config_entry('session.load_model_format', 'ONNX')
    data = read_onnx(path)                # the bytes that were checked, not the path
    try:
        return onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    except Exception as error:            # ONNX Runtime's exceptions have no common base
        raise _unusable(path, error)


def _run(path: str, session: Any, names: List[str], arrays: Arrays) -> List[np.ndarray]:
    try:
        return session.run(names, arrays)
    except Exception as error:            # for example an index out of range
        raise _unusable(path, error)


def _unusable(path: str, error: Exception) -> InputError:
    reason = ' '.join(str(error).split())[:200]
    return InputError(f'{path}: not a readable ONNX model: {reason}')


def _shapes(values: Iterable[Any]) -> Dict[str, List[Any]]:
    return {each.name: list(each.shape) for each in values}
