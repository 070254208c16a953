"""The text encoder of a bundle: a char-CNN-RNN, or a sentence encoder with its tokenizer."""

import hashlib
import os
from typing import Any, Dict, Mapping, Union

from stackgan.config.schema import Platform
from stackgan.export.onnx_file import OnnxTextEncoder
from stackgan.files import write_json
from stackgan.text.options import OPTIONS, SENTENCES, read_options
from stackgan.text.sentence_encoder import SentenceEncoder

OF_SENTENCES = ('pooling', 'normalised', 'max_tokens', 'embedding_dim')      # its options


def open_encoder(path: str, platform: Platform) -> Union[OnnxTextEncoder, SentenceEncoder]:
    """The encoder in an .onnx file, or the sentence encoder in a folder."""
    return SentenceEncoder(path, platform) if os.path.isdir(path) else OnnxTextEncoder(path,
                                                                                       platform)


def write_sentence_encoder(
        folder: str,                    # made here
        model: bytes,                   # the .onnx
        tokenizer: bytes,               # tokenizer.json
        options: Mapping[str, Any],     # has OF_SENTENCES; may be anyone's
) -> str:
    """Writes the folder of a sentence encoder, as train-text-encoder describes one; returns it.

    Raises InputError or KeyError for options that none has.
    """
    os.makedirs(folder)
    digests: Dict[str, str] = {}
    for name, data in (('model.onnx', model), ('tokenizer.json', tokenizer)):
        digests[name] = hashlib.sha256(data).hexdigest()
        with open(os.path.join(folder, name), 'wb') as stream:
            stream.write(data)
    write_json(os.path.join(folder, OPTIONS), {
        'kind': SENTENCES, 'files': '.', 'model': 'model.onnx', 'digests': digests,
        **{name: options[name] for name in OF_SENTENCES}})
    read_options(folder)
    return folder
