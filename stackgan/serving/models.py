"""Generates with the models of runs, which are loaded when they are first requested.

Runs in the worker only. TensorFlow is loaded only for a run that generates from a checkpoint.
"""

import io
import json
import logging
import os
from collections import OrderedDict
from typing import Any, List, NamedTuple, cast

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stackgan.config.schema import Platform
from stackgan.errors import StackganError
from stackgan.export.model_file import ModelSampler
from stackgan.export.onnx_file import OnnxTextEncoder
from stackgan.sampling.interpolation import lerp
from stackgan.sampling.sample_request import ImageSampler, NoiseSource, SampleRequest, Truncation
from stackgan.serving.generate_request import GenerateRequest, Variant
from stackgan.serving.refusals import Refusal
from stackgan.serving.runs import Run
from stackgan.text.alphabet import MAX_LENGTH, encode_captions, faults_of_captions, has_word
from stackgan.text.options import CHAR_CNN_RNN, SENTENCES, SKIP_THOUGHT
from stackgan.text.sentence_encoder import SentenceEncoder
from stackgan.text.skip_thought import SkipThought

logger = logging.getLogger(__name__)


class GeneratedFiles(NamedTuple):
    """The result of a request."""

    images: List[List[bytes]]   # of each copy: PNG of Stage-I, PNG of Stage-II
    notices: List[str]          # what the encoder could not read, a sentence each


class _Models(NamedTuple):
    digest: str                 # of the run they were loaded from
    encoder: Any                # .embed(captions), .close()
    sampler: ImageSampler


class Models:
    """The models of the most recently requested runs. For one thread."""

    def __init__(
            self,
            platform: Platform,
            keep: int,  # runs whose models stay loaded
    ) -> None:
        self.platform = platform
        self._keep = keep
        self._loaded: 'OrderedDict[str, _Models]' = OrderedDict()     # least recently used first

    def generate(self, run: Run, request: GenerateRequest) -> GeneratedFiles:
        """The images that `sample` generates with the same seed. Raises Refusal."""
        captions = [request.caption] + ([] if request.other_caption is None
                                        else [request.other_caption])
        for caption in captions:
            _refuse_without_words(run, caption)
        try:
            models = self._open(run)
            notices = ([notice for caption in captions for notice in _notices(caption)]
                       if run.encoder_kind == CHAR_CNN_RNN else models.encoder.faults(captions))
            ends = models.encoder.embed(captions)
            variants, truncation = request.variants(), Truncation(request.truncation)
            # As `sample` interpolates: the noise stays that of the first caption.
            requests = [SampleRequest(request.caption, lerp(ends[0], ends[-1], each.position),
                                      each.copy, {}) for each in variants]
            generated = models.sampler.generate(requests, [
                NoiseSource(each.seed, truncation, request.other_seed, each.position)
                for each in variants])
            return GeneratedFiles([[_png(generated[side][row], run, request, each)
                                    for side in sorted(generated)]
                                   for row, each in enumerate(variants)],
                                  list(dict.fromkeys(notices)))
        except Exception as error:        # its files change, are damaged, or malicious
            self._forget(run)
            reason = ' '.join(str(error).split()) or type(error).__name__
            logger.info(f'run {run.name} cannot generate images: {reason}')
            raise Refusal(503, f'The run {run.name} cannot generate images right now; see the log '
                               f'of the server', 30)

    def _forget(self, run: Run) -> None:
        models = self._loaded.pop(run.name, None)
        if models:
            _close(models)

    def _open(self, run: Run) -> _Models:
        models = self._loaded.pop(run.name, None)
        if models and models.digest != run.digest:
            _close(models)
            models = None
        if models is None:
            while len(self._loaded) >= self._keep:
                _close(self._loaded.popitem(last=False)[1])
            models = _open_models(run, self.platform)
            logger.info(f'loaded {run.name}: {models.sampler.label}')
        self._loaded[run.name] = models
        return models


def load_libraries(run: Run, platform: Platform) -> None:
    """Imports what a run needs. Missing packages are reported by the first request."""
    try:
        if run.model is None:
            _load_tensorflow(platform)
        import onnxruntime  # noqa: F401
    except (ImportError, StackganError):
        pass


def _open_models(run: Run, platform: Platform) -> _Models:
    encoder = open_encoder(run, platform)
    try:
        return _Models(run.digest, encoder, open_sampler(run, platform))
    except BaseException:
        encoder.close()
        raise


def open_encoder(run: Run, platform: Platform) -> Any:
    """The text encoder of a run: `.embed(captions)` and `.close()`."""
    path = cast(str, run.encoder)               # a run that can generate has one
    if os.path.isfile(path):
        return OnnxTextEncoder(path, platform)
    if run.encoder_kind == SKIP_THOUGHT:
        return SkipThought(path)
    if run.encoder_kind == SENTENCES:
        return SentenceEncoder(path, platform)
    _load_tensorflow(platform)
    from stackgan.text.encoder import TextEncoder
    return TextEncoder(path, platform)


def open_sampler(run: Run, platform: Platform) -> ImageSampler:
    """The generators of a run."""
    if run.model:
        return ModelSampler(run.model, platform)
    _load_tensorflow(platform)
    from stackgan.sampling.sampler import Sampler
    return Sampler(cast(str, run.stage_folder), run.checkpoint or 'last', 1, platform)


def _load_tensorflow(platform: Platform) -> None:
    from stackgan.platforms.cores import load_tensorflow
    load_tensorflow(platform)


def _close(models: _Models) -> None:
    models.encoder.close()
    models.sampler.__exit__(None, None, None)


def _refuse_without_words(run: Run, caption: str) -> None:
    """Raises Refusal for a caption in which the char-CNN-RNN can read nothing."""
    if run.encoder_kind == CHAR_CNN_RNN and not has_word(encode_captions([caption])[0]):
        raise Refusal(400, 'The text encoder reads Latin letters and digits, and finds none in '
                           'this caption; describe the image with them')


def _notices(caption: str) -> List[str]:
    """What the char-CNN-RNN ignores in a caption."""
    codes, = encode_captions([caption])
    notices = []
    if faults_of_captions([caption]):
        notices.append(f'Only the first {MAX_LENGTH} characters are read.')
    if not codes[:min(len(caption.encode('utf-8')), MAX_LENGTH)].all():
        notices.append('Some characters are unknown to the text encoder and are passed over.')
    return notices


def _png(pixels: np.ndarray, run: Run, request: GenerateRequest, variant: Variant) -> bytes:
    """A PNG whose text says how to generate it again."""
    facts = dict(request.more(), run=run.name, caption=request.caption, **variant._asdict())
    stream, texts = io.BytesIO(), PngInfo()
    texts.add_itxt('Description', request.caption)
    texts.add_itxt('Software', 'StackGAN')
    texts.add_itxt('stackgan', json.dumps(facts, sort_keys=True))
    Image.fromarray(pixels).save(stream, 'PNG', pnginfo=texts)
    return stream.getvalue()
