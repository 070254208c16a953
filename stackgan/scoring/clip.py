"""A pair of networks for images and captions, such as CLIP (Radford et al., 2021), that scores.

`score.clip` names a folder in the layout that Optimum and transformers.js write, used in place:

    image.onnx                 or vision_model.onnx: pixel_values [N, 3, S, S] to image_embeds
    text.onnx                  or text_model.onnx: input_ids [N, tokens] to text_embeds
    tokenizer.json             read by the `tokenizers` package
    preprocessor_config.json   what becomes of an image before image.onnx

The two .onnx may lie in onnx/. Needs onnxruntime and tokenizers.
"""

import os
from typing import Any, List, Tuple

import numpy as np

from stackgan.config.schema import Platform
from stackgan.data.prepared import Split
from stackgan.errors import InputError
from stackgan.file_systems import link_or_copy
from stackgan.files import atomic_write, digest_of, digest_of_file, read_json, write_json
from stackgan.integrity import is_undamaged
from stackgan.progress import Progress
from stackgan.scoring.clip_preprocessing import PREPROCESSING, read_preprocessing
from stackgan.scoring.extractor import Extractor
from stackgan.scoring.judge_fields import OPERATIONS as OF_IMAGES
from stackgan.text.sentence_model import (
    OPERATIONS,
    SentenceModel,
    Use,
    listed,
    open_model,
    open_session,
    open_tokenizer,
    unusable,
)

IMAGE_FILES = ('image.onnx', 'vision_model.onnx', 'onnx/vision_model.onnx')
TEXT_FILES = ('text.onnx', 'text_model.onnx', 'onnx/text_model.onnx')
TOKENIZER = 'tokenizer.json'
OF_CLIP = Use('score.clip', 'a network like CLIP',
              'score.clip must be a folder with image.onnx, text.onnx, tokenizer.json and '
              'preprocessor_config.json (docs/scores.md)')
IMAGE_OPERATIONS = OPERATIONS | OF_IMAGES | {'ConvInteger', 'ReduceL2'}
OF_IMAGE = ('image_embeds', 'pooler_output')     # outputs [N, D], the best first
MAX_TOKENS = 77                                  # what CLIP was trained with
CAPTIONS_AT_ONCE = 256
BLANK = np.zeros((64, 64, 3), np.uint8)
KEY, ROWS = 'key.json', 'captions.npy'


class Clip(Extractor):
    """The tower of images as an `Extractor`; `captions` opens that of captions."""

    def __init__(self, folder: str, prompt: str, platform: Platform) -> None:
        self.folder, self.prompt, self.platform = folder, prompt, platform
        self.image_file = _file_of(folder, IMAGE_FILES)
        self.text_file = _file_of(folder, TEXT_FILES)
        self.preprocessing = read_preprocessing(os.path.join(folder, PREPROCESSING), OF_CLIP.remedy)
        self.session, _ = open_session(self.image_file, platform, OF_CLIP, IMAGE_OPERATIONS)
        self.input, self.output = self._ports()
        self.classes, self.dim = 0, len(self._embed(self.prepare(BLANK)))
        digest = digest_of([_digest(os.path.join(folder, name)) for name in (
            self.image_file, self.text_file, TOKENIZER)])
        self.name = 'clip-' + digest[:8]
        self.facts = {
            'extractor': self.name, 'weights': digest, 'precision': 'float32',
            'preprocessing': f'{self.preprocessing.described}; captions after {prompt!r}'}

    def _ports(self) -> Tuple[str, str]:
        """Names of the input and of the output. Raises InputError for others than CLIP's."""
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        side = self.preprocessing.side
        shape = inputs[0].shape
        if len(inputs) != 1 or inputs[0].type != 'tensor(float)' or len(shape) != 4 or any(
                isinstance(found, int) and found != fitting
                for found, fitting in zip(shape, (1, 3, side, side))):
            found = ', '.join(f'{each.name} {each.shape} ({each.type})' for each in inputs[:4])
            raise InputError(f'{self.image_file}: its input is {found}; must be floats '
                             f'[1, 3, {side}, {side}], as {PREPROCESSING} says; {OF_CLIP.remedy}')
        ranks = {each.name: len(each.shape) for each in outputs}
        fitting = [name for name, rank in ranks.items() if rank == 2]
        named = [name for name in OF_IMAGE if name in fitting] or fitting
        if not named:
            raise InputError(f'{self.image_file}: has no embedding of an image; its outputs are '
                             f'{listed(ranks)}; {OF_CLIP.remedy}')
        return inputs[0].name, named[0]

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return self.preprocessing.cropped(pixels)

    def run(self, prepared: List[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
        rows = np.stack([self._embed(pixels) for pixels in prepared])
        return np.empty((len(rows), 0), np.float32), rows

    def _embed(self, pixels: np.ndarray) -> np.ndarray:
        """[D] float32 of one image, so that none depends on those beside it."""
        values = self.preprocessing.as_input(pixels)
        try:
            found = np.asarray(self.session.run([self.output], {self.input: values})[0], np.float32)
        except Exception as error:               # ONNX Runtime's have no common base
            raise unusable(self.image_file, OF_CLIP, error)
        if found.ndim != 2 or len(found) != 1 or not np.isfinite(found).all():
            raise InputError(f'{self.image_file}: gives {found.shape} numbers of an image, or '
                             'some that are NaN or infinite; must be [1, D]; ' + OF_CLIP.remedy)
        return found[0]

    def embed_captions(self, captions: List[str]) -> np.ndarray:
        """[N, D] float32 of captions, each after the prompt."""
        model = SentenceModel(open_model(self.text_file, self.platform, OF_CLIP), open_tokenizer(
            os.path.join(self.folder, TOKENIZER), MAX_TOKENS, OF_CLIP), 'pooler', normalised=False)
        rows = np.empty((len(captions), self.dim), np.float32)
        with Progress('captions', len(captions), 'captions') as progress:
            for start in range(0, len(captions), CAPTIONS_AT_ONCE):
                part = captions[start:start + CAPTIONS_AT_ONCE]
                found = model.embed([self.prompt + caption for caption in part])
                if found.shape != (len(part), self.dim):
                    raise InputError(f'{self.text_file}: gives {found.shape[-1]} numbers for a '
                                     f'caption, but {self.image_file} gives {self.dim} for an '
                                     f'image; {OF_CLIP.remedy}')
                rows[start:start + len(part)] = found
                progress.advance(len(part))
        return rows


class ClipCaptions:
    """The embeddings of all captions of a split, computed when the first is read.

    Kept as <folder>/<digest of the key>/{key.json,captions.npy} beside the features of images.
    """

    def __init__(
            self,
            clip: Clip,
            split: Split,
            content: str,             # digest of the prepared dataset
            folder: str,              # of all features
            earlier: List[str],       # other folders of features; whole ones there are used
    ) -> None:
        self.clip, self.split = clip, split
        self.key = {'captions': content, 'network': clip.facts}
        self.path = os.path.join(folder, digest_of(self.key), ROWS)
        self.rows: Any = None
        for other in earlier:
            found = os.path.join(other, digest_of(self.key), ROWS)
            if not os.path.exists(self.path) and self._read(found) is not None:
                self._write_key()
                link_or_copy(found, self.path)

    def read(self, row: int) -> np.ndarray:
        """[D] float32 of a caption."""
        if self.rows is None:
            self.rows = self._open()
        return self.rows[row]

    def _open(self) -> np.ndarray:
        rows = self._read(self.path)
        if rows is None:
            rows = self.clip.embed_captions([text for item in self.split.items()
                                             for text in item['captions']])
            self._write_key()
            with atomic_write(self.path) as stream:
                np.save(stream, rows, allow_pickle=False)
        return rows

    def _write_key(self) -> None:
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        write_json(os.path.join(os.path.dirname(self.path), KEY), self.key)

    def _read(self, path: str) -> Any:
        """[captions, D], or None where the file is not there, damaged or another's."""
        try:
            if read_json(os.path.join(os.path.dirname(path), KEY)) != self.key \
                    or not is_undamaged(path):
                return None
            rows = np.load(path, mmap_mode='r', allow_pickle=False)
        except (OSError, ValueError):
            return None
        expected = (int(self.split.caption_starts[-1]), self.clip.dim)
        return rows if rows.shape == expected and rows.dtype == np.float32 else None


def _file_of(folder: str, names: Tuple[str, ...]) -> str:
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise InputError(f'{folder}: {names[0]} is missing; {OF_CLIP.remedy}')


def _digest(path: str) -> str:
    try:
        return digest_of_file(path)
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror}); {OF_CLIP.remedy}')
