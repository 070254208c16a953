"""Trains the text encoder on the captions, with an image encoder beside it; or takes a published
one.
"""

import os

from stackgan.config.loading import to_dict

from .engine.contract import Job
from .engine.outputs import (
    is_torch7,
    prepared_input,
    run_folder,
    uses_precomputed_embeddings,
    weights_input,
)
from .engine.training_settings import AUXILIARY_RECORDS, precision


def _not_needed(config, volume):
    if config.text.weights is None and uses_precomputed_embeddings(config, volume):
        return 'the dataset came with its embeddings'
    return None


def _inputs(config, volume):
    return [prepared_input(config) if config.text.weights is None else weights_input(config)]


def _settings(config):
    model = {'embedding_dim': config.model.embedding_dim}
    if config.text.weights is not None:
        return {'text': {'weights': config.text.weights}, 'model': model}
    text = to_dict(config.text)
    for name in ('checkpoint_every_steps',        # changes what is kept, not what is trained
                 'weights'):                      # null
        del text[name]
    return {'text': text, 'model': model, 'run': {'seed': config.run.seed},
            'platform': precision(config)}


def _run(work):
    config = work.config
    if config.text.weights is not None:
        return _take_published(work)
    from stackgan.training.text_encoder import train_text_encoder
    train_text_encoder(work.inputs['prepared'], work.folder, config.text,
                       config.model.embedding_dim, config.run.seed, config.platform,
                       work.stop)


def _take_published(work):
    from stackgan.text.published import convert_published
    from stackgan.text.skip_thought import describe_skip_thought
    path, embedding_dim = work.inputs['published'], work.config.model.embedding_dim
    if is_torch7(work.config.text.weights):
        return convert_published(path, work.folder, embedding_dim)
    # What lies on the volume is named from here, for the volume may be mounted elsewhere.
    place = path if os.path.isabs(work.config.text.weights) else os.path.relpath(path, work.folder)
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
    records=AUXILIARY_RECORDS,
    run=_run,
)
