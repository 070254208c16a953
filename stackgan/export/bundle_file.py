"""A bundle: one zip with everything that generating from sentences needs. Imports no TensorFlow.

    <name>/generate.py             needs NumPy, Pillow and onnxruntime alone
    <name>/requirements.txt
    <name>/README.md               the model card
    <name>/bundle.json             the same facts for programs
    <name>/generators.onnx         one or both generators
    <name>/text-encoder.onnx       and, of a sentence encoder, text-encoder-tokenizer.json, licences
    <name>/weights.safetensors     generators and text encoder (kind full alone)
    <name>/samples/0.png ...       JPEG in a small one
    <name>/SHA256SUMS              of all others

Bundles may come from anyone: sizes are limited before anything is read, nothing is unpacked but the
files named here, and each must have the digest in SHA256SUMS.
"""

import hashlib
import os
import re
import zipfile
import zlib
from contextlib import contextmanager
from typing import Any, Dict, Iterator, NamedTuple

from stackgan.errors import InputError
from stackgan.export.bundle_encoder import write_sentence_encoder
from stackgan.files import atomic_write, parse_json
from stackgan.plain_names import require_plain
from stackgan.text.options import CHAR_CNN_RNN, SENTENCES

FORM = 1                            # of bundle.json
GENERATORS, TEXT_ENCODER = 'generators.onnx', 'text-encoder.onnx'
TOKENIZER = 'text-encoder-tokenizer.json'           # of a sentence encoder
FACTS, SUMS = 'bundle.json', 'SHA256SUMS'
MAX_MODEL_BYTES = 1 << 30           # of one model; one of the paper's size has 162 MB
MAX_TOKENIZER_BYTES = 128 << 20
MAX_TEXT_BYTES = 1 << 20            # of bundle.json, and of SHA256SUMS
MAX_ENTRIES = 1000
EARLIEST = (1980, 1, 1, 0, 0, 0)    # the first time that a zip can record
LINE = re.compile(r'([0-9a-f]{64})  ([\w./-]+)')
REMEDY = 'name a .zip that export --bundle wrote'


class Bundle(NamedTuple):
    """A bundle whose models have been unpacked."""

    name: str
    stage: int                  # 1 or 2
    digest: str                 # of both models
    generators: str             # path of the .onnx
    text_encoder: str           # path of the .onnx; of a sentence encoder, its folder
    facts: Dict[str, Any]       # bundle.json


def write_bundle(
        path: str,                  # of the zip
        name: str,                  # of the folder in it
        files: Dict[str, bytes],    # {path in that folder: content}
        is_compressed: bool = False,
) -> None:
    """Writes the zip with its SHA256SUMS. The same files give the same bytes.

    Compressed it is about a tenth smaller, and its bytes depend on the version of zlib.
    """
    sums = ''.join(f'{hashlib.sha256(data).hexdigest()}  {each}\n'
                   for each, data in sorted(files.items()))
    with atomic_write(path) as stream, zipfile.ZipFile(stream, 'w') as archive:
        for each, data in [*sorted(files.items()), (SUMS, sums.encode('ascii'))]:
            entry = zipfile.ZipInfo(f'{name}/{each}', EARLIEST)
            entry.create_system = 3                       # Unix, on every system
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED
            archive.writestr(entry, data)


def open_bundle(
        path: str,      # of the zip
        folder: str,    # gets both models; the caller removes it
) -> Bundle:
    """Unpacks the models of a bundle. Raises InputError for anything that is not a bundle."""
    with _opened(path) as found:
        facts, paths = found.facts(), {}
        digests = found.sums[GENERATORS] + found.sums[TEXT_ENCODER]
        names = [GENERATORS, TEXT_ENCODER]
        if facts['encoder'] == SENTENCES:
            digests += found.sums[TOKENIZER]
            paths[names.pop()] = write_sentence_encoder(
                os.path.join(folder, 'text-encoder'), found.read(TEXT_ENCODER, MAX_MODEL_BYTES),
                found.read(TOKENIZER, MAX_TOKENIZER_BYTES), facts['sentences'])
        for name in names:
            paths[name] = os.path.join(folder, name)
            with open(paths[name], 'wb') as stream:
                stream.write(found.read(name, MAX_MODEL_BYTES))
    digest = hashlib.sha256(digests.encode('ascii')).hexdigest()
    return Bundle(facts['name'], facts['stage'], digest, paths[GENERATORS], paths[TEXT_ENCODER],
                  facts)


def read_facts(
        path: str,      # of the zip
) -> Dict[str, Any]:
    """bundle.json. Raises InputError for anything that is not a bundle."""
    with _opened(path) as found:
        return found.facts()


@contextmanager
def _opened(path: str) -> Iterator['_Archive']:
    """Errors of zipfile, and those of wrong values, become InputError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield _Archive(archive)
    except FileNotFoundError:
        raise InputError(f'{path}: no such file; {REMEDY}')
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror or error}; {REMEDY}')
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, NotImplementedError,
            RuntimeError, EOFError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise InputError(f'{path}: not a bundle, or a damaged one: {reason}; {REMEDY}')


class _Archive:
    """A zip whose files have the digests in its SHA256SUMS. Raises ValueError and others."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        names = archive.namelist()
        if not 0 < len(names) <= MAX_ENTRIES:
            raise ValueError(f'it has {len(names)} entries')
        self._archive, self._top = archive, require_plain(names[0].partition('/')[0])
        lines = self._bytes(SUMS, MAX_TEXT_BYTES).decode('ascii').splitlines()
        self.sums = {found.group(2): found.group(1) for found in map(LINE.fullmatch, lines)
                     if found}

    def read(self, name: str, maximum: int) -> bytes:
        data = self._bytes(name, maximum)
        if hashlib.sha256(data).hexdigest() != self.sums.get(name):
            raise ValueError(f'{name} does not have the digest in {SUMS}')
        return data

    def _bytes(self, name: str, maximum: int) -> bytes:
        entry = self._archive.getinfo(f'{self._top}/{name}')
        with self._archive.open(entry) as stream:
            data = stream.read(maximum + 1) if entry.file_size <= maximum else b''
        if entry.file_size > maximum or len(data) > maximum:
            raise ValueError(f'{name} has more than {maximum} bytes')
        return data

    def facts(self) -> Dict[str, Any]:
        return _checked(parse_json(self.read(FACTS, MAX_TEXT_BYTES).decode('utf-8'), strict=True))


def _checked(facts: Any) -> Dict[str, Any]:
    """bundle.json. Raises ValueError, KeyError or TypeError."""
    if facts['form'] != FORM:
        raise ValueError(f'{FACTS} has form {str(facts["form"])[:20]}, expected {FORM}')
    require_plain(facts['name'])
    if type(facts['stage']) is not int or facts['stage'] not in (1, 2):
        raise ValueError(f'{FACTS} has another stage')
    if facts['encoder'] not in (CHAR_CNN_RNN, SENTENCES):
        raise ValueError(f'its text encoder is a {str(facts["encoder"])[:40]}, which this version '
                         'does not know')
    return facts
