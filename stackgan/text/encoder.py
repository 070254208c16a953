"""Use of a text encoder: captions, or all captions of a dataset, to embeddings.

    text-encoder/
        options.json        what the encoder is: kind, cell, widths, ...
        encoder/            of a trained one: the variables of both encoders, as `finishing` leaves
                            them
        weights.npz         of a published char-CNN-RNN, as `published` converts it

(Of the skip-thought encoder and of a sentence encoder there is options.json alone: see
`skip_thought` and `sentence_encoder`.)

Over the training captions each dimension of a trained encoder's embedding has mean 0 and
variance 1. So the GAN, whose first layer starts from small fixed weights, gets numbers of the same
size whatever the training came to. Published encoders give the embeddings they always gave.
"""

import json
import logging
import os
import shutil
from contextlib import ExitStack
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar, Union

import numpy as np
import tensorflow.compat.v1 as tf

from stackgan.checkpoints import Checkpoints, restore
from stackgan.data.prepared import SPLITS, ArrayFile, Split, open_dataset
from stackgan.errors import InputError
from stackgan.file_systems import link_or_copy
from stackgan.files import atomic_write, digest_of_file, write_json
from stackgan.networks.layers import TESTING
from stackgan.platforms.parts import ALONE, Parts, part_path
from stackgan.platforms.session import on_host, open_session, without_16_bits
from stackgan.progress import Progress
from stackgan.read_variables import ReadVariables, Restorer
from stackgan.text import char_cnn_rnn, image_encoder
from stackgan.text.alphabet import MAX_LENGTH, encode_captions, faults_of_captions
from stackgan.text.image_encoder import SIZE, as_floats
from stackgan.text.npz import Archive
from stackgan.text.options import SENTENCES, SKIP_THOUGHT, read_options
from stackgan.text.sentence_encoder import SentenceEncoder
from stackgan.text.skip_thought import SkipThought

logger = logging.getLogger(__name__)

ENCODER = 'encoder'
BATCH = 64             # rows a run, always: a row's bits then do not depend on the others
This = TypeVar('This', bound='_Encoder')
Fill = Callable[[Any], None]       # (session): fills the variables


class _Encoder:
    """One of the two networks in a finished folder, in float32, with a session of its own."""

    def __init__(
            self,
            folder: str,         # of the text encoder
            platform: Any,       # the `platform` section
            checkpoint: Optional[str] = None,      # folder of other variables than encoder/
    ) -> None:
        self.options = read_options(folder)
        graph = tf.Graph()
        with graph.as_default():
            self._variables = ReadVariables()
            with tf.variable_scope(tf.get_variable_scope(), custom_getter=self._variables):
                self._input, self._output = self._build()
            fill = (_from_archive(folder, self.options['weights'], self._variables)
                    if 'weights' in self.options
                    else _from_checkpoint(folder, checkpoint, self._variables))
            self.session = open_session(on_host(without_16_bits(platform)), graph)
            fill(self.session)

    def _build(self) -> Tuple[tf.Tensor, tf.Tensor]:
        """(placeholder of the rows, features)."""
        raise NotImplementedError

    def __enter__(self: This) -> This:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        self.session.close()

    def variables(self) -> Dict[str, np.ndarray]:
        """{name: value} of all variables."""
        return self.session.run(self._variables.values())

    def _run(self, rows: np.ndarray) -> np.ndarray:
        """Features of any number of rows: [N, embedding_dim] float32."""
        features = np.empty((len(rows), self.options['embedding_dim']), np.float32)
        for start in range(0, len(rows), BATCH):
            part = rows[start:start + BATCH]
            padded = np.zeros((BATCH,) + rows.shape[1:], rows.dtype)
            padded[:len(part)] = part
            done = self.session.run(self._output, {self._input: padded})
            features[start:start + BATCH] = done[:len(part)]
        return features


class TextEncoder(_Encoder):
    """Captions to embeddings. Closes its session at the end of a `with` block."""

    SCOPE = char_cnn_rnn.SCOPE
    AT_ONCE = BATCH            # captions that `embed_dataset` hands over at once

    def faults(self, captions: Sequence[str]) -> List[str]:
        """One line for each thing that keeps the encoder from reading all of all captions."""
        return faults_of_captions(captions)

    def _build(self) -> Tuple[tf.Tensor, tf.Tensor]:
        codes = tf.placeholder(tf.uint8, [BATCH, MAX_LENGTH], 'codes')
        return codes, char_cnn_rnn.text_encoder(
            codes, self.options['cell'], self.options['filters'], self.options['embedding_dim'],
            is_trained=False)

    def embed(self, captions: Sequence[str]) -> np.ndarray:
        """Embeddings: [N, embedding_dim] float32, a caption's independent of the others.

        Captions that `alphabet.faults_of_captions` tells of are embedded like any other.
        """
        return self._run(encode_captions(captions))


class ImageEncoder(_Encoder):
    """Images to vectors comparable with embeddings: by their cosine."""

    SCOPE = image_encoder.SCOPE

    def _build(self) -> Tuple[tf.Tensor, tf.Tensor]:
        images = tf.placeholder(tf.uint8, [BATCH, SIZE, SIZE, 3], 'images')
        return images, image_encoder.image_encoder(as_floats(images), self.options, TESTING)

    def embed(
            self,
            images: np.ndarray,      # [N, 64, 64, 3] uint8
    ) -> np.ndarray:
        """Image features: [N, embedding_dim] float32."""
        return self._run(images)


def open_text_encoder(
        folder: str,           # a finished text encoder of any kind
        platform: Any,         # the `platform` section
) -> Union[TextEncoder, SkipThought, SentenceEncoder]:
    """The encoder, with `options`, `embed(captions)` and `faults(captions)`, for a `with` block."""
    kind = read_options(folder)['kind']
    if kind == SKIP_THOUGHT:
        return SkipThought(folder)
    if kind == SENTENCES:
        return SentenceEncoder(folder, platform)
    return TextEncoder(folder, platform)


def _from_checkpoint(folder: str, checkpoint: Optional[str], variables: ReadVariables) -> Fill:
    """Fills the variables from a checkpoint; None: the finished one."""
    path = checkpoint or Checkpoints(os.path.join(folder, ENCODER), keep=None).last()
    if path is None:
        raise InputError(f'{folder}: not a finished text encoder; run train-text-encoder')
    restorer = Restorer(variables.made)
    return lambda session: restore(session, restorer, variables.made, path, is_part=True)


def _from_archive(folder: str, weights: Dict[str, str], variables: ReadVariables) -> Fill:
    """Fills the variables from a converted encoder's archive, which must be as it was."""
    path = os.path.join(folder, weights['file'])        # a plain name: see `read_options`
    try:
        digest = digest_of_file(path)
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror}); run train-text-encoder '
                         '--force')
    if digest != weights['sha256']:
        raise InputError(f'{path}: has changed since it was converted; run train-text-encoder '
                         '--force')
    with Archive(path) as archive:
        values = {name: archive.read(name[len(char_cnn_rnn.SCOPE) + 1:]) for name in variables.made}
    return lambda session: variables.load(session, values)


def embed_dataset(
        prepared_folder: str,      # of the dataset
        encoder_folder: str,       # a finished text encoder
        out_folder: str,           # gets embed.json, train.npy and test.npy: [captions, D] float32
        platform: Any,             # the `platform` section
        parts: Parts = ALONE,    # of several workers: worker 0 puts the parts of all together
) -> None:
    """Embeds every caption, in the order of `Split.caption_starts`. Memory stays bounded."""
    parts.begin()
    dataset = open_dataset(prepared_folder)
    splits = {name: Split(dataset, name) for name in SPLITS}
    total = sum(int(split.caption_starts[-1]) for split in splits.values())
    paths = [os.path.join(out_folder, name + '.npy') for name in SPLITS]
    with open_text_encoder(encoder_folder, platform) as encoder, ExitStack() as opened, \
            Progress('embed', total, 'captions') as progress:
        dim = encoder.options['embedding_dim']
        # Worker 0, which has the first rows, leaves its files open: those of the others follow.
        streams = [opened.enter_context(atomic_write(path) if parts.rank == 0 else
                                        open(part_path(path, parts.rank), 'wb')) for path in paths]
        for split, stream in zip(splits.values(), streams):
            if parts.rank == 0:
                np.lib.format.write_array_header_1_0(stream, {
                    'descr': '<f4', 'fortran_order': False,
                    'shape': (int(split.caption_starts[-1]), dim)})
            _embed_split(split, encoder, stream, parts, progress)
        if parts.rank:
            opened.close()                     # before worker 0 reads it
        parts.finish()
        if parts.rank == 0:
            for path, stream in zip(paths, streams):
                for rank in range(1, parts.size):
                    _move_part(part_path(path, rank), stream)
    if parts.rank == 0:
        _describe(out_folder, dim, encoder.options['kind'])
        logger.info(f'{total} captions as embeddings of {dim} numbers')


def _embed_split(split: Split, encoder: Union[TextEncoder, SkipThought, SentenceEncoder],
                 stream: Any, parts: Parts, progress: Progress) -> None:
    """Writes the rows of this worker's captions."""
    rows, read = int(split.caption_starts[-1]), 0
    own = parts.share(-(-rows // encoder.AT_ONCE))
    for number, captions in enumerate(_caption_batches(split.folder, encoder.AT_ONCE)):
        read += len(captions)
        if number in own:
            stream.write(encoder.embed(captions).astype('<f4').tobytes())
            parts.advance()
        progress.advance(len(captions))
    if read != rows:
        raise InputError(f'{split.folder}: items.jsonl holds {read} captions, '
                         f'caption_counts.npy {rows}; run preprocess --force')


def _move_part(path: str, stream: Any) -> None:
    """Moves a worker's rows to the end of what is there."""
    with open(path, 'rb') as part:
        shutil.copyfileobj(part, stream)
    os.unlink(path)


def _caption_batches(folder: str, size: int) -> Iterator[List[str]]:
    """Lists of up to `size` captions of a split, read as they are needed."""
    batch: List[str] = []
    with open(os.path.join(folder, 'items.jsonl'), encoding='utf-8') as stream:
        for line in stream:
            for caption in json.loads(line)['captions']:
                batch.append(caption)
                if len(batch) == size:
                    yield batch
                    batch = []
    if batch:
        yield batch


def link_precomputed_embeddings(
        prepared_folder: str,      # of a dataset that came with embeddings
        out_folder: str,           # gets train.npy, test.npy and embed.json, as `embed_dataset`
        embedding_dim: int,        # that the networks are made for
) -> None:
    """Hands on the embeddings of the dataset: hard links, or copies where links cannot be."""
    dataset = open_dataset(prepared_folder)
    if dataset.embedding_dim != embedding_dim:
        raise InputError(f'{prepared_folder}: its embeddings have {dataset.embedding_dim} numbers, '
                         f'but model.embedding_dim is {embedding_dim}; use '
                         f'--set model.embedding_dim={dataset.embedding_dim}')
    for name in SPLITS:
        split = Split(dataset, name)
        source = os.path.join(split.folder, 'embeddings.npy')
        shape, wanted = ArrayFile(source).shape, (split.caption_starts[-1], dataset.embedding_dim)
        if shape != wanted:
            raise InputError(f'{source}: shape {shape}, expected '
                             f'{tuple(int(size) for size in wanted)}; run preprocess --force')
        target = os.path.join(out_folder, name + '.npy')
        if os.path.exists(target):                  # left by a job that was interrupted
            os.unlink(target)
        link_or_copy(source, target)
    _describe(out_folder, dataset.embedding_dim, 'brought')


def _describe(out_folder: str, dim: int, source: str) -> None:
    write_json(os.path.join(out_folder, 'embed.json'), {'embedding_dim': dim, 'source': source})
