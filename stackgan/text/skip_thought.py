"""The skip-thought encoder (Kiros et al., 2015) from its published files, in NumPy alone.

    dictionary.txt                 a word a line, in the order of the tables' rows
    utable.npy, btable.npy         (words, 620): vectors of the words, for uni and bi
    uni_skip.npz, bi_skip.npz      weights of the recurrent parts, and their options as .npz.pkl

An embedding is [uni 2400 | bi forwards 1200 | bi backwards 1200]: last states of a GRU each, with
the uni half and the bi half of length 1. Sizes follow from the files, which are used in place; the
tables, 2.3 GB each, stay on disk. The folder of the text encoder holds options.json alone, with the
path of the files and their digests.
"""

import hashlib
import logging
import os
import warnings
from typing import Any, Dict, List, Sequence

import numpy as np

from stackgan.data.prepared import ArrayFile
from stackgan.data.safe_pickle import load_pickle
from stackgan.errors import InputError
from stackgan.files import digest_of_file, open_regular, write_json
from stackgan.text.gru import Gru, schedule
from stackgan.text.npz import Archive, read_header
from stackgan.text.options import OPTIONS, SKIP_THOUGHT, read_options
from stackgan.text.published import check_embedding_dim
from stackgan.text.words import words_of
from stackgan.text_files import UnreadableText, read_text

logger = logging.getLogger(__name__)

TABLES = ('utable.npy', 'btable.npy')
WEIGHTS = ('uni_skip.npz', 'bi_skip.npz')
DICTIONARY = 'dictionary.txt'
UNKNOWN = 'UNK'                  # the word that stands for all others
MAX_DICTIONARY_BYTES = 256 << 20
SAMPLES, SAMPLE_BYTES = 64, 1 << 16    # parts of a table that its digest covers


def describe_skip_thought(
        path: str,             # folder of the published files
        place: str,            # how options.json names it: absolute, or relative to `folder`
        folder: str,           # gets options.json
        embedding_dim: int,    # that the configuration asks for
) -> None:
    """Checks the published files and records them for `SkipThought`. Raises InputError."""
    missing = [name for name in (DICTIONARY,) + TABLES + WEIGHTS
               if not os.path.isfile(os.path.join(path, name))]
    if missing:
        raise InputError(f'{path}: {", ".join(missing)} missing; the skip-thought encoder is '
                         'dictionary.txt, utable.npy, btable.npy, uni_skip.npz and bi_skip.npz of '
                         'ryankiros/skip-thoughts')
    model = _Model(path)
    for name, gru in zip(WEIGHTS, (model.uni, model.forwards)):
        _check_options(os.path.join(path, name + '.pkl'), gru)
    check_embedding_dim(path, model.embedding_dim, embedding_dim)
    write_json(os.path.join(folder, OPTIONS), {
        'kind': SKIP_THOUGHT, 'files': place, 'embedding_dim': embedding_dim,
        'words': len(model.rows), 'digests': _digests(path)})
    logger.info(f'nothing is trained: the skip-thought encoder in {path}, {len(model.rows)} words, '
                f'embeddings of {embedding_dim} numbers')


class SkipThought:
    """Captions to embeddings, as `TextEncoder`."""

    AT_ONCE = 2048             # captions that `embed_dataset` hands over at once

    def __init__(self, folder: str) -> None:
        self.options = read_options(folder)
        path = os.path.normpath(os.path.join(folder, self.options['files']))
        if _digests(path) != self.options['digests']:
            raise InputError(f'{path}: the files have changed since train-text-encoder looked at '
                             'them; run it again with --force')
        self.model = _Model(path)

    def __enter__(self) -> 'SkipThought':
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to give back."""

    def embed(self, captions: Sequence[str]) -> np.ndarray:
        """Embeddings: [N, embedding_dim] float32, a caption's independent of the others."""
        words = [tuple(self._words(caption)) for caption in captions]
        different = {each: row for row, each in enumerate(dict.fromkeys(words))}
        if not different:
            return np.empty((0, self.model.embedding_dim), np.float32)
        return self.model.encode(list(different))[[different[each] for each in words]]

    def faults(self, captions: Sequence[str]) -> List[str]:
        """One line for each thing that keeps the encoder from reading all of all captions."""
        words = [word for caption in captions for word in words_of(caption)]
        unread = [word for word in words if word not in self.model.rows]
        unknown = sorted(set(unread))
        if not unknown:
            return []
        return [f'{len(unread)} of {len(words)} words of the captions are not in the dictionary '
                f'and read as {UNKNOWN}, e.g. {", ".join(unknown[:5])}']

    def _words(self, caption: str) -> List[int]:
        rows = self.model.rows
        numbers = [rows.get(word, rows[UNKNOWN]) for word in words_of(caption)]
        if not numbers:
            raise InputError(f'the caption {caption!r} has no word; the skip-thought encoder needs '
                             'one')
        return numbers


class _Model:
    """The published files: rows of words in tables on disk, and three recurrent parts."""

    def __init__(self, path: str) -> None:
        self.rows = _read_dictionary(os.path.join(path, DICTIONARY))
        self.tables = [_open_table(os.path.join(path, name), len(self.rows.all))
                       for name in TABLES]
        with Archive(os.path.join(path, WEIGHTS[0])) as archive:
            self.uni = Gru(archive, 'encoder', self.tables[0])
        with Archive(os.path.join(path, WEIGHTS[1])) as archive:
            self.forwards, self.backwards = [Gru(archive, prefix, self.tables[1])
                                             for prefix in ('encoder', 'encoder_r')]
        self.embedding_dim = self.uni.size + self.forwards.size + self.backwards.size

    def encode(
            self,
            captions: Sequence[Sequence[int]],     # rows of words, one or more each; all different
    ) -> np.ndarray:
        """[N, embedding_dim] float32."""
        order = schedule(captions)
        used = np.unique(order.words)
        u, b = [np.stack([table.read(int(row)) for row in used]).astype(np.float32)
                for table in self.tables]
        words, reverse = [np.searchsorted(used, each) for each in (order.words, order.backwards)]
        both = np.concatenate([self.forwards.last_states(words, b, order),
                               self.backwards.last_states(reverse, b, order)], 1)
        return np.concatenate([_unit(self.uni.last_states(words, u, order)), _unit(both)], 1)


class _Rows(dict):
    """{word: row}; a word that is there twice has the last row. `all`: the words of all rows."""

    def __init__(self, words: List[str]) -> None:
        super().__init__((word, row) for row, word in enumerate(words))
        self.all = words


def _read_dictionary(path: str) -> _Rows:
    try:
        found = read_text(path, MAX_DICTIONARY_BYTES)
    except UnreadableText as error:
        raise InputError(f'{path}: not a list of words (it {error.reason})')
    if not found.is_whole:
        raise InputError(f'{path}: not a list of words in UTF-8')
    lines = found.text.split('\n')                      # a row of each table a line
    rows = _Rows([line.strip() for line in (lines if lines[-1] else lines[:-1])])
    if UNKNOWN not in rows:
        raise InputError(f'{path}: the word {UNKNOWN}, which stands for all unknown ones, is '
                         'missing')
    return rows


def _open_table(path: str, words: int) -> ArrayFile:
    """ArrayFile of a table. Its rows are read one by one: it takes no memory."""
    try:
        with warnings.catch_warnings():          # that Python 2 wrote it
            warnings.simplefilter('ignore', UserWarning)
            with open_regular(path) as stream:
                read_header(stream)
            array = np.load(path, mmap_mode='r', allow_pickle=False)
            file = ArrayFile(path)
    except Exception as error:           # a damaged file can raise nearly anything
        reason = ' '.join(str(error).split())[:200]
        raise InputError(f'{path}: not a readable array ({reason}); fetch it again')
    if array.ndim != 2 or array.dtype.kind != 'f' or not array.flags.c_contiguous:
        raise InputError(f'{path}: {array.dtype} of shape {array.shape}; expected rows of numbers')
    if len(array) != words:
        raise InputError(f'{path}: {len(array)} rows for the {words} words of dictionary.txt; the '
                         'files are not of one encoder')
    return file


def _check_options(path: str, gru: Gru) -> None:
    """Compares what the options say with the sizes of the arrays."""
    try:
        options = load_pickle(path)
    except InputError as error:
        return logger.info(f'{error}. The sizes are read off the arrays')
    for key, found in (('dim_word', gru.inputs), ('dim', gru.size)):
        told = options.get(key, found) if isinstance(options, dict) else found
        if not isinstance(told, (int, float, np.number)) or told != found:
            shown = told if isinstance(told, int) else f'a {type(told).__name__}'
            raise InputError(f'{path}: {key} is {shown}, but the arrays beside it have {found}')


def _digests(path: str) -> Dict[str, str]:
    """{file: digest}; of a table of its size and of parts all over it."""
    try:
        return {name: _sampled_digest(os.path.join(path, name)) if name in TABLES
                else digest_of_file(os.path.join(path, name))
                for name in (DICTIONARY,) + TABLES + WEIGHTS}
    except OSError as error:
        raise InputError(f'{error.filename or path}: cannot be read ({error.strerror}); put the '
                         'files of the skip-thought encoder back, or name their folder with '
                         'text.weights and run train-text-encoder')


def _sampled_digest(path: str) -> str:
    size = os.path.getsize(path)
    digest = hashlib.sha256(str(size).encode())
    with open(path, 'rb') as stream:
        for start in np.linspace(0, max(size - SAMPLE_BYTES, 0), SAMPLES).astype(np.int64):
            stream.seek(int(start))
            digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
