"""Drawing with the models of runs, which are loaded when they are first asked for.

In the worker alone. TensorFlow is loaded only for a run that is drawn by its checkpoint.
"""

import io
import os
from collections import OrderedDict
from typing import Any, NamedTuple

from PIL import Image

from stackgan.errors import StackganError
from stackgan.export.model_file import ModelSampler
from stackgan.export.onnx_file import OnnxTextEncoder
from stackgan.sampling.wanted import Wanted
from stackgan.serving.refusals import Refusal
from stackgan.text.alphabet import MAX_LENGTH, encode_captions, faults_of_captions, has_word
from stackgan.text.options import CHAR_CNN_RNN, SKIP_THOUGHT
from stackgan.text.skip_thought import SkipThought


class DrawnFiles(NamedTuple):
    """What came of a request."""

    pictures: list      # of each copy: [PNG of Stage-I, PNG of Stage-II], bytes
    notices: list       # what the encoder could not read, a sentence each


class _Models(NamedTuple):
    digest: str         # of the run they were loaded from
    encoder: Any        # .embed(captions), .close()
    sampler: Any        # .draw(wanted, seed), context manager


class Models:
    """The models of the runs asked for last. For one thread."""

    def __init__(
            self,
            platform,         # the `platform` section
            keep,             # runs whose models stay loaded
            say,              # prints a line
    ):
        self.platform = platform
        self._keep, self._say = keep, say
        self._loaded = OrderedDict()

    def draw(
            self,
            run,              # Run
            asked,            # Asked
    ):
        """`DrawnFiles`: the pictures of `sample` with the same seed. Raises Refusal."""
        _refuse_without_words(run, asked.caption)
        try:
            models = self._open(run)
            notices = (_notices(asked.caption) if run.encoder_kind == CHAR_CNN_RNN
                       else models.encoder.faults([asked.caption]))
            embedding, = models.encoder.embed([asked.caption])
            wanted = [Wanted(asked.caption, embedding, copy, {}) for copy in range(asked.count)]
            drawn = models.sampler.draw(wanted, asked.seed)
            return DrawnFiles([[_png(drawn[side][copy]) for side in sorted(drawn)]
                               for copy in range(asked.count)], notices)
        except Exception as error:        # its files change, are damaged, or anyone's
            self._forget(run)
            self._say('run %s cannot be drawn with: %s'
                      % (run.name, ' '.join(str(error).split()) or type(error).__name__))
            raise Refusal(503, 'The run %s cannot be drawn with at the moment; its owner finds the '
                          'reason in the log' % run.name, 30)

    def _forget(self, run):
        models = self._loaded.pop(run.name, None)
        if models:
            _close(models)

    def _open(self, run):
        models = self._loaded.pop(run.name, None)
        if models and models.digest != run.digest:
            _close(models)
            models = None
        if models is None:
            while len(self._loaded) >= self._keep:
                _close(self._loaded.popitem(last=False)[1])
            models = _open_models(run, self.platform)
            self._say('loaded %s: %s' % (run.name, models.sampler.label))
        self._loaded[run.name] = models
        return models


def load_libraries(
        run,              # Run
        platform,         # the `platform` section
):
    """Imports what draws with a run. What is missing is told when it is drawn with."""
    try:
        if run.model is None:
            _load_tensorflow(platform)
        import onnxruntime    # noqa: F401
    except (ImportError, StackganError):
        pass


def _open_models(run, platform):
    encoder = open_encoder(run, platform)
    try:
        return _Models(run.digest, encoder, open_sampler(run, platform))
    except BaseException:
        encoder.close()
        raise


def open_encoder(
        run,              # Run
        platform,         # the `platform` section
):
    """The text encoder of a run: `.embed(captions)` and `.close()`."""
    if os.path.isfile(run.encoder):
        return OnnxTextEncoder(run.encoder, platform)
    if run.encoder_kind == SKIP_THOUGHT:
        return SkipThought(run.encoder)
    _load_tensorflow(platform)
    from stackgan.text.encoder import TextEncoder
    return TextEncoder(run.encoder, platform)


def open_sampler(
        run,              # Run
        platform,         # the `platform` section
):
    """What draws with the generators of a run: `.draw(wanted, seed)`, a context manager."""
    if run.model:
        return ModelSampler(run.model, platform)
    _load_tensorflow(platform)
    from stackgan.sampling.sampler import Sampler
    return Sampler(run.stage_folder, 'last', 1, platform)


def _load_tensorflow(platform):
    from stackgan.platforms.cores import load_tensorflow
    load_tensorflow(platform)


def _close(models):
    models.encoder.close()
    models.sampler.__exit__(None, None, None)


def _refuse_without_words(run, caption):
    """Raises Refusal for a caption of which the char-CNN-RNN reads nothing."""
    if run.encoder_kind == CHAR_CNN_RNN and not has_word(encode_captions([caption])[0]):
        raise Refusal(400, 'The text encoder reads Latin letters and digits, and finds none in '
                      'this caption; describe the picture with them')


def _notices(caption):
    """What the char-CNN-RNN leaves out of a caption."""
    codes, = encode_captions([caption])
    notices = []
    if faults_of_captions([caption]):
        notices.append('Only the first %d characters are read.' % MAX_LENGTH)
    if not codes[:min(len(caption.encode('utf-8')), MAX_LENGTH)].all():
        notices.append('Some characters are unknown to the text encoder and are passed over.')
    return notices


def _png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, 'PNG')
    return stream.getvalue()
