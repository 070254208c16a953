"""Running ONNX files that export wrote, by ONNX Runtime. Imports no TensorFlow."""

import os

import numpy as np

from stackgan.errors import InputError, MissingRequirement
from stackgan.export.onnx_check import read_onnx
from stackgan.export.ports import ModelFile, ports
from stackgan.integrity import check_file
from stackgan.platforms.cores import thread_count
from stackgan.text.alphabet import MAX_LENGTH, encode_captions

CODES, EMBEDDINGS = 'codes', 'embeddings'     # what a text encoder is given, and gives


def open_onnx(
        path,             # of a generator's .onnx
        platform,         # the `platform` section
):
    """`ModelFile`. Raises InputError where the file is none."""
    session = _open_session(path, platform)
    inputs, outputs = ports(path, _shapes(session.get_inputs()),
                            _shapes(session.get_outputs()))

    def run(arrays):
        return dict(zip(outputs, _run(path, session, list(outputs.values()), arrays)))

    return ModelFile(path, inputs, outputs, run, lambda: None)


class OnnxTextEncoder:
    """Captions to embeddings, as `text.encoder.TextEncoder`. Use as a context manager."""

    def __init__(
            self,
            path,              # of the text encoder's .onnx
            platform,          # the `platform` section
    ):
        self.path, self.session = path, _open_session(path, platform)
        check_file(path)
        inputs, outputs = [_shapes(each) for each in (self.session.get_inputs(),
                                                      self.session.get_outputs())]
        if inputs != {CODES: [1, MAX_LENGTH]} or list(outputs) != [EMBEDDINGS] \
                or outputs[EMBEDDINGS][:-1] != [1]:
            raise InputError('%s: not a text encoder that export wrote: its inputs are %s, '
                             'expected %s [1, %d]'
                             % (path, ', '.join('{} {}'.format(*item) for item in sorted(inputs.items())),
                                CODES, MAX_LENGTH))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Nothing to give back."""

    def embed(
            self,
            captions,          # list of N str
    ):
        """Embeddings: [N, embedding_dim] float32, a caption's independent of the others."""
        return np.concatenate([_run(self.path, self.session, [EMBEDDINGS],
                                    {CODES: codes[np.newaxis]})[0]
                               for codes in encode_captions(captions)])


def _open_session(path, platform):
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingRequirement(f'running {path} needs the onnxruntime package ({error}); install '
                                 f'the extra '
                                 '`export` of pyproject.toml')
    if not os.path.exists(path):
        raise InputError(f'{path}: no such file; name an .onnx that export wrote')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(platform)
    options.add_session_config_entry('session.load_model_format', 'ONNX')
    data = read_onnx(path)                # what was checked, and no path to read more from
    try:
        return onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    except Exception as error:            # its own exceptions share no other base
        raise _unusable(path, error)


def _run(path, session, names, arrays):
    try:
        return session.run(names, arrays)
    except Exception as error:            # for example an index that lies outside of its table
        raise _unusable(path, error)


def _unusable(path, error):
    return InputError('{}: not a readable ONNX model: {}'.format(path, ' '.join(str(error).split())[:200]))


def _shapes(values):
    return {each.name: list(each.shape) for each in values}
