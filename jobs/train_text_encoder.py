"""Trains the text encoder on captions and images, or takes the published one of text.weights."""

import os
from typing import Any, Dict, Optional, Sequence

from stackgan.config import Config
from stackgan.config.loading import to_dict

from .engine.contract import Input, Job, Work
from .engine.outputs import (
    is_torch7,
    prepared_input,
    run_folder,
    uses_precomputed_embeddings,
    weights_input,
)
from .engine.training_settings import AUXILIARY_RECORDS, precision

IMAGE_ENCODER_RECORD = 'image-encoder/stats.jsonl'         # of its own training: it has times
OF_SENTENCES = ('pooling', 'normalised', 'max_tokens')       # keys of text.source: onnx alone


def _not_needed(config: Config, volume: str) -> Optional[str]:
    if config.text.weights is None and uses_precomputed_embeddings(config, volume):
        return 'the dataset came with precomputed embeddings'
    return None


def _inputs(config: Config, volume: str) -> Sequence[Input]:
    return [prepared_input(config) if config.text.weights is None else weights_input(config)]


def _settings(config: Config) -> Dict[str, Any]:
    model = {'embedding_dim': config.model.embedding_dim}
    if config.text.weights is not None:
        taken: Dict[str, Any] = {'weights': config.text.weights}
        if config.text.source == 'onnx':
            taken.update({name: getattr(config.text, name) for name in ('source',) + OF_SENTENCES})
        return {'text': taken, 'model': model}
    text: Dict[str, Any] = to_dict(config.text)
    for name in ('checkpoint_every_steps',        # affects what is kept, not what is trained
                 'weights',                       # null
                 *OF_SENTENCES):
        del text[name]
    return {'text': text, 'model': model, 'run': {'seed': config.run.seed},
            'platform': precision(config)}


def _run(work: Work) -> None:
    config = work.config
    if config.text.weights is not None:
        return _take_published(work, config.text.weights)
    from stackgan.training.text_encoder import train_text_encoder
    train_text_encoder(work.inputs['prepared'], work.folder, config.text,
                       config.model.embedding_dim, config.run.seed, config.platform,
                       work.stop)


def _take_published(work: Work, weights: str) -> None:
    from stackgan.text.published import convert_published
    from stackgan.text.skip_thought import describe_skip_thought
    path, embedding_dim = work.inputs['published'], work.config.model.embedding_dim
    if is_torch7(weights) and work.config.text.source != 'onnx':
        return convert_published(path, work.folder, embedding_dim)
    # A path on the volume is stored relative to here, since the volume may be mounted elsewhere.
    place = path if os.path.isabs(weights) else os.path.relpath(path, work.folder)
    if work.config.text.source == 'onnx':
        from stackgan.text.sentence_encoder import describe_sentences
        return describe_sentences(path, place, work.folder, work.config.text, embedding_dim,
                                  work.config.platform)
    describe_skip_thought(path, place, work.folder, embedding_dim)


JOB = Job(
    name='train-text-encoder',
    summary='train the char-CNN-RNN on the captions (structured joint embedding), or take the '
            'published encoder of text.weights',
    output=lambda config: run_folder(config, 'text-encoder'),
    inputs=_inputs,
    settings=_settings,
    not_needed=_not_needed,
    resumes=True,
    records=AUXILIARY_RECORDS + (IMAGE_ENCODER_RECORD,),
    run=_run,
)
